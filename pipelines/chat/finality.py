"""Which failures are final: those that are provably about one request, known by the words of the servers that say so. All others are pending.

A code is a name that a server gives the fault; it must stand alone. A text is part of a sentence. Each stands with the server that writes it and
where that is seen: its source, its documentation, or what users of it have published.
"""

import re

from pipelines.chat.server_words import Said, read_fault

# 4xx that are about a request, 200 for a body that is an error, 0 for a batch's line and an engine in this process. A 5xx is the server's.
STATUSES = frozenset({0, 200, 400, 403, 413, 422})
TOO_LONG, BAD_PICTURE, REFUSED = 'too_long', 'bad_picture', 'refused'
KNOWN_CODES = {
    'context_length_exceeded': TOO_LONG,  # OpenAI, Azure OpenAI, Groq, Cerebras, OpenRouter
    'string_above_max_length': TOO_LONG,  # OpenAI: one message of more characters than it reads
    'exceed_context_size_error': TOO_LONG,  # llama.cpp server: tools/server, ERROR_TYPE_EXCEED_CONTEXT_SIZE
    'ContextWindowExceededError': TOO_LONG,  # LiteLLM: exceptions.py
    '1261': TOO_LONG,  # Zhipu: error codes of its documentation
    # OpenAI: openai/types/responses/response_error.py
    'image_parse_error': BAD_PICTURE, 'invalid_image': BAD_PICTURE, 'invalid_image_format': BAD_PICTURE, 'invalid_base64_image': BAD_PICTURE,
    'image_too_large': BAD_PICTURE, 'image_too_small': BAD_PICTURE, 'image_file_too_large': BAD_PICTURE, 'empty_image_file': BAD_PICTURE,
    'unsupported_image_media_type': BAD_PICTURE, 'image_content_policy_violation': REFUSED, 'invalid_prompt': REFUSED,
    'content_policy_violation': REFUSED,  # OpenAI, older
    'content_filter': REFUSED,  # Azure OpenAI (code), Moonshot (type)
    'ResponsibleAIPolicyViolation': REFUSED,  # Azure OpenAI: innererror.code
    'data_inspection_failed': REFUSED, 'DataInspectionFailed': REFUSED,  # DashScope
    'PROHIBITED_CONTENT': REFUSED,  # Gemini: blockReason
    '1301': REFUSED,  # Zhipu
}  # fmt: skip
KNOWN_TEXTS = (
    (TOO_LONG, (
        r'maximum context length',  # OpenAI, vLLM (renderers/params.py), SGLang, DeepSeek, OpenRouter, Mistral, Fireworks
        r'longer than the maximum model length', r'plus the number of requested output tokens \(at least 1\) is longer',  # vLLM: v1/engine
        r'is too long to fit into the model',  # vLLM before 0.8
        r'longer than the model.{0,3}s context length', r'Input length \(\d+ tokens\) exceeds the maximum allowed length',  # SGLang
        r'exceeds the available context size',  # llama.cpp server
        r'exceed context window of',  # llama-cpp-python
        r'Trying to keep the first \d+ tokens when context', r'tokens to keep from the initial prompt is greater than the context',  # LM Studio
        r'prompt too long; exceeded max context length', r'input length exceeds the context length',  # Ollama
        r'prompt is too long: \d+ tokens', r'exceed context limit: \d+',  # Anthropic
        r'Input is too long for requested model',  # Bedrock
        r'input token count.{0,20} exceeds the maximum number of tokens',  # Gemini
        r'`?inputs`? tokens \+ `?max_new_tokens`? must be <=', r'`?inputs`? must have less than',  # text-generation-inference, Together
        r'Range of input length should be',  # DashScope
        r'exceeded model token limit',  # Moonshot
        r'too large for model with \d+ maximum context',  # Mistral
        r'too many tokens: ',  # Cohere
        r'length of prompt_tokens \(\d+\) must be less than max_seq_len',  # SiliconFlow: code 20015, langgenius/dify issue 19394
        r'输入超长|prompt 超长|超[过出].{0,12}上下文(?:长度|窗口)|上下文长度超[过出限]',  # Zhipu: "the prompt is too long"
        r'reduce the length of the (?:messages|input prompt|prompt)',  # OpenAI, Groq
        r'ContextWindowExceededError',  # LiteLLM
    )),
    (BAD_PICTURE, (
        r'cannot identify image file', r'image file is truncated', r'broken data stream when reading image',  # Pillow, in vLLM, SGLang, LMDeploy
        r'could be decompression bomb',  # Pillow
        r'Failed to load image: (?!.*Errno)', r'Image dimensions \d+x\d+ .{0,40}exceed the maximum',  # vLLM: multimodal/media/image.py
        r'absolute aspect ratio must be smaller than', r'must be larger than factor',  # the Qwen-VL processors of transformers
        r'Failed to load image or audio file', r'failed to decode image',  # llama.cpp server: mtmd
        r'invalid image input',  # Ollama
        r'Could not process image',  # Anthropic
        r'Unable to process input image', r'Provided image is not valid',  # Gemini
        r'You uploaded an unsupported image',  # OpenAI, where a proxy has taken the code
        r'image format is illegal and cannot be opened', r'image length and width do not meet the model restrictions',  # DashScope
        r'could not be loaded as a valid image',  # Mistral
        r'invalid image data',  # Groq
    )),
    (REFUSED, (
        r'content management policy',  # Azure OpenAI
        r'blocked by content filtering policy',  # Anthropic
        r'prompt was flagged as potentially violating',  # OpenAI
        r'requires moderation on .{1,60}\. Your input was flagged',  # OpenRouter, 403
        r'Content violates usage guidelines',  # xAI, 403
        r'Content Exists Risk',  # DeepSeek
        r'may contain inappropriate content', r'InternalError\.Algo\.DataInspectionFailed',  # DashScope
        r'request was rejected because it was considered high risk',  # Moonshot
        r'\b(?:input|output) new_sensitive\b',  # MiniMax: 1026 and 1027 of its error codes
        r'可能包含不安全或敏感内容',  # Zhipu, where a proxy has taken its code 1301
        r'ContentPolicyViolationError',  # LiteLLM
    )),
)  # fmt: skip
# Words that are about the server, the account or the recipe, whatever stands beside them.
NOT_THE_REQUEST = re.compile(
    r'sanitizer_server_error'  # OpenAI: comes and goes with pictures that are whole
    r'|content_filter_error'  # Azure OpenAI: the filter itself was not there
    r'|per[ _-]min(?:ute)?\b|per[ _-]day\b|\bTPM\b|\bRPM\b|rate[ _-]?limit|quota|billing'  # Groq, OpenAI: a request too large for a rate
    r'|credit balance|insufficient (?:balance|credit|funds)|budget'
    r'|At most \d+ \w+\(s\) may be provided'  # vLLM: --limit-mm-per-prompt
    r'|not support|not (?:a )?multimodal|not compiled for multimodal|no mmproj'  # a model or server that takes no pictures
    r'|chat.?template'  # vLLM
    r'|(?<!\+ )(?<!\+ .)max_(?:completion_|new_|output_)?tokens\W{0,3} '
    r'(?:is too large(?!.*your request has \d+ input tokens)|must be (?:<|at most|less))',
    re.IGNORECASE | re.DOTALL,
)


def final_kind(status: int, text: str) -> str:
    """Return the kind (one of FINAL_KINDS) of a failure that another call would repeat, '' for one that may be the fault of the moment.

    `text`: the whole body, as it came or as the openai client shows it. A page of a proxy and what repeats the request prove nothing.
    """
    if status not in STATUSES:
        return ''
    said = read_fault(text)
    if any(NOT_THE_REQUEST.search(word) for word in (*said.codes, *said.words)):
        return ''
    return _by_code(said) or _by_text(said)


def _by_code(said: Said) -> str:
    return next((KNOWN_CODES[code] for code in said.codes if code in KNOWN_CODES), '')


def _by_text(said: Said) -> str:
    texts = ' \n '.join(said.words)
    return next((kind for kind, known in KNOWN_TEXTS if any(re.search(words, texts, re.IGNORECASE) for words in known)), '')
