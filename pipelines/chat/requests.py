"""Requests made from messages and pictures, and the body a server receives for one."""

import base64
import hashlib
import json
from collections.abc import Collection, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from curation.verdicts.control_tokens import neutral_pieces
from pipelines.sources.images import pack, packed_path
from schemas.errors import UserError
from schemas.replies import IMAGE_URL_SCHEME, ChatRequest, SentImage, canonical_json
from schemas.shown import Shown, as_shown


@lru_cache(maxsize=16)  # the candidates of a sample, and samples of one picture, follow each other
def _shown(data: bytes, max_px: int) -> Shown:
    return as_shown(data, max_px)


def prepare_image(data: bytes, image_id: str, max_px: int) -> SentImage:
    """Return the picture as it is sent: its original bytes where every server decodes them to what curation saw, else one PNG of that.

    Its longer side is at most `max_px`. Raises ValueError for bytes that are no picture of a known format.
    """
    try:
        shown = _shown(data, max_px)
    except ValueError as e:
        raise ValueError(f'image {image_id}: {e}') from e
    digest = hashlib.sha256(shown.data).hexdigest() if shown.how else image_id
    return SentImage(image_id, digest, shown.media_type, shown.data, shown.how)


def make_request(
    messages: Sequence[dict], *, model: str, revision: str, settings: dict[str, Any], images: Sequence[SentImage] = (),
    attempt: int = 0, control_tokens: Sequence[str] = (), spared: Collection[str] = (),
) -> ChatRequest:
    """Return the request for `messages`, whose image parts hold `image:0`, `image:1`, ... in place of a URL.

    Nothing in it is a control token: neither of a known family nor of `control_tokens`, but those that are `spared`.
    """
    named = [_name_images(as_plain_text(message, control_tokens, spared), images) for message in messages]
    return ChatRequest(canonical_json({**settings, 'messages': named}), model, revision, attempt, tuple(images))


def as_plain_text(message: dict, control_tokens: Sequence[str] = (), spared: Collection[str] = ()) -> dict:
    """Return a message without control tokens in its texts, nor halves of one in two texts that a template may put side by side."""
    content = message['content']
    if isinstance(content, str):
        return {**message, 'content': neutral_pieces((content,), control_tokens, spared=spared)[0]}
    texts = iter(neutral_pieces([part['text'] for part in content if part['type'] == 'text'], control_tokens, spared=spared))
    return {**message, 'content': [{**part, 'text': next(texts)} if part['type'] == 'text' else part for part in content]}


def _name_images(message: dict, images: Sequence[SentImage]) -> dict:
    if not isinstance(message['content'], list):
        return message
    return {**message, 'content': [_name_image(part, images) for part in message['content']]}


def _name_image(part: dict, images: Sequence[SentImage]) -> dict:
    if part['type'] != 'image_url':
        return part
    index = int(part['image_url']['url'].removeprefix('image:'))
    return {'type': 'image_url', 'image_url': {'url': IMAGE_URL_SCHEME + images[index].digest}}


def wire_body(request: ChatRequest, model: str, image_files: str = '') -> dict[str, Any]:
    """Return the body a server receives: the model's served name; pictures as data URLs, or as files in a folder it may read."""
    body = json.loads(request.body)
    waiting = iter(request.images)
    for message in body['messages']:
        for part in message['content'] if isinstance(message['content'], list) else ():
            if part['type'] == 'image_url':
                part['image_url']['url'] = file_url(next(waiting), Path(image_files)) if image_files else data_url(next(waiting))
    return {**body, 'model': model}


def file_url(image: SentImage, folder: Path) -> str:
    """Return a file:// URL of the picture, kept once in `folder` under its digest."""
    try:
        pack(folder, image.data)
    except OSError as e:
        raise UserError(f'models.*.image_files: expected a folder to put pictures into, found {folder}: {e.strerror}') from e
    return packed_path(folder.resolve(), image.digest).as_uri()


def data_url(image: SentImage) -> str:
    """Return the picture as a data URL."""
    return f'data:{image.media_type};base64,{base64.b64encode(image.data).decode()}'


def greedy(max_tokens: int) -> dict[str, Any]:
    """Return the settings of one plain deterministic generation."""
    return {'max_completion_tokens': max_tokens, 'temperature': 0}


def sampled(max_tokens: int, temperature: float, *, attempt: int) -> dict[str, Any]:
    """Return the settings of attempt number `attempt` at a generation; the seed is the attempt."""
    return {'max_completion_tokens': max_tokens, 'temperature': temperature, 'seed': attempt}


def likelihood() -> dict[str, Any]:
    """Return the settings that make vLLM score the last (assistant) message instead of answering; prefill only.

    Seen to work with vLLM 0.32 on /v1/chat/completions: the prompt ends with the answer's last token and
    `prompt_logprobs` holds one entry per prompt token.
    """
    return {
        'max_completion_tokens': 1, 'temperature': 0, 'prompt_logprobs': 0,
        'add_generation_prompt': False, 'continue_final_message': True,
    }


def choice(options: Sequence[str], *, top_logprobs: int = 20, thinking_tokens: int = 0) -> dict[str, Any]:
    """Return the settings of one guided token among `options`, with log-probabilities; thoughts may stand before it."""
    return {
        'max_completion_tokens': 8 + thinking_tokens, 'temperature': 0, 'structured_outputs': {'choice': list(options)},
        'logprobs': True, 'top_logprobs': top_logprobs,
    }


def json_object(schema: dict[str, Any], max_tokens: int) -> dict[str, Any]:
    """Return the settings of one reply that follows a JSON schema."""
    wanted = {'type': 'json_schema', 'json_schema': {'name': 'reply', 'schema': schema, 'strict': True}}
    return {'max_completion_tokens': max_tokens, 'temperature': 0, 'response_format': wanted}
