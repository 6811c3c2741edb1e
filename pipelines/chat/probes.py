"""Tiny requests that show whether a server really does what a build needs, before anything is paid for."""

import hashlib
import io

from PIL import Image

from pipelines.chat.protocol import CHOICE, IMAGES, JSON_SCHEMA, LOGPROBS, PROMPT_LOGPROBS, ChatBackend
from pipelines.chat.requests import choice, greedy, json_object, likelihood, make_request
from schemas.errors import UserError
from schemas.replies import ChatRequest, Failure, Outcome, SentImage

WORDS = ('violet', 'orange')  # a server that ignores guided choice answers a greeting with neither
PROBE_IMAGE_PX = 32
SCHEMA = {'type': 'object', 'properties': {'ok': {'type': 'boolean'}}, 'required': ['ok'], 'additionalProperties': False}
GREETING = {'role': 'user', 'content': 'Hello!'}


def probe(backend: ChatBackend, needs: frozenset[str], *, model: str, revision: str, where: str) -> None:
    """Raise UserError naming every need of `needs` that the server at `where` does not meet."""
    faults = []
    for need in sorted(needs):
        request = probe_request(need, model=model, revision=revision)
        outcome = next(iter(backend.complete([request])))
        if not meets(need, outcome):
            found = f'{outcome.kind}: {outcome.detail}' if isinstance(outcome, Failure) else f'a reply without it: {outcome.text!r}'
            faults.append(f'{where}: expected support for {need}, found {found}')
    if faults:
        raise UserError('\n'.join([*faults, 'serve the model with vLLM 0.32 or later, or choose another judge mode or prompt']))


def probe_request(need: str, *, model: str, revision: str) -> ChatRequest:
    """Return the request whose reply shows `need`."""
    messages, settings = [GREETING], greedy(1)
    images: tuple[SentImage, ...] = ()
    if need == PROMPT_LOGPROBS:
        messages, settings = [GREETING, {'role': 'assistant', 'content': 'Hello!'}], likelihood()
    elif need in (CHOICE, LOGPROBS):
        settings = choice(WORDS)
    elif need == JSON_SCHEMA:
        settings = json_object(SCHEMA, 16)
    elif need == IMAGES:
        messages, images = [_about_a_picture()], (_picture(),)
    return make_request(messages, model=model, revision=revision, settings=settings, images=images)


def meets(need: str, outcome: Outcome) -> bool:
    """Return whether `outcome` shows that the server meets `need`."""
    if need == JSON_SCHEMA:  # small models may pad with blanks until the limit; the brace shows the guide
        return outcome.text.lstrip()[:1] in ('{', '') and getattr(outcome, 'kind', 'length') == 'length'
    if isinstance(outcome, Failure):
        return False
    shown = {
        PROMPT_LOGPROBS: bool(outcome.prompt_logprobs),
        CHOICE: outcome.text in WORDS,
        LOGPROBS: bool(outcome.logprobs),
    }
    return shown.get(need, True)


def _about_a_picture() -> dict:
    parts = [{'type': 'image_url', 'image_url': {'url': 'image:0'}}, {'type': 'text', 'text': 'Hello!'}]
    return {'role': 'user', 'content': parts}


def _picture() -> SentImage:
    out = io.BytesIO()
    Image.new('RGB', (PROBE_IMAGE_PX, PROBE_IMAGE_PX), (200, 30, 30)).save(out, 'PNG')
    digest = hashlib.sha256(out.getvalue()).hexdigest()
    return SentImage(digest, digest, 'image/png', out.getvalue())
