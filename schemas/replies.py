"""What is asked of a language model and what comes back: requests with their reply key, replies, failures."""

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

IMAGE_URL_SCHEME = 'sha256:'  # an image part of a stored body names the digest of the bytes sent, never the bytes


def canonical_json(value: Any) -> str:
    """Return the one JSON text of `value`: sorted keys, no blanks, no NaN, characters unescaped."""
    return json.dumps(value, sort_keys=True, separators=(',', ':'), ensure_ascii=False, allow_nan=False)


@dataclass(frozen=True, slots=True)
class SentImage:
    """The bytes of one picture as they go to the model, and which picture they were made from."""

    image_id: str  # sha256 of the original bytes
    digest: str  # sha256 of `data`; equal to image_id when nothing was resized
    media_type: str
    data: bytes = field(repr=False)
    resized: str = ''  # how, e.g. '1600x900 -> 1344x756 png'; empty: the original bytes


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One request. `body` is canonical JSON in OpenAI's chat form without the model name; image parts hold digests."""

    body: str
    model: str
    revision: str
    attempt: int = 0
    images: tuple[SentImage, ...] = ()
    key: str = field(init=False)

    @property
    def resized(self) -> tuple[str, ...]:
        """Return which pictures go as something else than their original bytes, and how."""
        return tuple(f'{image.image_id}: {image.resized}' for image in self.images if image.resized)

    def __post_init__(self) -> None:
        asked = image_digests(json.loads(self.body))
        sent = [image.digest for image in self.images]
        if asked != sent:
            raise ValueError(f'request body: expected the image digests {sent} in order, found {asked}')
        identity = {'body': self.body, 'attempt': self.attempt, 'model': self.model, 'revision': self.revision}
        object.__setattr__(self, 'key', hashlib.sha256(canonical_json(identity).encode()).hexdigest())


def image_digests(body: dict) -> list[str]:
    """Return the digests named by the image parts of a body's messages, in order."""
    contents = [message['content'] for message in body['messages'] if isinstance(message['content'], list)]
    urls = [part['image_url']['url'] for content in contents for part in content if part['type'] == 'image_url']
    return [url.removeprefix(IMAGE_URL_SCHEME) for url in urls]


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """One token as the server decodes it, its log-probability in nats, and the alternatives it was chosen among."""

    token: str
    logprob: float
    top: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Reply:
    """One model reply. `prompt_logprobs` keeps the last tokens of the prompt only: enough to cover the answer judged."""

    key: str
    model: str
    revision: str
    text: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int
    logprobs: tuple[TokenLogprob, ...] = ()
    prompt_logprobs: tuple[TokenLogprob, ...] = ()
    raw: str = ''  # the response body as JSON, without the log-probabilities and empty fields
    resized: tuple[str, ...] = ()  # pictures that were not sent as they are: image id and how
    reasoning: str = ''  # what the model thought before it answered; no part of `text`
    served_by: str = ''  # the server's own words for what answered: model, version, system fingerprint; as the server tells them, '' if it does not
    counted: str = ''  # who counted the tokens: '' the server; else how we did, since it told no usage


@dataclass(frozen=True, slots=True)
class Failure:
    """No usable reply. Not retryable: provably about this one request, final, stored and paid like a reply. Retryable: pending, asked again."""

    key: str
    kind: str  # pending: 'transport', 'malformed', 'engine', 'batch', 'awaited'; final: one of FINAL_KINDS; older stores hold others, final once
    detail: str
    retryable: bool
    model: str = ''
    revision: str = ''
    text: str = ''
    prompt_tokens: int = 0
    completion_tokens: int = 0
    resized: tuple[str, ...] = ()
    status: int = 0  # of HTTP; 0 where there was none
    reasoning: str = ''
    served_by: str = ''
    counted: str = ''


# Ways to fail that another call would repeat: the request is too long for the model; a picture of it could not be decoded; it was refused for
# its content; the reply was cut; the reply holds the API key it was asked with.
FINAL_KINDS = frozenset({'too_long', 'bad_picture', 'refused', 'length', 'leaked_key'})

Outcome = Reply | Failure


def encode_outcome(outcome: Outcome) -> dict:
    """Return `outcome` as plain JSON values; `decode_outcome` is its inverse."""
    if isinstance(outcome, Failure):
        return {'outcome': 'failure', **{name: getattr(outcome, name) for name in Failure.__slots__}}
    record = {'outcome': 'reply', **{name: getattr(outcome, name) for name in Reply.__slots__}}
    for name in ('logprobs', 'prompt_logprobs'):
        record[name] = [[t.token, t.logprob, [list(pair) for pair in t.top]] for t in record[name]]
    return record


def decode_outcome(record: dict) -> Outcome:
    """Return the Reply or Failure that `encode_outcome` wrote."""
    fields = {name: value for name, value in record.items() if name != 'outcome'}
    fields['resized'] = tuple(record.get('resized', ()))
    if record['outcome'] == 'failure':
        return Failure(**fields)
    for name in ('logprobs', 'prompt_logprobs'):
        fields[name] = tuple(TokenLogprob(t, p, tuple((a, b) for a, b in top)) for t, p, top in fields[name])
    return Reply(**fields)
