"""What is provably about one request, in the bodies that servers send; and everything else that looks like it, which is not."""

import json

import pytest

from pipelines.chat.finality import KNOWN_CODES, KNOWN_TEXTS, final_kind
from pipelines.chat.server_words import read_fault, same_way, server_words
from schemas.replies import FINAL_KINDS


def error(message: str, **others: object) -> str:
    return json.dumps({'error': {'message': message, **others}})


VLLM_LONG = "This model's maximum context length is 64 tokens. However, your prompt contains 300 input tokens, which exceeds this limit"
FINAL = [
    (400, json.dumps({'object': 'error', 'message': VLLM_LONG, 'type': 'BadRequestError', 'param': None, 'code': 400}), 'too_long'),
    (400, error(VLLM_LONG, type='BadRequestError'), 'too_long'),
    (400, f'Error code: 400 - {({"error": {"message": VLLM_LONG}})}', 'too_long'),
    (400, error("'max_tokens' is too large: 1000. This model's maximum context length is 1024 tokens and your request has 300 input tokens"), 'too_long'),
    (0, 'The decoder prompt (length 90) is longer than the maximum model length of 64. Make sure that `max_model_len` is no smaller', 'too_long'),
    (400, error('Please reduce the length of the messages or completion.', code='context_length_exceeded'), 'too_long'),
    (200, error('too much', code='context_length_exceeded'), 'too_long'),
    (400, error('request (4390 tokens) exceeds the available context size (4096 tokens)', code=400, type='exceed_context_size_error'), 'too_long'),
    (400, json.dumps({'error': 'Trying to keep the first 10136 tokens when context the overflows. However, the model is loaded with'}), 'too_long'),
    (400, json.dumps({'object': 'error', 'message': "The input (61709 tokens) is longer than the model's context length (40960 tokens)."}), 'too_long'),
    (422, error('Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 8740 `inputs` tokens and 500'), 'too_long'),
    (400, json.dumps([{'error': {'code': 400, 'message': 'The input token count (9) exceeds the maximum number of tokens allowed (8).'}}]), 'too_long'),
    (400, error(json.dumps({'error': {'code': 400, 'message': 'The input token count (9) exceeds the maximum number of tokens allowed (8).'}})), 'too_long'),
    (400, error('Provider returned error', metadata={'raw': error('prompt is too long: 209 tokens > 200 maximum')}), 'too_long'),
    (400, error('<400> InternalError.Algo.InvalidParameter: Range of input length should be [1, 204800]'), 'too_long'),
    (400, error('litellm.BadRequestError: litellm.ContextWindowExceededError: AnthropicError - too long', code='400'), 'too_long'),
    (413, error('prompt is too long: 209353 tokens > 199999 maximum'), 'too_long'),
    (400, error('Failed to load image: cannot identify image file <_io.BytesIO object at 0x7f>'), 'bad_picture'),
    (0, 'image file is truncated (12 bytes not processed)', 'bad_picture'),
    (400, error('You uploaded an unsupported image. Please make sure your image is valid.', code='invalid_image_format'), 'bad_picture'),
    (400, json.dumps({'type': 'error', 'error': {'type': 'invalid_request_error', 'message': 'Could not process image'}}), 'bad_picture'),
    (400, error('Failed to load image or audio file', code=400, type='invalid_request_error'), 'bad_picture'),
    (400, error('Unable to process input image. Please retry or report', status='INVALID_ARGUMENT'), 'bad_picture'),
    (400, error('The response was filtered', code='content_filter', innererror={'code': 'ResponsibleAIPolicyViolation'}), 'refused'),
    (400, error('Content Exists Risk', code='invalid_request_error'), 'refused'),
    (400, error('Input data may contain inappropriate content.', code='data_inspection_failed'), 'refused'),
    (403, error('openai/x requires moderation on OpenAI. Your input was flagged for "y". No credits were charged.', metadata={'reasons': ['y']}), 'refused'),
    (400, error('Output blocked by content filtering policy', type='invalid_request_error'), 'refused'),
    (400, json.dumps({'code': 20015, 'message': 'length of prompt_tokens (57535) must be less than max_seq_len (32768).', 'data': None}), 'too_long'),
    (400, json.dumps({'error': {'code': '1210', 'message': '输入内容超过模型最大上下文长度'}}), 'too_long'),
    (200, json.dumps({'code': 1026, 'message': 'input new_sensitive'}), 'refused'),
]
PENDING = [
    (400, error('Your credit balance is too low to access the API')),
    (400, error('Budget has been exceeded! Current cost: 14.1, Max budget: 10.0', type='budget_exceeded')),
    (402, error('Insufficient Balance')),
    (400, error('At most 0 image(s) may be provided in one prompt.')),
    (400, error('model x does not support images')),
    (500, error('image input is not supported by this server')),
    (400, error('max_tokens is too large: 100000. This model supports at most 16384 completion tokens, whereas you provided 100000.')),
    (400, error('`max_tokens` must be less than or equal to `8192`, the maximum value for `max_tokens` is less than the `context_window`')),
    (400, error('max_tokens must be <= 4096')),
    (400, error('As of transformers v4.44, default chat template is no longer allowed, so you must provide a chat template')),
    (400, error('Model is not loaded')),
    (413, '<html><head><title>413 Request Entity Too Large</title></head><body>maximum context length</body></html>'),
    (413, error('Request too large for model `x` on tokens per minute (TPM): Limit 6000, Requested 14368', code='rate_limit_exceeded')),
    (429, error(VLLM_LONG)),
    (500, error('Context size has been exceeded.', type='server_error')),
    (502, error(VLLM_LONG)), (503, 'context_length_exceeded'), (401, 'content_filter'), (404, error(VLLM_LONG)), (407, VLLM_LONG), (499, VLLM_LONG),
    (400, error('You uploaded an unsupported image. Please make sure your image is below 20 MB', code='sanitizer_server_error')),
    (400, error('the contents are not filtered', code='content_filter_error')),
    (400, error('Failed to load image: [Errno 24] Too many open files')),
    (422, json.dumps({'detail': [{'loc': ['body', 'logprobs'], 'msg': 'Extra inputs are not permitted', 'input': 'maximum context length'}]})),
    (400, json.dumps({'error': {'message': 'bad request', 'body': {'messages': ['content_filter: cannot identify image file']}}})),
    (200, error('Rate limit exceeded: free-models-per-day', code=429)),
    (200, json.dumps({'choices': [{'message': {'content': 'the maximum context length'}}]})),
    (400, ''), (400, 'null'), (400, '[]'), (400, '{"error": null}'), (400, '{' * 5000), (0, 'batch_expired'),
]  # fmt: skip


@pytest.mark.parametrize(('status', 'body', 'kind'), FINAL)
def test_final_is_what_a_server_says_of_this_request(status, body, kind):
    assert final_kind(status, body) == kind
    assert final_kind(status, f'HTTP {status}: {body}') == kind
    assert kind in FINAL_KINDS


@pytest.mark.parametrize(('status', 'body'), PENDING)
def test_pending_is_everything_else_however_alike(status, body):
    assert final_kind(status, body) == ''


@pytest.mark.parametrize('status', sorted({*range(100, 600)} - {200, 400, 403, 413, 422}))
def test_no_other_status_proves_anything(status):
    assert final_kind(status, error(VLLM_LONG, code='context_length_exceeded')) == ''


def test_each_known_code_and_text_is_of_a_kind_that_is_final():
    assert set(KNOWN_CODES.values()) | {kind for kind, _ in KNOWN_TEXTS} <= FINAL_KINDS
    for code, kind in KNOWN_CODES.items():
        assert final_kind(400, error('no words', code=code)) == final_kind(400, error('no words', type=code)) == kind


def test_a_body_cut_off_in_the_middle_still_says_its_code():
    assert final_kind(400, error('too long', code='context_length_exceeded', more='x' * 400)[:100]) == 'too_long'


@pytest.mark.parametrize(('body', 'words'), [
    ('{"error": {"message": "Insufficient Balance"}}', 'Insufficient Balance'),
    ('{"error": "gone"}', 'gone'),
    ('gone\n  for good', 'gone for good'),
    ('"gone"', 'gone'),
    ('HTTP 400: Error code: 400 - {"detail": "gone"}', 'gone'),
    ('[{"error": {"code": 400, "message": "gone"}}]', 'gone'),
    ('{"error": {"message": "{\\"error\\": {\\"message\\": \\"inside\\"}}"}}', 'inside'),
    ('litellm.BadRequestError: OpenAIException - {"error": {"message": "inside"}}', 'inside'),
    ('{"detail": [{"loc": ["body", "seed"], "msg": "not permitted"}]}', 'body.seed: not permitted'),
    ('<html><title>407 Proxy</title>', '407 Proxy (a page, no answer of a chat server)'),
    ("KeyError 'choices' in {\"id\": \"7\"}", "KeyError 'choices'"),
    ('', ''), ('HTTP 406: ', ''),
    ('{"error": {"message": "Range of input length should be [1, 30720]"}}', 'Range of input length should be [1, 30720]'),
    ("{'error': {'message': \"Invalid 'messages[0].content': string too long.\"}}", "Invalid 'messages[0].content': string too long."),
    ('n_keep must be in [0, 4]', 'n_keep must be in [0, 4]'),
    ('["some words"]', 'some words'), ('[[{"msg": "deep"}]]', 'deep'),
])
def test_the_words_shown_are_those_that_say_most(body, words):
    assert server_words(body) == words


def test_failures_of_one_way_have_the_same_words_whatever_their_numbers_are():
    one = error("This model's maximum context length is 64 tokens. However, you requested 300 tokens (req_01abc23)")
    other = error("This model's maximum context length is 64 tokens. However, you requested 4711 tokens (req_99xyz88)")
    assert same_way(one) == same_way(other)
    assert same_way(one) != same_way(error('Insufficient Balance'))


def test_what_repeats_the_request_is_not_read():
    said = read_fault(json.dumps({'error': {'message': 'm', 'code': 7, 'input': 'i', 'messages': ['x'], 'param': 'p'}}))
    assert (said.codes, said.words) == (('7',), ('m',))
