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
import pyarrow as pa
import pyarrow.parquet as pq

from curation.rows.formats import IMAGE
from curation.selection.select import KEPT, REASONS, lot
from curation.texts.leaks import SEVERAL
from curation.texts.textmatch import strict
from pipelines.engine.step import Step
from pipelines.engine.tables import ShardWriter, Table
from pipelines.mix.benchmark_texts import BenchmarkTexts, Found, TextRules, texts_of
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
        samples = pq.read_table(shard).to_pylist()
        pictures = [self._pictures(sample) for sample in samples]
        found = self._texts.find([sample['turns'] for sample in samples], [bool(of.ids) for of in pictures])
        rows = [self._describe(*of_sample) for of_sample in zip(samples, pictures, found, strict=True)]
        writer.write('part', pa.Table.from_pylist(rows, DESCRIBED))
        asked = [{'question': hit['question'], 'image_ids': row['image_ids']} for row in rows if row['equal'] for hit in json.loads(row['equal'])]
        if asked:
            writer.write('asked', pa.Table.from_pylist(asked, ASKED))

    def _pictures(self, sample: dict) -> '_Pictures':
        at = self._references.find(sample['images'])
        reasons = self._references.reason[at].tolist()
        bad = [f'{ref}: {REASONS[code]}' for ref, code in zip(sample['images'], reasons, strict=True) if code != KEPT]
        at = at[:0] if bad else at
        ids = [image_id.tobytes().hex() for image_id in self._references.image_id[at]]
        return _Pictures(ids, int(self._references.n_bytes[at].sum()), '; '.join(bad))

    def _describe(self, sample: dict, pictures: '_Pictures', found: Found) -> dict:
        texts = [turn['text'] for turn in sample['turns']]
        return {
            'sample_id': sample['sample_id'], 'source': sample['source'], 'licence': sample['licence'],
            'image_ids': pictures.ids,
            'content_sha': _sha([texts, pictures.ids]).hexdigest(),
            'words': _sha([[turn['role'], _strict(turn['text'])] for turn in sample['turns']]).digest()[:16],
            'lot': lot(f'{self.seed}/{sample["sample_id"]}'),
            'n_bytes': pictures.n_bytes + sum(len(text.encode()) for text in texts),
            'bad_image': pictures.bad,
            'contamination': '' if pictures.ids else as_evidence(found.joint), 'near': as_evidence(found.near),
            'equal': json.dumps(found.equal, sort_keys=True) if found.equal else '',
        }


@dataclass(frozen=True, slots=True)
class _Pictures:
    """The pictures of a sample: their ids and bytes, or what is wrong with them."""

    ids: list[str]
    n_bytes: int
    bad: str


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


def _strict(text: str) -> str:
    """Return the strict form of each piece of a turn: the mix trims blanks around its pictures too."""
    return strict(text) if IMAGE not in text else IMAGE.join(map(strict, text.split(IMAGE)))


def as_evidence(hit: dict | None) -> str:
    """Return what contaminates a sample as the text that rows keep; '' for nothing."""
    return json.dumps({name: value for name, value in hit.items() if name != 'question'}, sort_keys=True) if hit else ''


def _sha(value: object):
    return hashlib.sha256(json.dumps(value, ensure_ascii=False, separators=(',', ':')).encode())
