"""What selection needs to know of each sample: its images by id, benchmark hits, the hash of its content, and then its images' stars.

Two tables. `described`, one for each source, is all that hangs on the source's own records and pictures: another source, or another threshold
of near-duplicates, looks no text up again. `features` adds what hangs on the pictures of all sources: stars, pictures of benchmarks, and which
wordings of benchmarks the mix asks about several pictures.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curation.rows.formats import IMAGE
from curation.selection.select import KEPT, REASONS, lots
from curation.texts.leaks import SEVERAL
from curation.texts.plain import Column
from curation.texts.textmatch import strict
from pipelines.engine.step import Step
from pipelines.engine.tables import ShardWriter, Table
from pipelines.mix.benchmark_texts import BenchmarkTexts, TextRules, texts_of
from pipelines.mix.flat_turns import FlatTurns, flat_turns
from pipelines.mix.index import ImageIndex, References
from schemas.records import STRINGS

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
        samples = pq.ParquetFile(shard).read(columns=['sample_id', 'source', 'licence', 'turns', 'images'])
        first, described = 0, [DESCRIBED.empty_table()]
        for turns in flat_turns(samples['turns'].combine_chunks()).blocks():
            described.append(self._describe(samples.slice(first, len(turns)), turns))
            first += len(turns)
        rows = pa.concat_tables(described)
        writer.write('part', rows)
        several = rows.filter(pc.not_equal(rows['equal'], '')).select(['equal', 'image_ids']).to_pylist()
        asked = [{'question': hit['question'], 'image_ids': row['image_ids']} for row in several for hit in json.loads(row['equal'])]
        if asked:
            writer.write('asked', pa.Table.from_pylist(asked, ASKED))

    def _describe(self, samples: pa.Table, turns: FlatTurns) -> pa.Table:
        """Return DESCRIBED of some samples."""
        pictures = self._pictures(samples['images'].combine_chunks())
        shows = np.diff(pictures.bounds) > 0
        found = self._texts.find(turns, shows)
        ids, bounds, of_ids = pictures.ids, turns.bounds.tolist(), pictures.bounds.tolist()
        said = list(zip(turns.roles, _strict(turns), strict=True))
        spans = zip(bounds, bounds[1:], of_ids, of_ids[1:], strict=False)
        hashes = [(_sha([turns.texts[a:b], ids[c:d]]).hexdigest(), _sha(said[a:b]).digest()[:16]) for a, b, c, d in spans]
        joint = ['' if with_pictures else as_evidence(of.joint) for of, with_pictures in zip(found, shows.tolist(), strict=True)]
        columns = {
            **{name: samples[name] for name in ('sample_id', 'source', 'licence')},
            'image_ids': pa.ListArray.from_arrays(pa.array(pictures.bounds, pa.int32()), pa.array(ids, pa.string())),
            'content_sha': [content for content, _ in hashes], 'words': [words for _, words in hashes],
            'lot': lots(f'{self.seed}/{sample_id}' for sample_id in samples['sample_id'].to_pylist()),
            'n_bytes': pictures.n_bytes + turns.n_bytes(),
            'bad_image': pictures.bad,
            'contamination': joint, 'near': [as_evidence(of.near) for of in found],
            'equal': [json.dumps(of.equal, sort_keys=True) if of.equal else '' for of in found],
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
        return _Pictures([ids[place : place + 64] for place in range(0, len(ids), 64)], bounds, np.diff(sizes[bounds]), bad)


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
    def _shown(self) -> dict[int, list[tuple[int, str, str]]]:
        """Return, for the number of an image that shows a picture of a benchmark, (distance, bench, item id) of each such picture."""
        shown = defaultdict(list)
        for table in self.hits:
            for path in table.parts():
                for row in pq.read_table(path).to_pylist():
                    shown[row['number']].append((row['distance'], row['bench'], row['item_id']))
        return dict(shown)

    def process(self, shard: tuple[str, str], writer: ShardWriter) -> None:
        described = pq.read_table(shard[0], schema=DESCRIBED)
        numbers = self._numbers(described['image_ids'])
        stars = [self._survivor[some].tolist() for some in numbers]
        ids = [[self._index.id(star) for star in of_sample] for of_sample in stars]
        same = [_sha([words.hex(), of_sample]).digest()[:16] for words, of_sample in zip(described['words'].to_pylist(), ids, strict=True)]
        pairs = zip(described['contamination'].to_pylist(), described['equal'].to_pylist(), strict=True)
        found = [joint or self._by_question(equal) for joint, equal in pairs]
        for row, evidence in self._by_picture(numbers, shard[1]):
            found[row] = evidence
        near = ['' if evidence else other for evidence, other in zip(found, described['near'].to_pylist(), strict=True)]
        for hit in map(json.loads, filter(None, (*found, *near))):
            writer.counts[f'hit/{hit["bench"]}/{hit["evidence"]}'] += 1
        added = {'contamination': found, 'near': near, 'stars': stars, 'cluster_ids': ids, 'same_as': same}
        columns = {name: described[name] for name, _ in COMMON} | added
        writer.write('part', pa.table(columns, FEATURES))

    @cached_property
    def _templates(self) -> set[str]:
        """Return the digests of the questions that the samples ask about several pictures; near-duplicates are one."""
        about = defaultdict(set)
        for table in self.described:
            asked = table.read('asked')
            if asked.num_rows:
                for question, numbers in zip(asked['question'].to_pylist(), self._numbers(asked['image_ids']), strict=True):
                    about[question].add(tuple(self._survivor[numbers].tolist()))
        return {question for question, pictures in about.items() if len(pictures - {()}) >= SEVERAL}

    def _by_question(self, equal: str) -> str:
        """Return the evidence of the first question that is no template, '' for none."""
        hits = json.loads(equal) if equal else []
        return as_evidence(next((hit for hit in hits if hit['question'] not in self._templates), None))

    def _numbers(self, image_ids: pa.ChunkedArray) -> list[np.ndarray]:
        """Return int64[k] for each sample: the numbers of its images."""
        flat = np.array([bytes.fromhex(image_id) for ids in image_ids.to_pylist() for image_id in ids], 'V32')
        sizes = [len(ids) for ids in image_ids]
        return np.split(self._index.numbers(flat), np.cumsum(sizes)[:-1]) if sizes else []

    def _by_picture(self, numbers: list[np.ndarray], samples: str) -> Iterator[tuple[int, str]]:
        """Yield (row, evidence) of the samples that repeat an item whose picture they show."""
        hits = {row: [hit for number in some.tolist() for hit in self._shown.get(number, ())] for row, some in enumerate(numbers)}
        hits = {row: found for row, found in hits.items() if found}
        if hits:
            turns = pq.read_table(samples, columns=['turns']).take(list(hits))['turns'].to_pylist()
            for (row, found), texts in zip(hits.items(), turns, strict=True):
                yield row, as_evidence(self._texts.by_picture([turn['text'] for turn in texts], found))


def _strict(turns: FlatTurns) -> list[str]:
    """Return the strict form of each piece of a turn: the mix trims blanks around its pictures too."""
    forms = list(turns.texts)
    for at in np.flatnonzero(~Column(turns.column).strict()).tolist():
        forms[at] = IMAGE.join(map(strict, forms[at].split(IMAGE)))
    return forms


def as_evidence(hit: dict | None) -> str:
    """Return what contaminates a sample as the text that rows keep; '' for nothing."""
    return json.dumps({name: value for name, value in hit.items() if name != 'question'}, sort_keys=True) if hit else ''


def _sha(value: object):
    return hashlib.sha256(orjson.dumps(value))
