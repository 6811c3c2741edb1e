"""manifest.json of a snapshot: read with bounds, its form, and the digest by which it vouches for itself."""

import hashlib
import json
import re
import reprlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from schemas.errors import UserError
from schemas.inside import is_inside, open_file

MANIFEST = 'manifest.json'
CARD = 'README.md'
SIGNATURES = (f'{MANIFEST}.sig', f'{MANIFEST}.minisig')  # they may lie beside it; written later than it is
KINDS = ('mix', 'triples')  # and the names of their folders in a build's, in the order they are made
DIGEST = 'manifest_sha256'
VOUCHED = (DIGEST, 'card', 'files')  # what a manifest says of itself and of the folder, all three or, before there were any, none
MOST_BYTES = 64_000_000  # of a manifest: one of 600 shards and 14 sources has 0.3 MB, one of a hundred thousand annotation files 25 MB
MOST_VALUES = 2_000_000  # each takes some 100 bytes of memory
MOST_DEEP = 60  # lists and objects within each other: ours have ten
SPLIT = re.compile(r'[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}')  # a split's name becomes part of file names
HEX = re.compile('[0-9a-f]{64}')

Form = dict[str, type]
FILE: Form = {'file': str, 'sha256': str, 'bytes': int}
LISTS: dict[str, Form] = {
    'shards': {**FILE, 'split': str, 'rows': int}, 'rejections': {**FILE, 'split': str, 'rows': int}, 'extras': FILE,
    'yield': {'unit': str, 'source': str, 'n_in': int, 'kept': int, 'rejected': dict},
}  # fmt: skip
SECTIONS = ('recipe', 'calibration', 'cost', 'served_by', 'steps', 'code', 'inputs')  # objects, where they are there
_WORDS = {str: 'a text', int: 'a number from 0 on', dict: 'numbers by name'}
_BRIEF = reprlib.Repr()
_BRIEF.maxstring = _BRIEF.maxother = 80


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the parsed manifest of a snapshot's folder.

    Raises UserError for one that is no plain file, is too large, not strict JSON (a key twice, NaN, half a surrogate pair) or no object.
    """
    return parse_manifest(folder, manifest_bytes(folder))


def manifest_bytes(folder: Path) -> bytes:
    """Return the bytes of a manifest, cut where they are more than one may have."""
    with open_file(folder / MANIFEST) as file:
        return file.read(MOST_BYTES + 1)


def parse_manifest(folder: Path, data: bytes) -> dict[str, Any]:
    """Return the manifest that these bytes of a folder are; raises as `read_manifest` does."""
    again = 'copy the folder again from where it came, or remove it and build it again'
    if len(data) > MOST_BYTES or data.count(b',') > MOST_VALUES:
        raise UserError(f'snapshot {folder}: expected {MANIFEST} of at most {MOST_BYTES:,} bytes and {MOST_VALUES:,} values, found more; '
                        f'the folder is damaged, or not a snapshot of ours: {again}')
    try:
        manifest = json.loads(data.decode('utf-8'), object_pairs_hook=_once)
        if _deeper_than(MOST_DEEP, manifest):
            raise RecursionError
        vouched = isinstance(manifest, dict) and DIGEST in manifest  # older ones may say NaN
        json.dumps(manifest, ensure_ascii=False, allow_nan=not vouched).encode()  # half a surrogate pair is no text
    except (ValueError, RecursionError) as e:
        told = 'lists within lists without end' if isinstance(e, RecursionError) else str(e)[:200]
        raise UserError(f'snapshot {folder}: {MANIFEST} is not JSON ({told}); the folder is damaged, {again}') from e
    if not isinstance(manifest, dict):
        raise UserError(f'snapshot {folder}: expected an object in {MANIFEST}, found something else; the folder is damaged, {again}')
    return manifest


def _deeper_than(most: int, value: Any) -> bool:
    level = [value]
    for _ in range(most):
        inner = [list(one.values()) if isinstance(one, dict) else one for one in level if isinstance(one, dict | list)]
        level = [one for many in inner for one in many]
    return bool(level)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError(f'a key stands twice in an object with {_BRIEF.repr(list(found))}')
    return found


def manifest_digest(manifest: dict[str, Any]) -> str:
    """Return the sha256 hex by which a manifest vouches for itself: of its canonical JSON without the key that holds the digest."""
    rest = {key: value for key, value in manifest.items() if key != DIGEST}
    text = json.dumps(rest, sort_keys=True, ensure_ascii=False, separators=(',', ':'), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def digest_fault(manifest: dict[str, Any]) -> str:
    """Return what is wrong with a manifest that vouches for itself and holds something else, '' for nothing."""
    if DIGEST not in manifest or manifest[DIGEST] == (found := manifest_digest(manifest)):
        return ''
    return f'{DIGEST}: expected {_BRIEF.repr(manifest[DIGEST])}, found content whose digest is {found}: something in it changed since it was sealed'


def form_faults(manifest: dict[str, Any]) -> Iterator[str]:
    """Yield what a reader relies on and a manifest does not hold, as sentences; nothing else of it may be used then."""
    for name in ('kind', 'name', 'snapshot_id'):
        if not isinstance(manifest.get(name), str):
            yield f'{name}: expected a text, found {_BRIEF.repr(manifest.get(name))}'
    if isinstance(manifest.get('kind'), str) and manifest['kind'] not in KINDS:
        yield f'expected kind {" or ".join(KINDS)}, found {_BRIEF.repr(manifest["kind"])}'
    if isinstance(manifest.get('snapshot_id'), str) and not HEX.fullmatch(manifest['snapshot_id']):
        yield f'snapshot_id: expected 64 hex digits, found {_BRIEF.repr(manifest["snapshot_id"])}'
    for name in SECTIONS:
        if not isinstance(manifest.get(name, {}), dict):
            yield f'{name}: expected an object, found {_BRIEF.repr(manifest[name])}'
    for name, form in LISTS.items():
        entries = manifest.get(name, [] if name == 'extras' else None)
        if not isinstance(entries, list):
            yield f'{name}: expected a list, found {_BRIEF.repr(entries)}'
            continue
        for number, entry in enumerate(entries):
            yield from (f'{name}[{number}]: {what}' for what in _entry_faults(entry, form))
    yield from _vouched_faults(manifest)
    yield from _name_faults(manifest)


def _entry_faults(entry: Any, form: Form) -> Iterator[str]:
    if not isinstance(entry, dict):
        yield f'expected {", ".join(form)}, found {_BRIEF.repr(entry)}'
        return
    for name, kind in form.items():
        value = entry.get(name)
        numbers = list(value.values()) if isinstance(value, dict) else [value] if kind is int else []
        if not isinstance(value, kind) or any(not isinstance(number, int) or isinstance(number, bool) or number < 0 for number in numbers):
            yield f'{name}: expected {_WORDS[kind]}, found {_BRIEF.repr(value)}'
        elif name == 'sha256' and not HEX.fullmatch(str(value)):
            yield f'{name}: expected 64 hex digits, found {_BRIEF.repr(value)}'
        elif name == 'split' and not SPLIT.fullmatch(str(value)):
            yield f'{name}: expected letters, digits, dots, - and _, found {_BRIEF.repr(value)}'


def _vouched_faults(manifest: dict[str, Any]) -> Iterator[str]:
    there = [name for name in VOUCHED if name in manifest]
    if there and len(there) < len(VOUCHED):
        yield f'expected {", ".join(VOUCHED)} together, found only {", ".join(there)}'
        return
    if there:
        yield from (f'card: {what}' for what in _entry_faults(manifest['card'], FILE))
        if isinstance(manifest['card'], dict) and manifest['card'].get('file') != CARD:
            yield f'card: expected {CARD}, found {_BRIEF.repr(manifest["card"].get("file"))}'


def _name_faults(manifest: dict[str, Any]) -> Iterator[str]:
    """Yield faults of file names; of entries that have another form something else is told."""
    names = [name for name in listed_names(manifest) if isinstance(name, str)]
    for name in names:
        if not is_inside(name):
            yield f'expected file names inside the snapshot, found {_BRIEF.repr(name)}'
    twice, times = next(iter(Counter(names).most_common(1)), ('', 1))
    if times > 1:
        yield f'expected each file once, found {_BRIEF.repr(twice)} again'
    if own := sorted({MANIFEST, CARD, *SIGNATURES} & set(names)):
        yield f'expected no entry for {own[0]}, found one'
    if 'files' in manifest and manifest['files'] != sorted([*names, CARD]):
        yield f'files: expected {CARD} and what shards, rejections and extras name, in order, found another list'


def listed_names(manifest: dict[str, Any]) -> list[Any]:
    """Return the file names of a manifest: of its shards, rejections and extras."""
    lists = [found for name in ('shards', 'rejections', 'extras') if isinstance(found := manifest.get(name, []), list)]
    return [entry.get('file') for entries in lists for entry in entries if isinstance(entry, dict)]

