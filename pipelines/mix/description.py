"""What selection needs to know of each sample: its images by id, benchmark hits, the hash of its content, and then its images' stars.

Two tables. `described`, one for each source, is all that hangs on the source's own records and pictures, and on those of sources that share its
folders: another source elsewhere, or another threshold of near-duplicates, looks no text up again. `features` adds what hangs on the pictures of all
sources: stars, pictures of benchmarks, and which wordings of benchmarks the mix asks about several pictures.
"""

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from orjson import dumps

from curation.rows.formats import IMAGE
from curation.selection.select import KEPT, REASONS, lots
from curation.texts.leaks import SEVERAL
from curation.texts.textmatch import strict
from pipelines.engine.step import Step
from pipelines.engine.tables import ShardWriter, Table
from pipelines.mix.benchmark_texts import NOTHING, BenchmarkTexts, TextRules, texts_of
from pipelines.mix.flat_turns import FlatTurns, flat_turns
from pipelines.mix.index import ImageIndex, References
from schemas.records import STRINGS

ID_DIGITS = 64
COMMON = [
    ('sample_id', pa.string()), ('source', pa.string()), ('licence', pa.string()), ('image_ids', STRINGS), ('content_sha', pa.string()),
    ('lot', pa.uint64()), ('n_bytes', pa.int64()), ('bad_image', pa.string()), ('contamination', pa.string()), ('near', pa.string()),
]
# `equal`: JSON list of evidence, one for each long question of a benchmark that the turns hold
DESCRIBED = pa.schema([*COMMON, ('equal', pa.string()), ('words', pa.binary(16))])  # hash of the turns in strict form
ASKED = pa.schema([('question', pa.string()), ('image_ids', STRINGS)])  # digest of a benchmark's long question, and what it is asked about
FEATURES = pa.schema(  # numbers and ids of the survivors
    [*COMMON, ('stars', pa.list_(pa.int64())), ('cluster_ids', STRINGS), ('same_as', pa.binary(16))])  # fmt: skip


@dataclass(frozen=True)
class DescribeSamples(Step):
    """Writes `part` (DESCRIBED) aligned row by row with one part of a source's samples, and `asked` (ASKED) where any asks what a benchmark asks."""

    TABLE = 'described'
    VERSION = 6

    samples: Table
    references: Table
    benches: tuple[Table, ...]
    rules: TextRules
    seed: str

    def label(self) -> str:
        return f'described{self.samples.label.removeprefix("samples")}'

    def shards(self) -> list[str]:
        return [str(path) for path in self.samples.parts()]

    @cached_property
    def _references(self) -> References:
        return References(self.references)

    @cached_property
    def _texts(self) -> BenchmarkTexts:
        return texts_of(self.benches, self.rules)

    def process(self, shard: str, writer: ShardWriter) -> None:
        described, asked = [DESCRIBED.empty_table()], list[dict]()
        for samples in _row_groups(shard, ['sample_id', 'source', 'licence', 'turns', 'images']):
            first = 0
            for turns in flat_turns(samples['turns'].combine_chunks()).blocks():
                described.append(self._describe(samples.slice(first, len(turns)), turns, asked))
                first += len(turns)
        writer.write('part', pa.concat_tables(described))
        if asked:
            writer.write('asked', pa.Table.from_pylist(asked, ASKED))

    def _describe(self, samples: pa.Table, turns: FlatTurns, asked: list[dict]) -> pa.Table:
        """Return DESCRIBED of some samples; what they ask of a benchmark comes to `asked`."""
        pictures = self._pictures(samples['images'].combine_chunks())
        shows = np.diff(pictures.bounds) > 0
        found = self._texts.find(turns, shows)
        ids, bounds, of_ids = pictures.ids, turns.bounds.tolist(), pictures.bounds.tolist()
        roles, strict_texts = turns.roles, _strict(turns)
        spans = list(zip(bounds[:-1], bounds[1:], of_ids[:-1], of_ids[1:], strict=True))
        told = {row: of for row, of in enumerate(found) if of is not NOTHING}
        asked += [{'question': hit['question'], 'image_ids': ids[slice(*spans[row][2:])]} for row, of in told.items() for hit in of.equal]
        columns = {
            **{name: samples[name] for name in ('sample_id', 'source', 'licence')},
            'image_ids': pa.ListArray.from_arrays(pa.array(pictures.bounds, pa.int32()), pa.array(ids, pa.string())),
            'content_sha': [sha256(dumps([turns.texts[a:b], ids[c:d]])).hexdigest() for a, b, c, d in spans],
            'words': [sha256(dumps([*zip(roles[a:b], strict_texts[a:b], strict=True)])).digest()[:16] for a, b, _, _ in spans],
            'lot': lots([f'{self.seed}/{sample_id}' for sample_id in samples['sample_id'].to_pylist()]),
            'n_bytes': pictures.n_bytes + turns.n_bytes(),
            'bad_image': pictures.bad,
            'contamination': _filled({row: as_evidence(of.joint) for row, of in told.items() if not shows[row]}, len(found)),
            'near': _filled({row: as_evidence(of.near) for row, of in told.items()}, len(found)),
            'equal': _filled({row: json.dumps(of.equal, sort_keys=True) for row, of in told.items() if of.equal}, len(found)),
        }
        return pa.table(columns, DESCRIBED)

    def _pictures(self, images: pa.ListArray) -> '_Pictures':
        references, bounds = images.flatten().to_pylist(), images.offsets.to_numpy().astype(np.int64)
        bounds -= bounds[0]
        at = self._references.find(references)
        reasons = self._references.reason[at]
        bad = [''] * len(images)
        kept = reasons == KEPT
        if not kept.all():
            owner = np.repeat(np.arange(len(images)), np.diff(bounds))
            told = defaultdict(list)
            for place in np.flatnonzero(~kept).tolist():
                told[int(owner[place])].append(f'{references[place]}: {REASONS[reasons[place]]}')
            for row, faults in told.items():
                bad[row] = '; '.join(faults)
            usable = ~np.isin(owner, list(told))
            at, bounds = at[usable], np.append(0, np.cumsum(np.bincount(owner[usable], minlength=len(images))))
        ids = self._references.image_id[at].tobytes().hex()
        sizes = np.append(0, np.cumsum(self._references.n_bytes[at]))
        return _Pictures([ids[place : place + ID_DIGITS] for place in range(0, len(ids), ID_DIGITS)], bounds, np.diff(sizes[bounds]), bad)


@dataclass(frozen=True, slots=True)
class _Pictures:
    """The pictures of samples: ids of all, those of sample k from bounds[k] to bounds[k + 1]; bytes, and what is wrong, of each sample."""

    ids: list[str]
    bounds: np.ndarray
    n_bytes: np.ndarray
    bad: list[str]


@dataclass(frozen=True)
class AddStars(Step):
    """Writes `part` (FEATURES) aligned row by row with the parts of DESCRIBED, source after source, and counts `hit/<bench>/<rule>`.

    `same_as` is equal for turns of equal strict form about pictures of equal stars. Texts are read again of samples that show a benchmark's picture.
    """

    TABLE = 'features'
    VERSION = 5

    described: tuple[Table, ...]
    samples: tuple[Table, ...]
    index: Table
    stars: Table
    benches: tuple[Table, ...]
    hits: tuple[Table, ...]
    rules: TextRules

    def shards(self) -> list[tuple[str, str]]:
        parts = ([path for table in tables for path in table.parts()] for tables in (self.described, self.samples))
        return [(str(described), str(samples)) for described, samples in zip(*parts, strict=True)]

    @cached_property
    def _index(self) -> ImageIndex:
        return ImageIndex(self.index.path)

    @cached_property
    def _survivor(self) -> np.ndarray:
        return np.load(self.stars.path / 'survivor.npy', mmap_mode='r')

    @cached_property
    def _texts(self) -> BenchmarkTexts:
        return texts_of(self.benches, self.rules)

    @cached_property
    def _shown(self) -> dict[int, list[tuple[int, str, str, str]]]:
        """Return, for the number of an image that shows a picture of a benchmark, (distance, bench, item id, copy) of each such picture."""
        shown = defaultdict(list)
        for table in self.hits:
            for path in table.parts():
                for row in pq.read_table(path).to_pylist():
                    shown[row['number']].append((row['distance'], row['bench'], row['item_id'], row.get('copy', '')))
        return dict(shown)

    @cached_property
    def _shown_numbers(self) -> np.ndarray:
        return np.array(sorted(self._shown), np.int64)

    def process(self, shard: tuple[str, str], writer: ShardWriter) -> None:
        described = _read(shard[0]).combine_chunks()
        numbers, bounds = self._numbers(described['image_ids'])
        stars = self._survivor[numbers]
        offsets = pa.array(bounds, pa.int32())
        hexes = self._index.image_id[stars].tobytes().hex()
        ids = [hexes[at : at + ID_DIGITS] for at in range(0, len(hexes), ID_DIGITS)]
        spans = zip(described['words'].to_pylist(), bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)
        found, near = self._evidence(described, numbers, bounds, shard[1])
        for hit in map(json.loads, filter(None, (*found, *near))):
            writer.counts[f'hit/{hit["bench"]}/{hit["evidence"]}'] += 1
        added = {
            'contamination': found, 'near': near,
            'stars': pa.ListArray.from_arrays(offsets, pa.array(stars)), 'cluster_ids': pa.ListArray.from_arrays(offsets, pa.array(ids, pa.string())),
            'same_as': [sha256(dumps([words.hex(), ids[start:stop]])).digest()[:16] for words, start, stop in spans],
        }  # fmt: skip
        columns = {name: described[name] for name, _ in COMMON} | added
        writer.write('part', pa.table(columns, FEATURES))

    def _evidence(self, described: pa.Table, numbers: np.ndarray, bounds: np.ndarray, samples: str) -> tuple[list[str], list[str]]:
        """Return what contaminates each sample, and what only stands near; '' for nothing."""
        found, near = (described[name].to_pylist() for name in ('contamination', 'near'))
        for row, equal in enumerate(described['equal'].to_pylist()):
            if equal and not found[row]:
                found[row] = self._by_question(equal)
        for row, evidence in self._by_picture(numbers, bounds, samples):
            found[row] = evidence
        return found, ['' if evidence else other for evidence, other in zip(found, near, strict=True)]

    @cached_property
    def _templates(self) -> set[str]:
        """Return the digests of the questions that the samples ask about several pictures; near-duplicates are one."""
        about = defaultdict(set)
        for table in self.described:
            asked = table.read('asked')
            if asked.num_rows:
                numbers, bounds = self._numbers(asked['image_ids'])
                for question, of_sample in zip(asked['question'].to_pylist(), np.split(self._survivor[numbers], bounds[1:-1]), strict=True):
                    about[question].add(tuple(of_sample.tolist()))
        return {question for question, pictures in about.items() if len(pictures - {()}) >= SEVERAL}

    def _by_question(self, equal: str) -> str:
        """Return the evidence of the first question that is no template, '' for none."""
        hits = json.loads(equal) if equal else []
        return as_evidence(next((hit for hit in hits if hit['question'] not in self._templates), None))

    def _numbers(self, image_ids: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
        """Return (int64[images], int64[samples + 1]): the numbers of all images, and where those of each sample begin."""
        lists = image_ids.combine_chunks()
        flat, bounds = lists.flatten(), lists.offsets.to_numpy().astype(np.int64)
        ids = np.frombuffer(bytes.fromhex(''.join(flat.to_pylist())), 'V32')
        return self._index.numbers(ids), bounds - bounds[0]

    def _by_picture(self, numbers: np.ndarray, bounds: np.ndarray, samples: str) -> Iterator[tuple[int, str]]:
        """Yield (row, evidence) of the samples that repeat an item whose picture they show."""
        hits = defaultdict[int, list[tuple[int, str, str, str]]](list)
        for place in np.flatnonzero(np.isin(numbers, self._shown_numbers)).tolist():
            hits[int(np.searchsorted(bounds, place, 'right')) - 1] += self._shown[int(numbers[place])]
        first = 0
        for group in _row_groups(samples, ['turns']) if hits else ():
            rows = [row for row in hits if first <= row < first + group.num_rows]
            texts = group['turns'].take(pa.array([row - first for row in rows], pa.int64()))
            for row, turns in zip(rows, texts.to_pylist(), strict=True):
                yield row, as_evidence(self._texts.by_picture([turn['text'] for turn in turns], hits[row]))
            first += group.num_rows


def _read(path: str) -> pa.Table:
    """Return a part of few rows, read by this thread alone: handing it to others costs as much."""
    return pq.ParquetFile(path).read(use_threads=False)


def _row_groups(path: str, columns: list[str]) -> Iterator[pa.Table]:
    """Yield the rows of a part a row group at a time: texts of all together may be more than the 2 GB that one Arrow array of `string` holds."""
    with pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            yield file.read_row_group(group, columns=columns, use_threads=False)


def _strict(turns: FlatTurns) -> list[str]:
    """Return the strict form of each piece of a turn: the mix trims blanks around its pictures too."""
    forms = list(turns.texts)
    sure, marked = turns.plain.strict()
    for at in np.flatnonzero(sure & marked).tolist():
        forms[at] = IMAGE.join([piece.strip() for piece in forms[at].split(IMAGE)])
    for at in np.flatnonzero(~sure).tolist():
        forms[at] = IMAGE.join(map(strict, forms[at].split(IMAGE)))
    return forms


def as_evidence(hit: dict | None) -> str:
    """Return what contaminates a sample as the text that rows keep; '' for nothing."""
    return json.dumps({name: value for name, value in hit.items() if name != 'question'}, sort_keys=True) if hit else ''


def _filled(some: dict[int, str], n: int) -> list[str]:
    """Return n texts: some by their place, the others empty."""
    texts = [''] * n
    for at, text in some.items():
        texts[at] = text
    return texts
