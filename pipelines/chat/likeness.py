"""Which requests are alike: one model, the same settings, with pictures or without. And the smallest request that is like another one."""

import functools
import hashlib
import io
import json

from PIL import Image

from schemas.replies import IMAGE_URL_SCHEME, ChatRequest, SentImage, canonical_json, image_digests

GREETING = 'Hello!'
SIDE_PX = 64  # of that picture: small, and above the least that picture processors take (Qwen-VL: 28)


def likeness(request: ChatRequest) -> str:
    """Return the same text for requests that differ in what they say and show only."""
    settings = {name: value for name, value in json.loads(request.body).items() if name not in ('messages', 'seed')}
    return canonical_json([request.model, request.revision, bool(request.images), settings])


def control_of(request: ChatRequest) -> ChatRequest:
    """Return a request like this one that says next to nothing: a server that answers it takes such requests, but not what this one holds."""
    body = json.loads(request.body)
    picture = tiny_picture() if request.images else None
    for message in body['messages']:
        message['content'] = _small(message['content'], picture)
    shown = (picture,) * len(image_digests(body)) if picture else ()
    return ChatRequest(canonical_json(body), request.model, request.revision, 0, shown)


def _small(content: str | list, picture: SentImage | None) -> str | list:
    if isinstance(content, str):
        return GREETING
    shown = any(part['type'] == 'image_url' for part in content) and picture
    image = [{'type': 'image_url', 'image_url': {'url': IMAGE_URL_SCHEME + picture.digest}}] if shown and picture else []
    return [*image, {'type': 'text', 'text': GREETING}]


@functools.cache
def tiny_picture() -> SentImage:
    """Return a picture, sent as all are, of which next to nothing can be said."""
    out = io.BytesIO()
    Image.new('RGB', (SIDE_PX, SIDE_PX), (200, 30, 30)).save(out, 'PNG')
    digest = hashlib.sha256(out.getvalue()).hexdigest()
    return SentImage(digest, digest, 'image/png', out.getvalue())
