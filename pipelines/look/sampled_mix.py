"""A mix of a few sampled records of each source, made by the build's own steps, and what is to be expected of all of them.

What no sample can tell is left out: duplicates, contamination, near-duplicate caps. The numbers are upper bounds by that.
"""

import hashlib
import heapq
import json
import math
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from curation.pictures.images import ImageLimits
from curation.rows.formats import IMAGE
from curation.selection.select import lot
from pipelines.engine.step import make_here
from pipelines.engine.tables import Table
from pipelines.look.disk import Size
from pipelines.look.expected import expected_mix, is_allowed, shared_out, strata
from pipelines.look.rated_sample import Ratable
from pipelines.look.taking import Taking
from pipelines.mix.benchmark_texts import text_rules
from pipelines.mix.description import DescribeSamples
from pipelines.mix.fingerprints import FingerprintImages, ListReferences
from pipelines.mix.index import IndexReferences
from pipelines.mix.messages import messages_of
from pipelines.mix.rows import WriteMix
from pipelines.mix.selection import PLAN
from pipelines.mix.spread import SpreadMix
from pipelines.snapshot.mix_rows import text_of
from pipelines.sources.images import ImageStore
from pipelines.sources.pictures import picture_folders
from pipelines.sources.read import ReadSource, read_sources
from pipelines.sources.sampled import Sampled, known_records, sample_records
from pipelines.triples.picks import POOL
from pipelines.triples.wrong_labels import WrongLabel
from schemas.recipe import Recipe
from schemas.records import MIX_ROWS, Reason, Unit
from schemas.telling import tell_news

RECORDS = 400  # sampled of a source: what its rules draw other answers from, and what its rejections are counted of
ALL_RECORDS = 2_000  # a source with no more is read as a whole
PICTURED = 24  # samples of a source whose pictures are looked at, at least
_SPARE = 1.5  # ... as a multiple of those previewed: some pictures are no good
_EXAMPLES = 3  # shown of each reason


@dataclass
class Looked:
    """What was seen of one source's sample, and what follows for all of it."""

    source: str
    records: int = 0  # looked at
    samples: int = 0  # of them, with text that the rules keep
    pictured: int = 0  # samples whose pictures were looked at
    usable: int = 0  # ... and can be used
    n_bytes: float = 0.0  # of a usable sample
    all_records: float = 0.0
    counted: bool = True  # these were counted, not estimated
    shows: bool = True  # whether any sample has a picture
    exact: bool = False  # every record and picture was looked at
    told: str = ''  # how the records were found
    reasons: dict[str, int] = field(default_factory=dict)  # 'unit REASON' -> how many
    examples: list[dict] = field(default_factory=list)  # rows of REJECTIONS

    @property
    def clean(self) -> float:
        """Return the samples to be expected of the whole source, before quotas."""
        text = self.samples / self.records if self.records else 0.0
        return self.all_records * text * (self.usable / self.pictured if self.pictured else 0.0)


@dataclass
class SampledMix:
    """A mix file, the picks among its rows (rows of PICKS), other answers for the rules, and the size of each stratum: samples and bytes."""

    files: tuple[str, ...]
    picks: list[dict]
    pool: dict[str, list[list[str]]]
    sizes: dict[tuple, tuple[float, float]]
    looked: list[Looked]
    mix_bytes: float
    ratable: Ratable | None = None  # of a sealed mix None: its samples are rated
    wrong_labels: dict[int, dict[str, WrongLabel]] = field(default_factory=dict)  # of each generator, by sample; of a sealed mix


def sample_mix(recipe: Recipe, root: Path, work: Path, *, sizes: dict[str, Size], n: int) -> SampledMix:
    """Return a mix with what a preview of `n` samples needs; `recipe` is resolved. It lies in work/preview."""
    folder, seed = work / 'preview', recipe.mix.seed
    first = {name: size.samples for name, size in sizes.items()}
    parts = strata(recipe, expected_mix(recipe, first))
    wanted = shared_out({stratum: math.ceil(first[stratum[0]] * (high - low)) for stratum, (low, high) in parts.items()}, n)
    store = ImageStore({name: tuple(str(root / images) for images in source.images) for name, source in recipe.sources.items()},
                       str(folder / 'images'), recipe.images.max_bytes, index=str(work / 'offsets'), linked=picture_folders(recipe, root))
    tables: list[tuple[Table, Table]] = []
    pool, looked, plan = {}, [], []
    for step in read_sources(recipe, root, dict.fromkeys(recipe.sources, {}), folder):
        name = step.name
        need = {stratum: math.ceil(_SPARE * k) + 1 for stratum, k in wanted.items() if stratum[0] == name and k}
        taking = Taking(seed, name, {stratum: parts[stratum] for stratum in need}, need, _mix_share(recipe, first, name))
        seen = _Source(recipe, root, folder / name, step, store, taking).look(sizes[name])
        looked.append(seen.looked)
        pool[name] = seen.pool
        plan += [('train', 0, len(tables), row) for row in seen.rows]
        tables.append((seen.samples, seen.features))
    file, features = _write(recipe, folder, store, tables, plan)
    ratable = _ratable(recipe, (tables, features, store), plan, looked)
    clean = {one.source: one.clean for one in looked}
    mix = expected_mix(recipe, clean)
    for one in looked:
        if not is_allowed(recipe, one.source):
            one.reasons[f'{Unit.SAMPLE} {Reason.LICENCE_NOT_ALLOWED}'] = one.samples
    each = {one.source: one.n_bytes for one in looked}
    cuts = strata(recipe, mix)
    expected = {stratum: (n_ := mix[stratum[0]] * (high - low), n_ * each[stratum[0]]) for stratum, (low, high) in cuts.items()}
    whole = {one.source: not one.told for one in looked}
    picks = [pick for pick in _picks(file, seed, cuts, whole) if pick['prompts']]
    return SampledMix((file,), picks, pool, expected, looked, sum(mix[name] * each[name] for name in mix), ratable)


def _ratable(
    recipe: Recipe, at: tuple[list[tuple[Table, Table]], Table, ImageStore], plan: list[tuple], looked: list[Looked]
) -> Ratable:
    """Return the usable samples among those that were looked at; quotas come after ratings."""
    tables, features, store = at
    rows: dict[str, list[dict]] = {one.source: [] for one in looked if is_allowed(recipe, one.source)}
    ids = [samples.read(columns=['sample_id'])['sample_id'].to_pylist() for samples, _ in tables]
    for _, _, part, row in plan:
        if (source := looked[part].source) in rows:
            sample_id = ids[part][row]
            rows[source].append({'part': part, 'row': row, 'sample_id': sample_id, 'source': source, 'lot': lot(f'{recipe.mix.seed}/{sample_id}')})
    lowest = {source: sorted(some, key=itemgetter('lot', 'sample_id')) for source, some in rows.items()}
    sizes = {one.source: one.clean for one in looked if one.source in rows}
    return Ratable(tuple(samples for samples, _ in tables), features, store, lowest, sizes)


def _mix_share(recipe: Recipe, n: dict[str, float], name: str) -> float:
    """Return which share of a source's clean samples a mix keeps, by their lots."""
    return expected_mix(recipe, n)[name] / n[name] if n[name] else 0.0


@dataclass
class _Seen:
    looked: Looked
    samples: Table
    features: Table
    rows: list[int]  # of `samples`, that can be used
    pool: list[list[str]]


@dataclass
class _Source:
    """One source on its way: records, samples, pictures, features, each by the build's own step."""

    recipe: Recipe
    root: Path
    folder: Path
    step: ReadSource
    store: ImageStore
    taking: Taking

    def look(self, size: Size) -> _Seen:
        """Return what was seen of the source."""
        name, seed = self.step.name, self.recipe.mix.seed
        sampled, all_records = self._sample(size)
        tell_news(f'{name}: {sampled.told or f"{sampled.n:,} of {all_records:,.0f} records"}')
        read = make_here(self.step, self.folder, [sampled.selected])
        samples = pa.concat_tables(read.batches())
        looked = Looked(name, sampled.n, samples.num_rows, all_records=all_records, told=sampled.told, counted=not sampled.told or size.counted)
        looked.shows = any(samples['images'].to_pylist())
        self._count(looked, read)
        different = _different(samples)
        ids = _take(samples, different)['sample_id'].to_pylist()
        first = self.taking.first(ids, known=not sampled.told, spare=1)
        others = [i for i in _lowest(f'{seed}/preview', ids, PICTURED) if i not in set(first)]
        chosen = [different[i] for i in sorted({*first, *others[: max(0, PICTURED - len(first))]})]
        some = self._table('samples', _take(samples, chosen))
        described = self._describe(some, looked)
        rows = [i for i, bad in enumerate(described['bad_image'].to_pylist()) if not bad]
        looked.pictured, looked.usable = len(chosen), len(rows)
        looked.n_bytes = sum(_take(described, rows)['n_bytes'].to_pylist()) / max(1, len(rows))
        looked.exact = not sampled.told and sampled.n == all_records and (len(chosen) == samples.num_rows or not looked.shows)
        features = self._table('features', described.append_column('cluster_ids', described['image_ids']))
        return _Seen(looked, some, features, rows, _pool(_take(samples, different), seed))

    def _sample(self, size: Size) -> tuple[Sampled, float]:
        """Return the records to read, and how many there are."""
        name, seed, source = self.step.name, self.recipe.mix.seed, self.recipe.sources[self.step.name]
        known = known_records(name, source, self.root, seed)
        if known is None:
            return sample_records(name, source, self.root, RECORDS, seed), size.records
        numbers = list(known.numbers())
        if len(numbers) > ALL_RECORDS:
            ids = [f'{name}/{file}#{ordinal}' for file, ordinal in numbers]
            drawn = _lowest(f'{seed}/preview', ids, RECORDS)
            first = self.taking.first([f'{record}/0' for record in ids], known=True, spare=_SPARE)
            return known.take({numbers[i] for i in {*drawn, *first}}), len(numbers)
        return known.take(set(numbers)), len(numbers)

    def _count(self, looked: Looked, read: Table) -> None:
        """Count the rejections of records and samples that were looked at."""
        rows = read.read('rejections').to_pylist()
        for row in rows:
            if row['reason'] == Reason.RECORD_NOT_SELECTED and row['detail'].startswith('not in the seeded subset'):
                continue  # of a batch of rows, not of the sample
            _count(looked, row)

    def _describe(self, some: Table, looked: Looked) -> pa.Table:
        """Return the features of some samples, their pictures looked at."""
        source = self.recipe.sources[self.step.name]
        refs = make_here(ListReferences((some,)), self.folder)
        limits = ImageLimits(**self.recipe.images.model_dump())
        facts = make_here(FingerprintImages(refs, '', source.other_extensions, limits, self.store), self.folder)
        for row in facts.read('rejections').to_pylist():
            _count(looked, row)
        references = make_here(IndexReferences(facts), self.folder)
        rules = text_rules(self.recipe.contamination)
        return make_here(DescribeSamples(some, references, (), rules, self.recipe.mix.seed), self.folder).read()

    def _table(self, name: str, rows: pa.Table) -> Table:
        table = Table(self.folder / f'some-{name}', f'{name} {self.step.name}')
        table.path.mkdir(parents=True)
        pq.write_table(rows, table.path / 'part-00000.parquet')
        return table


def _count(looked: Looked, row: dict) -> None:
    kind = f'{row["unit"]} {row["reason"]}'
    looked.reasons[kind] = looked.reasons.get(kind, 0) + 1
    if looked.reasons[kind] <= _EXAMPLES and row['reason'] != Reason.TURN_NOT_SELECTED:
        looked.examples.append(row)


def _different(samples: pa.Table) -> list[int]:
    """Return the numbers of the samples without those that say and show the same as one before."""
    seen: dict[bytes, int] = {}
    for i, (turns, images) in enumerate(zip(samples['turns'].to_pylist(), samples['images'].to_pylist(), strict=True)):
        seen.setdefault(hashlib.sha256(json.dumps([turns, images]).encode()).digest(), i)
    return list(seen.values())


def _take(rows: pa.Table, numbers: list[int]) -> pa.Table:
    return rows.take(pa.array(numbers, pa.int64()))


def _pool(samples: pa.Table, seed: str) -> list[list[str]]:
    """Return [question, answer] of the samples that the rules may draw other answers from, as PickSamples does."""
    lowest = _take(samples, _lowest(f'{seed}/pool', samples['sample_id'].to_pylist(), POOL))
    messages = messages_of(lowest['turns'].combine_chunks()).to_pylist()
    return [[text_of(message).replace(IMAGE, '').strip() for message in some[-2:]] for some in messages]


def _lowest(salt: str, ids: list[str], n: int) -> list[int]:
    """Return the numbers of the `n` ids with the lowest lots, lowest first."""
    return [i for _, _, i in heapq.nsmallest(n, ((lot(f'{salt}/{one}'), one, i) for i, one in enumerate(ids)))]


def _write(recipe: Recipe, folder: Path, store: ImageStore, tables: list[tuple[Table, Table]], plan: list[tuple]) -> tuple[str, Table]:
    """Return the file of the mix's rows, and the features of all sources."""
    planned, features = Table(folder / 'plan'), Table(folder / 'features')
    for table in (planned, features):
        table.path.mkdir()
    pq.write_table(pa.Table.from_pylist([dict(zip(PLAN.names, row, strict=True)) for row in plan], PLAN), planned.path / 'part-00000.parquet')
    for i, (_, described) in enumerate(tables):
        (features.path / f'part-{i:05d}.parquet').symlink_to(described.parts()[0])
    revisions = {name: source.revision for name, source in recipe.sources.items()}
    answers = {name: source.answers for name, source in recipe.sources.items()}
    spreading = SpreadMix(planned, tuple(samples for samples, _ in tables), features, revisions, answers)
    if plan:
        writing = WriteMix(planned, make_here(spreading, folder), store, MIX_ROWS)
        return str(make_here(writing, folder, [0]).parts()[0]), features
    pq.write_table(MIX_ROWS.empty_table(), folder / 'nothing.parquet')
    return str(folder / 'nothing.parquet'), features


def _picks(file: str, seed: str, cuts: dict[tuple, tuple[float, float]], whole: dict[str, bool]) -> list[dict]:
    """Return the rows of PICKS: every sample of the mix with the prompts that its lot, or its rank where that is none, gives it."""
    rows = pq.read_table(file, columns=['sample_id', 'source', 'n_bytes']).to_pylist()
    takings = {name: Taking(seed, name, {stratum: cut for stratum, cut in cuts.items() if stratum[0] == name}, {}, 1.0) for name in whole}
    picks = []
    for i, row in enumerate(rows):
        taking = takings[row['source']]
        stratum = taking.stratum(taking.place(row['sample_id'], known=whole[row['source']]))
        picks.append({**row, 'split': 'train', 'file': 0, 'row': i, 'prompts': list(stratum[1:]) if stratum else []})
    return picks
