"""What must hold in one row of a snapshot: text, turns, pictures and their ids; each fault as a sentence."""

import hashlib
import math
from collections import OrderedDict
from collections.abc import Iterator

import pyarrow as pa

from curation.verdicts.lateness import differs_at
from pipelines.snapshot.mix_rows import text_of
from schemas.manifest import HEX
from schemas.records import LATER_COLUMNS, MIX_ROWS, TRIPLE_ROWS, Reason, Unit

SCHEMAS = {'mix': MIX_ROWS.remove_metadata(), 'triples': TRIPLE_ROWS.remove_metadata()}
ID_COLUMN = {'mix': 'sample_id', 'triples': 'triple_id'}
REMEMBERED = 20_000  # pictures known to decode; equal pictures stand next to each other, so a short memory is enough
NEEDED = {
    'mix': ('sample_id', 'source', 'licence', 'content_sha'),
    'triples': ('triple_id', 'sample_id', 'source', 'licence', 'kind', 'generator', 'judge'),
}
MESSAGES = {'mix': ('messages',), 'triples': ('prompt', 'chosen', 'rejected')}
KINDS = ('incorrect', 'ambiguous')


def schema_of(kind: str, found: pa.Schema) -> pa.Schema:
    """Return the columns that rows of a kind must have: without those that were invented after a snapshot was sealed, where it has none of them."""
    return pa.schema([column for column in SCHEMAS[kind] if column.name not in LATER_COLUMNS or column.name in found.names])


class Decoded:
    """Which pictures were decoded lately, and what was wrong with them ('' for nothing)."""

    def __init__(self) -> None:
        self._found: OrderedDict[str, str] = OrderedDict()

    def knows(self, image_id: str) -> bool:
        """Return whether the picture was decoded already."""
        return image_id in self._found

    def add(self, image_id: str, fault: str) -> None:
        """Remember a picture and forget the oldest."""
        self._found[image_id] = fault
        if len(self._found) > REMEMBERED:
            self._found.popitem(last=False)

    def fault(self, image_id: str) -> str:
        """Return what is wrong with a picture that was decoded."""
        return self._found.get(image_id, '')


def hole_in(row: dict, kind: str) -> str:
    """Return what is null in the messages of a row where its readers expect something, '' where all is there."""
    for column in MESSAGES[kind]:
        if any(message is None or message['role'] is None or None in (message['content'] or ()) for message in row[column] or ()):
            return f'{column}: expected messages of parts, found a null among them'
    return ''


def row_faults(row: dict, kind: str, decoded: Decoded) -> Iterator[str]:
    """Yield what is wrong with one row of a mix or triples snapshot."""
    named = f'{ID_COLUMN[kind]} {row[ID_COLUMN[kind]]!r}'
    if hole := hole_in(row, kind):
        yield f'{named}: {hole}'
        return
    for name in NEEDED[kind]:
        if not row[name]:
            yield f'{named}: expected {name}, found nothing'
    if kind == 'mix':
        messages = row['messages'] or []
        yield from _turn_faults(named, 'messages', messages, ('user', 'assistant'))
    else:
        messages = row['prompt'] or []
        yield from _turn_faults(named, 'prompt', messages, ('user',))
        for name in ('chosen', 'rejected'):
            yield from _answer_faults(named, name, row[name] or [])
        yield from _triple_faults(named, row)
    yield from _image_faults(named, row, messages, decoded)


def _turn_faults(named: str, column: str, messages: list[dict], ends: tuple[str, ...]) -> Iterator[str]:
    roles = [message['role'] for message in messages]
    spoken = roles[1:] if roles[:1] == ['system'] else roles
    expected = ['user' if i % 2 == 0 else 'assistant' for i in range(len(spoken))]
    if not spoken or spoken != expected or spoken[-1] != ends[-1]:
        yield f'{named}: {column}: expected user and assistant in turn, the last {ends[-1]}, found {roles}'
    for i, message in enumerate(messages):
        yield from _content_faults(named, f'{column}[{i}]', message)


def _answer_faults(named: str, column: str, messages: list[dict]) -> Iterator[str]:
    if [message['role'] for message in messages] != ['assistant']:
        yield f'{named}: {column}: expected one assistant message, found {[message["role"] for message in messages]}'
    for message in messages:
        yield from _content_faults(named, column, message)
        if any(part['type'] == 'image' for part in message['content'] or ()):
            yield f'{named}: {column}: expected text, found an image part'


def _content_faults(named: str, where: str, message: dict) -> Iterator[str]:
    parts = message['content'] or []
    if not parts:
        yield f'{named}: {where}: expected content, found none'
    shown = [part['type'] == 'image' for part in parts]
    for at, part in enumerate(parts):
        if part['type'] not in ('text', 'image'):
            yield f'{named}: {where}: expected a part of type text or image, found {part["type"]!r}'
        elif part['type'] == 'text' and not (part['text'] or '').strip() and not (part['text'] and any(shown[:at]) and any(shown[at:])):
            yield f'{named}: {where}: expected text, found an empty text part'
        elif part['type'] == 'image' and part['text'] is not None:
            yield f'{named}: {where}: expected an image part without text, found {part["text"][:40]!r}'


def _triple_faults(named: str, row: dict) -> Iterator[str]:
    if row['chosen'] == row['rejected']:
        yield f'{named}: expected a rejected answer that differs from the chosen one, found them equal'
    elif row.get('differs_at') is not None and row['chosen'] and row['rejected']:
        expected = differs_at(text_of(row['chosen'][0]), text_of(row['rejected'][0]))
        if row['differs_at'] != expected:
            yield f'{named}: expected differs_at {expected}, found {row["differs_at"]}'
    if row['kind'] not in KINDS:
        yield f'{named}: expected kind {" or ".join(KINDS)}, found {row["kind"]!r}'
    if row['score'] is None or not math.isfinite(row['score']):
        yield f'{named}: expected a finite score, found {row["score"]}'


def _image_faults(named: str, row: dict, messages: list[dict], decoded: Decoded) -> Iterator[str]:
    images, ids = row['images'] or [], row['image_ids'] or []
    parts = sum(part['type'] == 'image' for message in messages for part in message['content'] or ())
    if not parts == len(images) == len(ids) == len(row['cluster_ids'] or []):
        yield (f'{named}: expected as many image parts as images, image_ids and cluster_ids, found {parts}, {len(images)}, {len(ids)} and '
               f'{len(row["cluster_ids"] or [])}')
    for image_id in ids:
        if not HEX.fullmatch(image_id or ''):
            yield f'{named}: image_ids: expected 64 hex digits, found {str(image_id)[:80]!r}'
    for i, (image, image_id) in enumerate(zip(images, ids, strict=False)):
        data = (image or {}).get('bytes')
        if not data:
            yield f'{named}: image {i}: expected bytes, found none'
            continue
        found = hashlib.sha256(data).hexdigest()
        if found != image_id:
            yield f'{named}: image {i}: expected bytes with sha256 {image_id}, found {found}'
        if image['path'] != image_id:
            yield f'{named}: image {i}: expected its id {image_id} as path, found {image["path"]!r}'
        if decoded.fault(found):
            yield f'{named}: image {i}: expected a picture that decodes, found {decoded.fault(found)}'


def rejection_faults(row: dict) -> Iterator[str]:
    """Yield what is wrong with one row of the rejections."""
    named = f'{row["unit"]} {row["id"]!r}'
    if row['unit'] not in tuple(Unit):
        yield f'{named}: expected a unit of {[str(unit) for unit in Unit]}, found {row["unit"]!r}'
    if row['reason'] not in tuple(Reason):
        yield f'{named}: expected a reason of the closed list, found {row["reason"]!r}'
    for name in ('id', 'source', 'step'):
        if not row[name]:
            yield f'{named}: expected {name}, found nothing'
