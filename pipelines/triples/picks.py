"""Which samples of a mix get candidates, from which prompts, and a pool of other answers per source for the rules. One shard."""

import json
from dataclasses import astuple, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from curation.rows.formats import IMAGE
from curation.selection.select import lot, lots
from pipelines.engine.step import Place, Step
from pipelines.engine.tables import ShardWriter, Table
from pipelines.snapshot.mix_rows import read_rows, text_of
from pipelines.triples.wrong_labels import MixNote, WrongLabel, read_wrong_labels, write_wrong_labels
from schemas.errors import UserError
from schemas.models import WRONG_LABELS
from schemas.publish import publish_json
from schemas.recipe import Generator, Recipe
from schemas.records import STRINGS, Reason, Rejection, Unit
from schemas.wrong_labels import below_of, sure_of

ROUND = 1.25  # samples asked in a round, as a multiple of the accepted triples wanted ...
ROUND_SAMPLES = 64  # ... and at least so many: of fewer a share says little
STEP = 'pick'
GROUP_ROWS = 2048  # samples to a shard of candidates and verdicts: 1,400 shards at the paper's size, and enough of them at 80,000 for eight processes
POOL = 4000  # other answers per source a rule may draw from, lowest lot first; fewer would be wrong so often that a trainer learns them by heart
PICKS = pa.schema(
    [
        ('sample_id', pa.string()),
        ('source', pa.string()),
        ('split', pa.string()),
        ('file', pa.int32()),
        ('row', pa.int64()),
        ('n_bytes', pa.int64()),
        ('prompts', STRINGS),
    ]
)
CONTROLS = pa.schema([PICKS.field(name) for name in ('sample_id', 'source', 'file', 'row')])


@dataclass(frozen=True, slots=True)
class Group:
    """One row group of picks: asked in `round`, and only while `source`, if it names one, has too few accepted triples."""

    number: int
    round: int
    source: str


def read_groups(picks: Table) -> list[Group]:
    """Return what PickSamples wrote to `groups.json`."""
    return [Group(*group) for group in json.loads((picks.path / 'groups.json').read_text('utf-8'))]


class PickFile:
    """The picks of a table, opened once: its footer is read here and never again, and of a group its row group and nothing else."""

    def __init__(self, picks: Table):
        self._file = pq.ParquetFile(picks.parts()[0])

    def group(self, number: int, columns: list[str] | None = None) -> list[dict]:
        """Return the picks of one row group."""
        return self._file.read_row_group(number, columns, use_threads=False).to_pylist()


@dataclass(frozen=True)
class LeaveUnasked(Step):
    """Writes a rejection for every pick of one row group: its source had enough accepted triples before its round."""

    TABLE = 'unasked'
    VERSION = 5

    picks: Table
    groups: tuple[int, ...]

    def shards(self) -> tuple[int, ...]:
        return self.groups

    @cached_property
    def _picked(self) -> PickFile:
        return PickFile(self.picks)

    def process(self, shard: int, writer: ShardWriter) -> None:
        for pick in self._picked.group(shard):
            detail = 'not asked: its source has as many accepted triples as the recipe wants'
            writer.reject(Rejection(Unit.SAMPLE, pick['sample_id'], pick['source'], STEP, Reason.SURPLUS, detail))


def pick_lot(seed: str, sample_id: str) -> int:
    """Return the draw that decides which samples of a source come first."""
    return lot(f'{seed}/pick/{sample_id}')


@dataclass(frozen=True, slots=True)
class Room:
    """Which samples a generator takes: of these sources (empty: all) at most so many."""

    sources: tuple[str, ...]
    max_samples: int | None


@dataclass(frozen=True, slots=True)
class DoubtedRoom(Room):
    """... of those of which a wrong label is known, by ratings and rejections of the mix."""

    below: float  # rating
    sure: float  # of the answer in its place
    notes: tuple[MixNote, ...]


@dataclass(frozen=True, slots=True)
class MixFile:
    """One data file of a mix: a row is known by its file's place in the mix and its own in the file, so these are part of what picks depend on."""

    file: str  # in the mix's folder
    split: str
    sha256: str


def files_of(shards: list[dict]) -> tuple[MixFile, ...]:
    """Return the data files that a manifest lists."""
    return tuple(MixFile(shard['file'], shard['split'], shard['sha256']) for shard in shards)


def room_of(generator: Generator, recipe: Recipe, notes: tuple[MixNote, ...]) -> Room:
    """Return which samples a generator takes; `notes`: where the mix tells wrong labels."""
    if generator.prompt != WRONG_LABELS:
        return Room(tuple(generator.sources), generator.max_samples)
    sources = generator.sources or [name for name, source in recipe.sources.items() if source.answers == 'open']
    return DoubtedRoom(tuple(sources), generator.max_samples, below_of(generator), sure_of(generator), notes)


def pick_samples(recipe: Recipe, files: tuple[MixFile, ...], folder: Path, notes: tuple[MixNote, ...] = ()) -> 'PickSamples':
    """Return the step that picks from the mix in `folder`, which holds `files`, and `notes` beside them."""
    return PickSamples(
        files=files,
        rooms=tuple(room_of(generator, recipe, notes) for generator in recipe.generate),
        max_samples=recipe.triples.max_samples,
        exactly=recipe.triples.exactly,
        sources=tuple(recipe.sources),
        seed=recipe.mix.seed,
        folder=str(folder),
    )


@dataclass(frozen=True)
class PickSamples(Step):
    """Writes `part` (PICKS, GROUP_ROWS to a row group), a rejection for each sample not picked, `groups.json`, `pool.json`
    and, where a generator takes them, the wrong labels that the mix tells, and `controls` (CONTROLS): samples of which it tells none."""

    TABLE = 'picks'
    VERSION = 6

    files: tuple[MixFile, ...]
    rooms: tuple[Room, ...]
    max_samples: dict[str, int]
    exactly: dict[str, int]
    sources: tuple[str, ...]
    seed: str
    folder: Place[str]  # of the mix

    def process(self, shard: int, writer: ShardWriter) -> None:
        rows = pd.concat([self._ids(number, file) for number, file in enumerate(self.files)], ignore_index=True)
        rows['lot'] = lots(f'{self.seed}/pick/{sample_id}' for sample_id in rows['sample_id'].tolist())
        rows['rank'] = rows.groupby('source')['lot'].rank(method='first').astype(int)
        doubted = {number: self._doubted(room) for number, room in enumerate(self.rooms) if isinstance(room, DoubtedRoom)}
        mended = [name for labels in doubted.values() for name, label in labels.items() if not label.wrong]
        chosen = np.stack([self._eligible(rows, room, doubted.get(number), mended) for number, room in enumerate(self.rooms)], axis=1)
        picked = chosen.any(axis=1)
        if not picked.any():
            raise UserError(f'triples: expected at least one sample that a prompt has room for, found none of {len(rows):,} in the mix; '
                            'see generate[].sources, generate[].max_samples and triples.max_samples')
        for source, n in rows['source'].value_counts(sort=False).items():
            writer.count_in(Unit.SAMPLE, source, int(n))
        for row in rows[~picked].itertuples():
            writer.reject(Rejection(Unit.SAMPLE, row.sample_id, row.source, STEP, Reason.OVER_QUOTA, f'no prompt has room for it; lot {row.lot}'))
        kinds, kind = np.unique(chosen[picked], axis=0, return_inverse=True)
        prompts = [[str(number) for number in np.flatnonzero(row)] for row in kinds]
        kept = rows[picked].assign(prompts=[prompts[number] for number in kind.ravel()])
        self._write(kept, writer)
        publish_json(writer.folder / 'pool.json', self._pool(rows))
        if doubted:
            write_wrong_labels(writer.folder, doubted)
            controls = rows[~rows['sample_id'].isin({name for labels in doubted.values() for name in labels})]
            writer.write('controls', pa.Table.from_pandas(controls[CONTROLS.names], CONTROLS, preserve_index=False))

    def _doubted(self, room: DoubtedRoom) -> dict[str, WrongLabel]:
        return read_wrong_labels(Path(self.folder), room.notes, below=room.below, sure=room.sure)

    def _eligible(self, rows: pd.DataFrame, room: Room, doubted: dict[str, WrongLabel] | None, mended: list[str]) -> np.ndarray:
        """Return bool[N]: which samples this prompt fills a place for.

        `doubted`: the only ones that it knows anything about; `mended`: those whose own answer is wrong, which no other prompt takes for right.
        """
        allowed = rows['rank'] <= rows['source'].map(self.max_samples).fillna(len(rows))
        if doubted is not None:
            allowed &= rows['sample_id'].isin(doubted.keys())
        elif mended:
            allowed &= ~rows['sample_id'].isin(mended)
        if room.sources:
            allowed &= rows['source'].isin(room.sources)
        if room.max_samples is not None:
            allowed &= rows.index.isin(rows[allowed].nsmallest(room.max_samples, 'lot').index)
        return allowed.to_numpy(bool)

    def _write(self, kept: pd.DataFrame, writer: ShardWriter) -> None:
        """Write the picks by round, a source that wants an exact number in groups of its own, and `groups.json` on what is where."""
        wanted = kept['source'].map(self.exactly)
        size = np.ceil(wanted * ROUND).clip(lower=ROUND_SAMPLES)
        turn = ((kept['rank'] - 1) // size).fillna(0).astype(int)
        alone = kept['source'].where(wanted.notna(), '')
        groups: list[Group] = []
        for (round_, source), rows in kept.groupby([turn, alone], sort=True):
            for start in range(0, len(rows), GROUP_ROWS):
                some = pa.Table.from_pandas(rows.iloc[start : start + GROUP_ROWS][PICKS.names], PICKS, preserve_index=False)
                writer.write('part', some, write_statistics=False)  # all of a group is read; first and last values would be half of the footer
                groups.append(Group(len(groups), int(round_), source))
        writer.counts['bytes'] = int((kept['n_bytes'] * kept['prompts'].str.len()).sum())
        publish_json(writer.folder / 'groups.json', [astuple(group) for group in groups])

    def _ids(self, number: int, file: MixFile) -> pd.DataFrame:
        ids = pq.read_table(Path(self.folder) / file.file, columns=['sample_id', 'source', 'n_bytes']).to_pandas()
        return ids.assign(split=file.split, file=np.int32(number), row=np.arange(len(ids)))

    def _pool(self, rows: pd.DataFrame) -> dict[str, list[list[str]]]:
        """Return, per source, [question, answer] of the POOL samples with the lowest lots; of no other row the texts are read."""
        drawing = lots(f'{self.seed}/pool/{sample_id}' for sample_id in rows['sample_id'].tolist())
        drawn = rows[['source', 'sample_id', 'file', 'row']].assign(lot=drawing).sort_values(['lot', 'sample_id']).groupby('source').head(POOL)
        said: dict[tuple[int, int], list[str]] = {}
        for number, some in drawn.groupby('file'):
            found = read_rows(str(Path(self.folder) / self.files[number].file), sorted(some['row']), ['messages'])
            said.update({(number, at): last_exchange(row['messages']) for at, row in found})
        pool: dict[str, list[list[str]]] = {name: [] for name in self.sources}
        for one in drawn.itertuples():
            pool[one.source].append(said[one.file, one.row])
        return pool


def last_exchange(messages: list[dict]) -> list[str]:
    """Return [question, answer]: the last user and assistant message of a conversation, without image marks."""
    return [text_of(message).replace(IMAGE, '').strip() for message in messages[-2:]]


def read_pool(picks: Table) -> dict[str, list[list[str]]]:
    """Return what PickSamples wrote to `pool.json`."""
    return json.loads((picks.path / 'pool.json').read_text('utf-8'))
