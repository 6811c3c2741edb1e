"""Whether a manifest has the form that everything else relies on; each fault as a sentence."""

from collections.abc import Iterator
from typing import Any

from pipelines.snapshot.verify_rows import SCHEMAS
from schemas.accounting import Line

Form = dict[str, type]
FILE: Form = {'file': str, 'sha256': str, 'bytes': int}
FORM: dict[str, Form] = {
    'shards': {**FILE, 'split': str, 'rows': int}, 'rejections': {**FILE, 'split': str, 'rows': int}, 'extras': FILE,
    'yield': {'unit': str, 'source': str, 'n_in': int, 'kept': int, 'rejected': dict},
}  # fmt: skip
_WORDS = {str: 'a text', int: 'a number from 0 on', dict: 'numbers by name'}


def manifest_faults(manifest: dict) -> Iterator[str]:
    """Yield what is missing or of another type."""
    for name in ('kind', 'name', 'snapshot_id'):
        if not isinstance(manifest.get(name), str):
            yield f'{name}: expected a text, found {manifest.get(name)!r}'
    if isinstance(manifest.get('kind'), str) and manifest['kind'] not in SCHEMAS:
        yield f'expected kind mix or triples, found {manifest["kind"]!r}'
    for name, form in FORM.items():
        entries = manifest.get(name, [] if name == 'extras' else None)
        if not isinstance(entries, list):
            yield f'{name}: expected a list, found {entries!r}'
            continue
        for number, entry in enumerate(entries):
            yield from (f'{name}[{number}]: {what}' for what in _entry_faults(entry, form))


def books_of(manifest: dict) -> list[Line]:
    """Return the books of a manifest without faults."""
    return [Line(**{name: line[name] for name in FORM['yield']}) for line in manifest['yield']]


def _entry_faults(entry: Any, form: Form) -> Iterator[str]:
    if not isinstance(entry, dict):
        yield f'expected {", ".join(form)}, found {entry!r}'
        return
    for name, kind in form.items():
        value = entry.get(name)
        numbers = list(value.values()) if isinstance(value, dict) else [value] if kind is int else []
        if not isinstance(value, kind) or any(not isinstance(number, int) or number < 0 for number in numbers):
            yield f'{name}: expected {_WORDS[kind]}, found {value!r}'
