"""Samples whose words are nearly the same and whose pictures are the same stars: candidates by bands of their sketches, confirmed on the texts.

Nothing meets that differs in its pictures, numbers, signs, negations or short answers: all that is part of the key. Copies (equal in strict form) are
one. Of more than CROWD texts in one bucket the first CROWD, in order of the samples, stand for the rest, so that what is the same for all grows with
the data and not with its square. Then runs of words are counted: pairs that share LEAST of them are kept with their similarity, and thresholds from
there on are another selection.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from curation.texts.near import Runs, alike, runs_of
from pipelines.engine.step import Step
from pipelines.engine.tables import ShardWriter, Table
from pipelines.mix.contradictions import rows_of_part
from pipelines.mix.questions import without_marks
from pipelines.mix.text_sketches import BAND_NAMES

LEAST = 0.8
CROWD = 32
PAIRS_AT_ONCE = 100_000  # of candidates, whose texts are held together
REMEMBERED = 256  # texts in words
CANDIDATES = pa.schema([('i', pa.int64()), ('j', pa.int64())])  # places of samples, i < j
NEAR = pa.schema([*CANDIDATES, ('jaccard', pa.float64())])
_FACTOR = np.uint64(0xBF58476D1CE4E5B9)


@dataclass(frozen=True)
class JoinTexts(Step):
    """Writes `part` (CANDIDATES) in row groups of PAIRS_AT_ONCE pairs or fewer, ascending by j. One shard: hashes, a band at a time."""

    TABLE = 'text_candidates'
    VERSION = 1

    sketches: tuple[Table, ...]
    features: Table

    def process(self, shard: int, writer: ShardWriter) -> None:
        paths = [path for table in self.sketches for path in table.parts()]
        key = _column(paths, 'telling')
        eligible = key != 0
        starts = 0
        for path in self.features.parts():
            features = pq.ParquetFile(path).read(['stars', 'bad_image', 'same_as'], use_threads=False).combine_chunks()
            here = slice(starts, starts + features.num_rows)
            key[here] = _mixed(key[here] ^ _stars(features['stars'].combine_chunks()))
            eligible[here] &= (features['bad_image'].to_numpy() == '') if features.num_rows else True
            starts += features.num_rows
        rows = np.flatnonzero(eligible)
        rows = rows[_firsts(self._content()[rows])]
        pairs = np.empty(0, np.uint64)
        for name in BAND_NAMES:
            pairs = np.union1d(pairs, _meeting(_mixed(_column(paths, name)[rows] ^ key[rows]), rows))
        i, j = (pairs & np.uint64(0xFFFFFFFF)).astype(np.int64), (pairs >> np.uint64(32)).astype(np.int64)
        for start in range(0, max(1, len(pairs)), PAIRS_AT_ONCE):
            some = slice(start, start + PAIRS_AT_ONCE)
            writer.write('part', pa.table([i[some], j[some]], CANDIDATES))

    def _content(self) -> np.ndarray:
        """Return uint64[N]: half of the hash of each sample's words and stars."""
        halves = []
        for path in self.features.parts():
            for chunk in pq.ParquetFile(path).read(['same_as'], use_threads=False)['same_as'].chunks:
                halves.append(np.frombuffer(chunk.buffers()[1], np.uint64)[2 * chunk.offset : 2 * (chunk.offset + len(chunk)) : 2])
        return np.concatenate([np.empty(0, np.uint64), *halves])


def _column(paths: list[Path], name: str) -> np.ndarray:
    return np.concatenate([np.empty(0, np.uint64), *(pq.ParquetFile(path).read([name], use_threads=False)[name].to_numpy() for path in paths)])


def _stars(stars: pa.ListArray) -> np.ndarray:
    """Return uint64[rows]: a hash of the stars of each sample, in their order; 0 of none."""
    bounds = stars.offsets.to_numpy().astype(np.int64)
    flat = stars.flatten().to_numpy().astype(np.uint64) + np.uint64(1)
    found = np.zeros(len(stars), np.uint64)
    lengths = np.diff(bounds)
    for place in range(int(lengths.max(initial=0))):
        has = lengths > place
        found[has] = _mixed(found[has] ^ flat[bounds[:-1][has] - bounds[0] + place])
    return found


def _mixed(hashes: np.ndarray) -> np.ndarray:
    mixed = (hashes ^ (hashes >> np.uint64(31))) * _FACTOR
    return mixed ^ (mixed >> np.uint64(29))


def _firsts(content: np.ndarray) -> np.ndarray:
    """Return the places of the first of each content, ascending."""
    return np.sort(np.unique(content, return_index=True)[1])


def _meeting(keys: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return uint64[pairs], j << 32 | i, of the rows that share a key: all of CROWD or fewer, of more each with the first CROWD."""
    order = np.argsort(keys, kind='stable')  # rows ascend, so they do in each run
    runs = np.flatnonzero(np.append(True, keys[order][1:] != keys[order][:-1])) if len(keys) else np.empty(0, np.int64)
    at = np.arange(len(keys)) - np.repeat(runs, np.diff(np.append(runs, len(keys))))  # place of each in its run
    found = [np.empty(0, np.uint64)]
    for back in range(1, CROWD + 1):  # the k-th before each that is among the first CROWD + 1
        some = np.flatnonzero((at >= back) & (at < CROWD))
        found.append(_pairs(rows[order[some - back]], rows[order[some]]))
    late = np.flatnonzero(at >= CROWD)
    for first in range(CROWD):
        found.append(_pairs(rows[order[late - at[late] + first]], rows[order[late]]))
    return np.unique(np.concatenate(found))


def _pairs(i: np.ndarray, j: np.ndarray) -> np.ndarray:
    return (j.astype(np.uint64) << np.uint64(32)) | i.astype(np.uint64)


@dataclass(frozen=True)
class ConfirmTexts(Step):
    """Writes `part` (NEAR): the candidates of one row group that share LEAST of their runs of words and are not apart."""

    TABLE = 'near_texts'
    VERSION = 1

    candidates: Table
    samples: tuple[Table, ...]

    def shards(self) -> range:
        return range(pq.read_metadata(self.candidates.parts()[0]).num_row_groups)

    @cached_property
    def _parts(self) -> tuple[list[Path], np.ndarray]:
        """Return the parts of the samples, and where the rows of each begin and all end."""
        paths = [path for table in self.samples for path in table.parts()]
        return paths, np.cumsum([0, *(pq.read_metadata(path).num_rows for path in paths)])

    def process(self, shard: int, writer: ShardWriter) -> None:
        with pq.ParquetFile(self.candidates.parts()[0]) as file:
            pairs = file.read_row_group(shard, use_threads=False)
        i, j = (pairs[name].to_numpy() for name in ('i', 'j'))
        looked = self._looked_at(np.union1d(i, j))
        found = []
        for a, b in zip(i.tolist(), j.tolist(), strict=True):
            if similarity := alike(looked(a), looked(b), LEAST):
                found.append({'i': a, 'j': b, 'jaccard': similarity})
        writer.write('part', pa.Table.from_pylist(found, NEAR))

    def _looked_at(self, wanted: np.ndarray) -> Callable[[int], Runs]:
        """Return what gives the runs of words of each wanted sample by its place."""
        paths, starts = self._parts
        turns: dict[int, list[dict]] = {}
        for part, path in enumerate(paths):
            mine = wanted[(wanted >= starts[part]) & (wanted < starts[part + 1])] - starts[part]
            turns |= {int(starts[part]) + row: found['turns'] for row, found in rows_of_part(path, mine, ['turns'])} if len(mine) else {}

        @functools.lru_cache(REMEMBERED)
        def looked(place: int) -> Runs:
            return runs_of([{**turn, 'text': without_marks(turn['text'])} for turn in turns[place]])

        return looked
