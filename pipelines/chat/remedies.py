"""What a call that was not answered says about the server, and what its user can do about it."""

import re
from dataclasses import replace
from enum import Enum, auto

from pipelines.chat.server_words import read_fault, server_words
from schemas.replies import FINAL_KINDS, Failure

AWAITED = 'awaited'  # kind of a failure that is none: the answer is on its way
BATCH = 'batch'  # kind of a failure of a whole file of requests
UNKNOWN = 'is not known'  # a batch that was submitted, to the service that is asked for it
NOT_ASKED = 'not asked since those before failed in one way: '  # how the detail of such a call begins

# Without credit no wait helps, whatever the status: 402 (DeepSeek, OpenRouter), 429 (OpenAI: insufficient_quota), 400 (Anthropic, LiteLLM's budget),
# 403 (one-api: insufficient_user_quota), 200 with an error (OpenRouter's free-models-per-day). DashScope: Arrearage. Zhipu: code 1113.
# Hugging Face: "exceeded your monthly included credits"; Anthropic: "reached your specified API usage limits".
NO_CREDIT = re.compile(
    r'insufficient.{0,6}(?:balance|credit|quota|funds)|credit balance|out of credits?\b|(?:requires|need) more credits'
    r'|exceeded.{0,10}current.{0,10}quota|budget.{0,20}exceeded|exceeded.{0,30}budget'
    r'|billing_hard_limit|billing_not_active|arrearage|payment required|included credits|specified API usage limits'
    r'|余额不足|额度不足|额度已用|剩余额度|欠费|per[ _-]?day\b',
    re.IGNORECASE,
)
# Gemini says "exceeded your current quota" of a minute's requests, too, and after how long to come back.
OF_A_MINUTE = re.compile(r'retry in \d|retryDelay|PerMinute', re.IGNORECASE)
PASSING = frozenset({408, 409, 425, 429, 499, 502, 503, 504, 520, 521, 522, 523, 524, 529})  # of a server that starts, is busy or limits the rate

TOP_UP = 'the account has no credit or quota left: top it up, or raise its limit or budget where it is kept'
REMEDIES = (  # (words, what to do), the first that fits
    (rf'^{AWAITED}', 'nothing went wrong: what was paid is not paid again'),
    (rf'^transport: batch \S+ {UNKNOWN}',
     'correct `base_urls` or the key; if the batch is gone for good, delete the file that names it: then it is submitted, and paid, anew'),
    (r'^transport: the answers to ',
     'run the same command again: what has no line there is asked anew'),
    (rf'^HTTP 402|insufficient_quota|{NO_CREDIT.pattern}',
     TOP_UP),
    (r'^HTTP 407|proxy authentication|ProxyError',
     'the proxy refuses: correct its login in HTTP_PROXY or HTTPS_PROXY, or name the server in NO_PROXY'),
    (r'at most \d+ \w+\(s\)|support.{0,12}(?:image|multimodal|vision)|(?:image|multimodal|vision).{0,20}not.{0,4}support'
     r'|not (?:a )?multi-?modal|mmproj',
     'the server takes no pictures, or fewer: serve the model with them (vLLM: --limit-mm-per-prompt), or say `images: false` for it'),
    (r'chat.?template',
     'serve the model with a chat template (vLLM: --chat-template)'),
    (r'max_(?:completion_|new_|output_)?tokens',
     'the recipe asks for more tokens than the server gives, or by a name it does not know: lower `max_tokens` of the generator'),
    (r'context|too long|too_long|longer than|input length',
     'every such request is too long: serve the model with a longer context (vLLM: --max-model-len), or lower `max_tokens` of the generator'),
    (r'bad_picture|image',
     'the server reads no such picture: look at its log'),
    (r'refused|moderation|content_filter',
     'the service refuses all of it for its content: ask its operator, or another model'),
    (r'^HTTP 401|^HTTP 403|api.?key|unauthori[sz]ed|\bforbidden',
     'the key is refused: export the right one in the variable that `api_key_env` of this model names'),
    (r'^HTTP 404|^HTTP 410|not found|does not exist|not loaded',
     'correct `model` or `base_urls` of this model, or load it on the server'),
    (r'^HTTP 405|^HTTP 30\d',
     'no chat server answers at this address: correct `base_urls` (they end in /v1)'),
    (r'^HTTP 413',
     'the server, or a proxy before it, takes no body of this size: raise its limit (nginx: client_max_body_size), or lower `max_image_px`'),
    (r'^HTTP 429',
     'the server limits the rate: wait, or lower `concurrency` of this model'),
    (r'no reply within',
     'the server is too slow for so many calls: lower `concurrency` or raise `timeout_s` of this model'),
    (r'no server answered|Connect',
     'start the server again, or correct `base_urls`'),
    (r'^HTTP 5',
     'the server fails: look at its log and start it again'),
    (r'usage: expected \w+ from 0',
     'the server counts tokens wrongly, so that no budget can be kept with it: update it, or ask another one'),
    (r'malformed|^HTTP 200|a page',
     'what answers is no chat completion: look at what it says, and at `base_urls`'),
)  # fmt: skip


class Nature(Enum):
    """What one failed try says about the next ones."""

    ANSWERED = auto()  # the server did its part
    AWAITED = auto()
    PROVABLE = auto()  # about this request, by its words
    PASSING = auto()  # comes and goes
    UNSURE = auto()  # may be gone with the next try
    LASTING = auto()  # stays until somebody mends it


def nature_of(failure: Failure) -> Nature:
    """Return what a failure says about the calls that follow it."""
    if failure.kind == AWAITED:
        return Nature.AWAITED
    if failure.kind in FINAL_KINDS:
        return Nature.PROVABLE if is_provable(failure) else Nature.ANSWERED
    if has_no_credit(failure.detail) or failure.kind == BATCH:
        return Nature.LASTING
    is_answer = failure.detail.startswith('HTTP')  # else a connection that was cut or late, which has the status of what it began with, if any
    if failure.status in PASSING or (failure.kind == 'transport' and failure.status < 400 and not is_answer):
        return Nature.PASSING
    return Nature.UNSURE if failure.kind == 'malformed' or failure.status >= 500 or 0 < failure.status < 300 else Nature.LASTING


def is_provable(failure: Failure) -> bool:
    """Return whether a failure is final by a server's words about a request; those of a reply that was paid need no proof."""
    return failure.kind in ('too_long', 'bad_picture') or (failure.kind == 'refused' and failure.status not in (0, 200))


def has_no_credit(text: str) -> bool:
    """Return whether a failure's body says that nothing more is given to this account, today at least."""
    said = read_fault(text)
    whole = ' '.join((*said.codes, *said.words))
    return bool(NO_CREDIT.search(whole)) and not OF_A_MINUTE.search(whole)


def told(failure: Failure) -> str:
    """Return status, or kind, and the server's own words; of a call that was not asked those of the one for which it was not."""
    if failure.detail.startswith(NOT_ASKED):
        return NOT_ASKED + told(replace(failure, detail=failure.detail.removeprefix(NOT_ASKED)))
    words = server_words(failure.detail) or 'without a word'
    return f'HTTP {failure.status}: {words}' if failure.status else f'{failure.kind}: {words}'


def remedy_for(failure: Failure) -> str:
    """Return what to do about a failure, in a sentence."""
    words = f'{told(failure)} {failure.kind}'
    return known_remedy(words, failure.detail) or 'mend what it names: the recipe, the server, or what stands between'


def known_remedy(words: str, detail: str) -> str:
    """Return what to do about what a server says, '' where nothing is known to help: by its words, status first, and the codes of its body."""
    of_server = f'{words} {" ".join(read_fault(detail).codes)}'
    return next((do for sign, do in REMEDIES if re.search(sign, of_server, re.IGNORECASE)), '')
