"""The reply store: every outcome a model ever gave, by reply key, in one folder that builds and processes share.

    FOLDER/segments/*.jsonl   one per writer, append-only, fsynced per batch; a torn last line is ignored
    FOLDER/packs/*.parquet    compacted segments, in order of arrival, each with an index of its keys beside it

Readers see what others append. Two writers may store the same key; the winner is chosen by content, so every reader agrees.

Damaged lines of a segment are passed over and counted. Damaged rows of a pack are not bought again unasked: whoever needs one is refused, until
they are given up (`phantom replies compact`). A damaged file is never removed: compaction puts it aside as NAME.damaged.
"""

import itertools
import os
import shlex
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from pipelines.replies.facts import Fact
from pipelines.replies.index import KeyIndex
from pipelines.replies.packs import Pack, forget_missing, held_by, missing_packs, write_pack
from pipelines.replies.segments import Segment, Writer, dead_segments, encode_line
from schemas.errors import UserError
from schemas.publish import make_folder, sweep
from schemas.replies import FINAL_KINDS, Failure, Outcome, canonical_json, encode_outcome
from schemas.telling import tell_news

SMALL_PACK_ROWS = 50_000  # compaction merges packs below this, so that their number stays small
SEGMENT_BYTES = 64 << 20  # a writer goes on in a new segment beyond this, so that compaction works in bounded memory
_told: set[tuple[str, int]] = set()  # of which file it was said how many replies are lost
GROUP_BYTES = 128 << 20  # segments compacted into one pack together


@dataclass(frozen=True, slots=True)
class StoreStats:
    """What a store holds: distinct keys, files of each kind, bytes on disk."""

    keys: int
    segments: int
    packs: int
    n_bytes: int


class ReplyStore:
    """Outcomes by reply key. Open it in each process that reads or writes; opening reads keys only."""

    def __init__(self, folder: str | Path):
        self._folder = Path(folder)
        self._segments = self._folder / 'segments'
        self._packs = self._folder / 'packs'
        for made in (self._segments, self._packs):
            make_folder(made)
        self._index = KeyIndex()
        self._scanned: dict[str, int] = {}  # file name -> bytes (segment) or rows (pack) that are indexed
        self._opened: dict[str, Pack] = {}
        self._writer: Writer | None = None
        self.refresh()

    def get_many(self, keys: Iterable[str]) -> dict[str, Outcome]:
        """Return the stored outcomes of `keys`; a key that was never answered is absent."""
        self.refresh()
        wanted = list(dict.fromkeys(keys))
        try:
            return self._read(wanted)
        except FileNotFoundError:  # another process compacted a segment between the look and the read
            self.refresh()
            return self._read(wanted)

    def _refuse_lost(self, absent: list[str], lost: dict[str, str]) -> None:
        """Raise UserError where replies that are absent stood in what is damaged of a pack, or may have: its keys cannot be read either."""
        for path in missing_packs(self._packs) if absent else ():
            if gone := held_by(path, absent):
                raise UserError(f'{path}: expected this pack of replies beside its index, found none; {len(gone):,} replies in it are needed now, '
                                'all paid for; put the file back from a backup, or give them up with phantom replies compact '
                                f'{shlex.quote(str(self._folder))}: then they are asked for again')
        damaged = [name for name, pack in self._opened.items() if pack.keys_lost]
        needed = absent if damaged else [key for key in absent if key in lost]
        if needed:
            name = damaged[0] if damaged else lost[needed[0]]
            path, n = self._packs / name, self._opened[name].count_lost()
            most = 'up to ' if damaged else ''
            raise UserError(f'{path}: {n:,} stored replies in it are damaged and cannot be read, {most}{len(needed):,} of them are needed now, '
                            'all paid for; put the file back from a backup, or give them up with phantom replies compact '
                            f'{shlex.quote(str(self._folder))}: it keeps what can be read, puts the file aside as {name}.damaged, and the {n:,} '
                            'are asked for again where they are needed')

    def put_many(self, outcomes: Iterable[Outcome]) -> None:
        """Store `outcomes` durably: when this returns they survive a power cut. Pending failures are refused."""
        outcomes = list(outcomes)
        assert not any(isinstance(o, Failure) and o.retryable for o in outcomes), 'a pending failure is never stored'
        if not outcomes:
            return
        if self._writer is None or self._writer.pid != os.getpid():
            self._writer = Writer(self._segments)
        elif self._writer.size > SEGMENT_BYTES:
            self._writer.close()
            self._writer = Writer(self._segments)
        lines = [encode_line(outcome) for outcome in outcomes]
        offset = self._writer.append(b''.join(lines))
        offsets = itertools.accumulate([offset, *map(len, lines)])
        self._index.add(self._writer.name, [(o.key, at) for o, at in zip(outcomes, offsets, strict=False)])
        self._scanned[self._writer.name] = self._writer.size

    def close(self) -> None:
        """End this writer's segment, so that it may be compacted."""
        if self._writer is not None and self._writer.pid == os.getpid():
            self._writer.close()
        self._writer = None

    def refresh(self) -> None:
        """Index what other processes have appended or compacted since the last look."""
        present = {e.name: e.stat().st_size for e in os.scandir(self._segments) if e.name.endswith('.jsonl') and e.is_file()}
        packs = {e.name for e in os.scandir(self._packs) if e.name.endswith('.parquet')}
        for name in packs - self._scanned.keys():
            pack = self._pack(name)
            self._index.add_sorted(name, *pack.load_index())
            self._scanned[name] = pack.rows
        for name, size in present.items():
            if size > self._scanned.get(name, 0):
                self._scan(name)
        if gone := self._scanned.keys() - present.keys() - packs:
            self._index.drop(gone)
            for name in gone:
                self._opened.pop(name, None)
                del self._scanned[name]

    def compact(self, *, give_up: bool = False) -> int:
        """Move every segment without a live writer, and small packs, into packs; returns the rows written.

        Packs with damaged rows stay as they are, unless `give_up`: then what can be read of them is moved, too, and they are put aside.
        """
        written = 0
        with suppress(Timeout), FileLock(self._folder / 'compact.lock', blocking=False, fallback_to_soft=False):  # else somebody compacts already
            written = self._compact_all(give_up)
        self.refresh()
        return written

    def _compact_all(self, give_up: bool) -> int:
        sweep(self._packs)
        with dead_segments(self._segments) as segments:
            packs = self._open_packs()
            if give_up:
                forget_missing(self._packs)
            damaged = [pack for pack in packs if give_up and pack.count_lost()]
            small = [pack for pack in packs if pack.rows < SMALL_PACK_ROWS and pack not in damaged]
            if not segments and not damaged and len(small) < 2:
                return 0
            return sum(self._compact_group(group, give_up) for group in _groups([*damaged, *small, *map(Segment, segments)]))

    def _compact_group(self, group: list['Pack | Segment'], give_up: bool) -> int:
        best: dict[str, Outcome] = {}
        moved = []
        for part in group:
            outcomes = list(part.outcomes())
            if give_up or not (isinstance(part, Pack) and part.lost):
                moved.append(part)
                best |= _winners(itertools.chain(best.values(), outcomes))
        rows = list(best.values())
        pack = write_pack(self._packs, rows) if rows else None
        for part in moved:
            tell_lost(part)
            if part.path != pack:  # a group of which one of its packs held all already is that pack again
                part.remove()
        return len(rows)

    def verify(self) -> list[str]:
        """Return one line per fault: a line or pack that cannot be read back. Torn last lines are no fault."""
        return [fault for part in self._parts() for fault in part.faults()]

    def outcomes(self) -> Iterator[Outcome]:
        """Yield every stored outcome, duplicates included, pack by pack and segment by segment."""
        for part in self._parts():
            yield from part.outcomes()

    def facts(self) -> Iterator[Fact]:
        """Yield what every stored outcome is, duplicates included."""
        for part in self._parts():
            yield from part.facts()

    def stats(self) -> StoreStats:
        """Return the size of the store."""
        self.refresh()
        segments, packs = list(self._segments.glob('*.jsonl')), list(self._packs.glob('*.parquet'))
        n_bytes = sum(path.stat().st_size for path in (*segments, *packs))
        return StoreStats(self._index.distinct(), len(segments), len(packs), n_bytes)

    def _parts(self) -> list[Pack | Segment]:
        return [*self._open_packs(), *map(Segment, sorted(self._segments.glob('*.jsonl')))]

    def _open_packs(self) -> list[Pack]:
        return [Pack(path) for path in sorted(self._packs.glob('*.parquet'))]

    def _pack(self, name: str) -> Pack:
        if name not in self._opened:
            self._opened[name] = Pack(self._packs / name)
        return self._opened[name]

    def _scan(self, name: str) -> None:
        """Index the complete lines of a segment beyond what is indexed."""
        try:
            segment = Segment(self._segments / name)
            found, end = segment.keys(self._scanned.get(name, 0))
        except FileNotFoundError:
            return  # compacted since the folder was listed
        tell_lost(segment)
        self._index.add(name, found)
        self._scanned[name] = end

    def _read(self, keys: list[str]) -> dict[str, Outcome]:
        best: dict[str, Outcome] = {}
        lost: dict[str, str] = {}  # key -> pack
        for name, places in self._index.find(keys).items():
            for key, outcome in self._read_file(name, places):
                if outcome is not None:
                    best[key] = min(best.get(key, outcome), outcome, key=_rank)
                elif name.endswith('.parquet'):
                    lost[key] = name
        self._refuse_lost([key for key in keys if key not in best], lost)
        return {key: best[key] for key in keys if key in best}

    def _read_file(self, name: str, places: list[tuple[str, int]]) -> Iterator[tuple[str, Outcome | None]]:
        places = sorted(places, key=_by_place)
        part = self._pack(name) if name.endswith('.parquet') else Segment(self._segments / name)
        for (key, _), outcome in zip(places, part.read(place for _, place in places), strict=True):
            if outcome is None or outcome.key == key:
                yield key, outcome


def tell_lost(part: Pack | Segment) -> None:
    """Say once how many replies of a file cannot be read."""
    n = part.n_lost()
    if n and (str(part.path), n) not in _told:
        _told.add((str(part.path), n))
        tell_news(f'replies: {part.path}: {n:,} stored replies in it are damaged and cannot be read; those that are needed are asked for again. '
                  'Put the file back from a backup to save that')


def _by_place(place: tuple[str, int]) -> int:
    return place[1]


def _rank(outcome: Outcome) -> tuple:
    # a total order on content: the same winner for every reader, whichever writer came first; of older stores failures are not final
    unproven = isinstance(outcome, Failure) and outcome.kind not in FINAL_KINDS
    return isinstance(outcome, Failure), unproven, canonical_json(encode_outcome(outcome))


def _groups(parts: list[Pack | Segment]) -> Iterator[list[Pack | Segment]]:
    group: list[Pack | Segment] = []
    n_bytes = 0
    for part in parts:
        if group and n_bytes + part.n_bytes > GROUP_BYTES:
            yield group
            group, n_bytes = [], 0
        group.append(part)
        n_bytes += part.n_bytes
    if group:
        yield group


def _winners(outcomes: Iterable[Outcome]) -> dict[str, Outcome]:
    best: dict[str, Outcome] = {}
    for outcome in outcomes:
        best[outcome.key] = min(best.get(outcome.key, outcome), outcome, key=_rank)
    return best
