"""What a demo source hands over: drafts of records under keys, pictures as bytes, and what was planted among them."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from schemas.records import Reason

Item = TypeVar('Item')
Expectation = Literal['keep_all', 'keep_one', 'reject']


@dataclass(frozen=True, slots=True)
class Planted:
    """One thing planted on purpose: the keys of its records, its files, and what a correct build does with them."""

    kind: str
    records: tuple[str, ...]
    files: tuple[str, ...]
    expected: Expectation
    # with 'reject' (and for the ones dropped by 'keep_one'): the reasons a correct build may give, image and sample
    reasons: tuple[Reason, ...] = ()
    note: str = ''


@dataclass(frozen=True, slots=True)
class BenchmarkItem:
    """One question of the benchmark folder; `twin_of` is the key of the record it leaks into, or '' for a clean one."""

    item_id: str
    question: str
    answer: str
    image: bytes = b''
    suffix: str = ''
    source: str = ''
    twin_of: str = ''
    how: str = ''


@dataclass(slots=True)
class SourceDraft:
    """One source being made: records by key (any order), pictures by path under the output folder, planted things."""

    name: str
    form: str
    annotation: str
    licence: str
    image_root: str = ''
    records: dict[str, dict[str, Any]] = field(default_factory=dict)
    images: dict[str, bytes] = field(default_factory=dict)
    planted: list[Planted] = field(default_factory=list)
    benchmark: list[BenchmarkItem] = field(default_factory=list)

    def add(self, key: str, record: dict[str, Any]) -> str:
        """Return `key` after adding its record; a second record under one key is our own mistake."""
        assert key not in self.records, key
        self.records[key] = record
        return key

    def ordered_keys(self) -> list[str]:
        """Return the record keys in the order of the file: by sha256, so that planted rows lie among the others."""
        return ranked(self.records, f'{self.name}/order')


def seed_of(*words: object) -> int:
    """Return 64 bits that depend on the words only: the one source of chance in the demo data."""
    text = '\x1f'.join(str(word) for word in words)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], 'big')


def ranked(items: Iterable[Item], salt: str, name: Callable[[Item], object] = str) -> list[Item]:
    """Return the items shuffled by the sha256 of their names under a salt."""
    return sorted(items, key=_RankKey(salt, name))


@dataclass(frozen=True, slots=True)
class _RankKey:
    salt: str
    name: Callable[[Any], object]

    def __call__(self, item: Any) -> tuple[int, str]:
        return seed_of(self.salt, self.name(item)), str(self.name(item))
