"""What was sent for a row: the request of each of its replies, made again from the recipe in the manifest and the row, and proven by its key.

A reply's key is the digest of its request, so that what is shown is what was sent, or nothing.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from pipelines.chat.asking import generation_request, judge_requests
from pipelines.look.gallery.entry import keys_of, parsed
from pipelines.look.gallery.index import GalleryIndex
from pipelines.snapshot.mix_rows import MixRow, mix_row, text_of
from schemas.errors import UserError
from schemas.recipe import Recipe
from schemas.replies import ChatRequest

SHOWN_CHARS = 20_000  # of one message
# As pipelines/triples/candidates.py writes the id of a candidate: of which generator, at which attempt.
_SLOT = re.compile(r'.+-(\d{1,4})\.(\d{1,6})(?:\.\d{1,6})?', re.DOTALL)  # behind the last slash


@dataclass(frozen=True, slots=True)
class _Row:
    """What requests are made of."""

    id: str
    sample: MixRow
    chosen: str
    rejected: str
    keys: list[str]


def prompts_of(index: GalleryIndex, view: str, n: int) -> dict[str, dict] | None:
    """Return, for the keys of a row's replies, {who, messages: [{role, text}]} of what was sent; None if there is no such row.

    A key whose request cannot be made again is left out: the code that makes it is another version, or the sample is not there.
    """
    row = index.row(view, n)
    if row is None:
        return None
    found = _row(index, row, view)
    if found is None or not found.keys:
        return {}
    try:
        return {request.key: {'who': who, 'messages': _messages(request)} for who, request in _requests(index, found) if request.key in found.keys}
    except (ValueError, LookupError, UserError):  # a manifest of another version, a picture that is not there, a prompt that does not fit
        return {}


def _row(index: GalleryIndex, row: dict, view: str) -> _Row | None:
    if view == 'kept' and 'prompt' in row:
        said = {'messages': [*row['prompt'], *row['chosen']], 'answers': '', **row}  # where no mix lies beside
        of = row['triple_id'], row['sample_id'], text_of(row['chosen'][0]), text_of(row['rejected'][0]), row['reply_keys'] or []
    else:
        told, said = parsed(row.get('content')), None
        of = str(row.get('id')), str(told.get('sample_id')), str(told.get('chosen')), str(told.get('rejected')), keys_of(told)
    name, sample_id, chosen, rejected, keys = of
    sample = index.sample(sample_id) or said
    return _Row(name, mix_row({**sample, 'images': None}), chosen, rejected, keys) if sample else None


def _requests(index: GalleryIndex, row: _Row) -> Iterator[tuple[str, ChatRequest]]:
    """Yield who was asked and the request, of all that may have been sent for a row."""
    recipe = Recipe.model_validate(index.snapshot.manifest['recipe'])
    seen = replace(row.sample, images=tuple((image, index.picture(image) or b'') for image in row.sample.image_ids))
    if slot := _SLOT.fullmatch(row.id.rpartition('/')[2]):
        generator = recipe.generate[int(slot[1])]
        if generator.model is not None:
            model = recipe.models[generator.model]
            images = seen.shown(model) if generator.sees else ()
            yield f'generator {generator.name}', generation_request(
                generator, model, seen.turns, answer=seen.answer, images=images, attempt=int(slot[2]))
    for who, judge in (('judge', recipe.judge), ('second judge', recipe.judge.second)):
        if judge is not None and judge.model is not None:
            model = recipe.models[judge.model]
            asked = judge_requests(
                judge.mode, model, seen.turns, chosen=row.chosen, candidate=row.rejected, images=seen.shown(model) if judge.sees else (),
                prompt=judge.prompt)
            yield from ((who, request) for request in asked)


def _messages(request: ChatRequest) -> list[dict[str, str]]:
    """Return the messages as text, `[picture]` with the digest of what was sent in place of each."""
    return [{'role': message['role'], 'text': _text(message['content'])[:SHOWN_CHARS]} for message in json.loads(request.body)['messages']]


def _text(content: str | list[dict]) -> str:
    if isinstance(content, str):
        return content
    return '\n'.join(part['text'] if part['type'] == 'text' else _picture(part['image_url']['url']) for part in content)


def _picture(address: str) -> str:
    return f'[picture {re.split("[/:]", address)[-1][:16]}]'
