"""The samples of a source's rows, one row after the other; every row, and every part of one, that is none becomes a rejection.

Rows are read as they come and judged some at a time, since texts are looked at cheaper together.
"""

from collections import Counter
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import orjson

from curation.rows.conversation import Conversation, Talk
from curation.rows.fields import ignored_fields, unknown_fields
from curation.rows.formats import Fault, read_record
from curation.rows.ordinary import Ordinary
from curation.texts.checks import TextBounds, check_text, code_point, invisible_chars, is_fine
from curation.texts.doubts import doubtful
from pipelines.engine.tables import REJECTIONS_AT_ONCE, ShardWriter
from pipelines.sources.containers import Malformed, parse_record
from pipelines.sources.gathered import Rejected, Samples
from pipelines.sources.images import pack
from pipelines.sources.json_records import MAX_DEPTH
from pipelines.sources.packed import sync_packed
from schemas.recipe import Source
from schemas.records import Reason, Unit, as_content

STEP = 'samples'
_TOGETHER = 256  # rows judged at once ...
_HELD_BYTES = 4_000_000  # ... or fewer, where they hold pictures
_ALIKE = ['source', 'category', 'licence', 'file', 'turns.list.element.role', 'images.list.element']  # columns whose values come again
_WRITTEN_CHARS = 64_000_000  # of texts: a shard of longer ones is written in several row groups


class _Row(NamedTuple):
    """A row that was read: its talk, or why it has none, with what a rejection shows of it."""

    id: str
    file: str
    ordinal: int
    found: Talk | Fault
    content: str = ''


@dataclass
class Taking:
    """Takes the rows of one shard."""

    source: Source
    name: str
    bounds: TextBounds
    max_image_bytes: int
    packed: Path
    writer: ShardWriter
    _read: list[_Row] = field(default_factory=list)
    _held: int = 0  # bytes of pictures in it
    _chars: int = 0  # of texts in _samples
    _fresh: list[str] = field(default_factory=list)  # references of pictures that were packed
    _n: Counter[tuple[str, Unit]] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._samples = Samples(self.name, self.source.category, self.source.licence)
        self._rejected = Rejected(self.name, STEP)
        self._ordinary = Ordinary.of(self.source)

    def leave_out(self, record_id: str, file: str, ordinal: int, detail: str) -> None:
        """Reject a row unread, since it was not chosen."""
        self._add(_Row(record_id, file, ordinal, Fault(Reason.RECORD_NOT_SELECTED, detail)))

    def take(self, record_id: str, file: str, ordinal: int, row: bytes | dict | Malformed) -> None:
        """Take one row; JSON comes as its bytes."""
        talk = self._talk_of_ordinary(row, self._ordinary) if self._ordinary else None
        found, content = (talk, '') if talk else self._any(row)
        if isinstance(found, Talk):
            self._held += sum(len(image) for image in found.images if isinstance(image, bytes))
        self._add(_Row(record_id, file, ordinal, found, content))

    def finish(self) -> None:
        """Write all that was taken."""
        self._judge()
        self._write()
        self._rejected.write(self.writer)
        self.writer.counts.update({f'{what}/{unit}/{self.name}': n for (what, unit), n in self._n.items() if n})

    def _talk_of_ordinary(self, row: bytes | dict | Malformed, ordinary: Ordinary) -> Talk | None:
        """Return what an ordinary row says; of its numbers, which orjson may hold otherwise than `json`, nothing is read."""
        if isinstance(row, bytes):
            if row.count(b'{') + row.count(b'[') > MAX_DEPTH:
                return None
            try:
                row = orjson.loads(row)
            except orjson.JSONDecodeError:
                return None
        if not isinstance(row, dict):
            return None
        talk = ordinary.read(row)
        if talk and not row.keys() <= ordinary.known:
            self._ignore(unknown_fields(row, self.source))
        return talk

    def _any(self, row: bytes | dict | Malformed) -> tuple[Talk | Fault, str]:
        """Return what any row says, read in full, or why it says nothing and what a rejection shows of it."""
        row = parse_record(row) if isinstance(row, bytes) else row
        if isinstance(row, Malformed):
            return Fault(Reason.RECORD_MALFORMED, row.found), ''
        found = read_record(row, self.source)
        if isinstance(found, Conversation) and (fault := self._too_large(found.images)):
            found = fault
        if isinstance(found, Fault):
            return found, '' if found.reason == Reason.RECORD_NOT_SELECTED else as_content(row)
        self._ignore(ignored_fields(row, self.source, found))
        return Talk.of(found), ''

    def _too_large(self, images: tuple[str | bytes, ...]) -> Fault | None:
        for image in images:
            if isinstance(image, bytes) and len(image) > self.max_image_bytes:
                return Fault(Reason.IMAGE_TOO_LARGE, f'an embedded image of {len(image)} bytes, more than {self.max_image_bytes}')
        return None

    def _ignore(self, fields: set[str]) -> None:
        for name in sorted(fields):
            self.writer.count_ignored(Unit.RECORD, self.name, name)

    def _add(self, row: _Row) -> None:
        self._read.append(row)
        if len(self._read) == _TOGETHER or self._held > _HELD_BYTES:
            self._judge()

    def _judge(self) -> None:
        """Turn what was read into samples and rejections."""
        talks = [row.found for row in self._read if isinstance(row.found, Talk)]
        ends = [_ends(talk, self.source.turns) for talk in talks]
        taken = [talk.texts[: of_talk[-1]] for talk, of_talk in zip(talks, ends, strict=True)]
        doubts = doubtful(list(chain.from_iterable(taken)))
        first, following = 0, zip(ends, taken, strict=True)
        for row in self._read:
            if isinstance(row.found, Fault):
                self._rejected.add(Unit.RECORD, row.id, row.found.reason, row.found.detail, row.content)
                continue
            of_talk, texts = next(following)
            for turn, end in enumerate(of_talk):
                in_doubt = bool(doubts) and not doubts.isdisjoint(range(first, first + end))
                self._judge_sample(row, f'{row.id}/{turn}', row.found.up_to(end), in_doubt=in_doubt)
            first += len(texts)
            if self.source.turns == 'first' and (n_pairs := row.found.n_pairs) > 1:
                ids = [f'{row.id}/{turn}' for turn in range(1, n_pairs)]
                self._rejected.add_each(Unit.SAMPLE, ids, Reason.TURN_NOT_SELECTED, 'turns: first')
                self._n['in', Unit.SAMPLE] += len(ids)
        self._n.update({('in', Unit.RECORD): len(self._read), ('kept', Unit.RECORD): len(talks), ('in', Unit.SAMPLE): sum(map(len, ends))})
        self._read, self._held = [], 0
        if len(self._rejected) >= REJECTIONS_AT_ONCE:
            self._rejected.write(self.writer)

    def _judge_sample(self, row: _Row, sample_id: str, talk: Talk, *, in_doubt: bool) -> None:
        if in_doubt or self.source.language or not is_fine(talk.texts, talk.n_before, self.bounds):
            turns = talk.turns()
            if found := check_text(turns, self.bounds, self.source.language):
                content = as_content({'turns': [{'role': turn.role, 'text': turn.text} for turn in turns], 'images': list(talk.images)})
                self._rejected.add(Unit.SAMPLE, sample_id, *found, content)
                return
            if hidden := invisible_chars(turns):
                self.writer.counts.update([f'invisible/{self.name}', *(f'invisible/{self.name}/{code_point(char)}' for char in hidden)])
        references = [f'{self.name}/{image}' if isinstance(image, str) else self._pack(image) for image in talk.images]
        self._samples.add(sample_id, row.file, row.ordinal, talk, references)
        self._chars += sum(map(len, talk.texts))
        if self._chars > _WRITTEN_CHARS:
            self._write()

    def _pack(self, image: bytes) -> str:
        self._fresh.append(f'{self.name}/{pack(self.packed, image)}')
        return self._fresh[-1]

    def _write(self) -> None:
        """Write the samples there are, once their packed pictures are on the disk."""
        sync_packed(self.packed, self._fresh)
        # read several times: lz4 twice as fast as snappy, and as small
        self.writer.write('part', self._samples.table(), compression='lz4', use_dictionary=_ALIKE)
        self._samples, self._fresh, self._chars = Samples(self.name, self.source.category, self.source.licence), [], 0


def _ends(talk: Talk, turns: str) -> list[int]:
    """Return for each sample of a talk that is taken how many of its texts it has: the `first`, `all` in one, or `each` with what came before."""
    if turns == 'all':
        return [len(talk.texts)]
    first = talk.n_before + 2
    return [first] if turns == 'first' else list(range(first, len(talk.texts) + 1, 2))
