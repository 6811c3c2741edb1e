"""Canaries: the build's own pictures and questions, edited, hidden among benchmark items, and looked for by the code that looks for benchmarks.

Each kind of edit (of a question: in each script that is there) is one benchmark of its own: planted as its items, matched by
`contamination.MatchBenchmark` and `BenchmarkTexts`, found if the picture (the sample) it was made from is hit. Exact, resized and re-encoded pictures
must be found, and questions that are reformatted, have a word before or behind, or hide what nobody sees, or a build with benchmarks fails; without
benchmarks nothing depends on it and the figures are only printed. Small crops, blur and the like are reported: what a perceptual hash sees of them.
Pictures of benchmarks that changed their shape are planted in copy_canaries.py.
Drawn from pictures that a hash can tell: picture_canaries.py; from questions: text_canaries.py.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import pyarrow as pa
import pyarrow.parquet as pq
from rich.table import Table as Printed

from curation.pictures.edits import FOUND
from curation.pictures.images import ImageLimits
from curation.texts.text_edits import TEXT_EDITS, TEXT_FOUND
from pipelines.engine.engine import Engine
from pipelines.engine.step import Place, Step
from pipelines.engine.tables import ShardWriter, Table
from pipelines.mix.benchmark_texts import BenchmarkTexts, TextRules, text_rules
from pipelines.mix.contamination import MatchBenchmark, write_items
from pipelines.mix.index import ImageIndex
from pipelines.mix.picture_canaries import Draw, about_missed
from pipelines.mix.text_canaries import draw_questions, seen_again
from pipelines.sources.images import ImageStore
from schemas.errors import UserError
from schemas.recipe import Contamination, Recipe
from schemas.telling import tell_news, tell_table

PLANTED = 64  # pictures, and questions, of each kind that must be found
REPORTED = 16  # pictures of each other kind
REPORTED_EDITS = ('crop_5', 'brighter', 'blur', 'watermark')
MIN_RECALL = 0.95
NO_PROMISE = (
    'What must be found stops a build with benchmarks where it is not. What is no promise (cut, blurred, brighter, with a watermark) is found by its '
    'hash alone or not at all: 0.00 there is no fault of your data. Copies of benchmark pictures that are flipped, turned or cropped are looked for '
    'in another way (docs/copies.md).'
)
FAINT_SEEN = 'faint'  # in the counts: pictures passed over, of each kind anew
CHECKED = pa.schema([('kind', pa.string()), ('id', pa.string()), ('found', pa.bool_())])


@dataclass(frozen=True, slots=True)
class Recall:
    """How many canaries of one kind were found again."""

    kind: str
    planted: int
    found: int
    must: bool  # be found, for the build to go on

    @property
    def failed(self) -> bool:
        """Return whether too few were found; of ten or more one may be missed."""
        return self.must and self.planted - self.found > max(int(self.planted >= 10), math.floor(self.planted * (1 - MIN_RECALL) + 1e-9))


def planting(recipe: Recipe, samples: tuple[Table, ...], benches: tuple[Table, ...], index: Table, store: ImageStore) -> 'PlantCanaries':
    """Return the step that plants them."""
    return PlantCanaries(index, samples, benches, recipe.mix.seed, ImageLimits(**recipe.images.model_dump()), store)


def check(recipe: Recipe, engine: Engine, planted: Table, index: Table, hashes: Table, store: ImageStore) -> list[Recall]:
    """Return the recall of every kind, printed; raises UserError where benchmarks would be missed."""
    rules = recipe.contamination
    limits = ImageLimits(**recipe.images.model_dump())
    hits = engine.run(MatchCanaries(planted, index, hashes, rules.image_bits, rules.image_bits_256, store))
    checked = engine.run(CheckCanaries(planted, hits, index, text_rules(rules)))
    recalls = _fold(checked)
    print_recall(recalls)
    if faint := planted.counts().get(FAINT_SEEN, 0):
        tell_news(f'canaries: {faint} times a picture of nearly one tone was drawn and passed over; of those only exact copies can be found')
    if rules.benchmarks:
        refuse_misses(recalls, rules, about_missed(checked, planted, index, limits, rules) if any(recall.failed for recall in recalls) else '')
    return recalls


@dataclass(frozen=True)
class PlantCanaries(Step):
    """Writes `items` and `part` of one kind of edit, like a benchmark's; the item id is the id of the image or sample it was made from."""

    TABLE = 'canaries'
    VERSION = 6

    index: Table
    samples: tuple[Table, ...]
    benches: tuple[Table, ...]
    seed: str
    limits: ImageLimits
    store: Place[ImageStore]

    def shards(self) -> list[str]:
        return [*FOUND, *REPORTED_EDITS, *TEXT_EDITS]

    def process(self, shard: str, writer: ShardWriter) -> None:
        draw = Draw(self.index, self.seed, self.store)
        write_items(self._questions(shard) if shard in TEXT_EDITS else self._pictures(shard, draw), writer, self.limits)
        writer.counts[FAINT_SEEN] += len(draw.faint)

    def _pictures(self, kind: str, draw: Draw) -> Iterator[dict]:
        for image_id, data in draw.pictures(kind, PLANTED if kind in FOUND else REPORTED):
            yield _item(kind, image_id, images=[{'bytes': data, 'path': ''}])

    def _questions(self, kind: str) -> Iterator[dict]:
        for name, drawn in draw_questions(kind, self.samples, self.benches, self.seed, PLANTED):  # is the benchmark's; the edited one a source's
            yield _item(name, drawn.of, question=drawn.question, answer=drawn.answer, meta=drawn.edited(kind))


def _item(kind: str, of: str, *, images: list[dict] | None = None, question: str = '', answer: str = '', meta: list[str] | None = None) -> dict:
    return {
        'bench': kind,
        'item_id': of,
        'question': question,
        'options': [],
        'answer': answer,
        'images': images or [],
        'meta': json.dumps(meta or [], ensure_ascii=False),
    }


@dataclass(frozen=True)
class MatchCanaries(MatchBenchmark):
    """Writes `part` (IMAGE_HITS) for the planted pictures, found as those of a benchmark are."""

    TABLE = 'canary_hits'

    def label(self) -> str:
        return self.TABLE


@dataclass(frozen=True)
class CheckCanaries(Step):
    """Writes `part` (CHECKED): whether each canary of one kind was found; a shard is its (texts, items, image hits)."""

    TABLE = 'canary_recall'
    VERSION = 4

    planted: Table
    hits: Table
    index: Table
    rules: TextRules

    def shards(self) -> list[tuple[str, str, str]]:
        parts = self.planted.parts(), self.planted.parts('items'), self.hits.parts()
        return [(str(texts), str(items), str(hits)) for texts, items, hits in zip(*parts, strict=True)]

    def process(self, shard: tuple[str, str, str], writer: ShardWriter) -> None:
        texts, items, hits = shard
        planted = pq.read_table(items, columns=['bench', 'item_id', 'meta']).to_pylist()
        kind = planted[0]['bench'].partition(' ')[0] if planted else ''
        found = self._seen(texts, planted) if kind in TEXT_EDITS else self._hit(hits)
        rows = [{'kind': item['bench'], 'id': item['item_id'], 'found': item['item_id'] in found} for item in planted]
        writer.write('part', pa.Table.from_pylist(rows, CHECKED))

    def _hit(self, hits: str) -> set[str]:
        images = ImageIndex(self.index.path)
        return {row['item_id'] for row in pq.read_table(hits).to_pylist() if images.id(row['number']) == row['item_id']}

    def _seen(self, texts: str, planted: list[dict]) -> set[str]:
        """Return the samples that a benchmark of these questions contaminates, looked up as any sample is."""
        lookup = BenchmarkTexts(pq.read_table(texts).to_pylist(), self.rules)
        return seen_again([(item['item_id'], json.loads(item['meta'])) for item in planted], lookup)


def _fold(checked: Table) -> list[Recall]:
    rows = checked.read().to_pandas() if checked.parts() else None
    if rows is None or rows.empty:
        return []
    counted = rows.groupby('kind', sort=False)['found'].agg(['size', 'sum'])
    return [Recall(kind, int(n), int(found), kind.partition(' ')[0] in (*FOUND, *TEXT_FOUND)) for kind, n, found in counted.itertuples()]


def refuse_misses(recalls: list[Recall], rules: Contamination, pictures: str = '') -> None:
    """Raise UserError where a kind that must be found was not; `pictures` says which pictures were missed."""
    missed = [recall for recall in recalls if recall.failed]
    if missed:
        told = ', '.join(f'{recall.kind} {recall.found} of {recall.planted}' for recall in missed)
        raise UserError(
            f'canaries: expected at least {MIN_RECALL:.0%} of each kind of planted copy to be found again, found {told}; benchmark items would be '
            f'missed the same way with contamination.image_bits {rules.image_bits}, image_bits_256 {rules.image_bits_256}, min_overlap '
            f'{rules.min_overlap:g}: raise the bits (7 and 64 find resized and re-encoded copies) or lower the overlap'
            + (f'; {pictures}' if pictures else '')
        )


def print_recall(recalls: list[Recall]) -> None:
    """Tell the recall per kind."""
    table = Printed(title='canaries: edited copies of our own pictures and questions, found again', title_justify='left',
                    caption=NO_PROMISE, caption_justify='left')
    for name in ('kind', 'planted', 'found', 'recall', ''):
        table.add_column(name, justify='left' if name in ('kind', '') else 'right')
    for recall in recalls:
        table.add_row(recall.kind, str(recall.planted), str(recall.found), f'{recall.found / recall.planted:.2f}', _told(recall))
    tell_table(table)


def markdown_recall(recalls: list[Recall]) -> str:
    """Return the recall per kind in Markdown, for the card."""
    rows = [f'| {r.kind} | {r.planted} | {r.found} | {r.found / r.planted:.2f} | {_told(r)} |' for r in recalls]
    head = 'Edited copies of our own pictures and questions, looked for by the code that looks for benchmarks ("canaries"):'
    return '\n'.join([head, '', '| kind | planted | found | recall | |', '|---|--:|--:|--:|---|', *rows, '', NO_PROMISE])


def _told(recall: Recall) -> str:
    return ('too few' if recall.failed else 'must be found') if recall.must else 'no promise'


def about(recalls: list[Recall]) -> list[dict]:
    """Return what the manifest says."""
    return [asdict(recall) for recall in recalls]
