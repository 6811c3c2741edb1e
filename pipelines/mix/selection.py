"""The decision on every sample, and the order and output shard of those that are kept. Narrow columns only; no pixels, no text."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from curation.selection.select import CODE, KEPT, REASONS, MixRules, SampleKeys, select, share
from curation.selection.votes import Votes
from pipelines.engine.step import Step
from pipelines.engine.tables import ShardWriter, Table
from pipelines.mix.excluded import UNKNOWN, tags_by_id
from pipelines.mix.index import ImageIndex
from pipelines.mix.rated import Drop, highest, read_narrow, reason_for
from pipelines.snapshot.rejections import OUT, write_out
from schemas.records import Reason, Unit

STEP = 'select'
REPEATED = ['source', 'licence', 'bad_image', 'contamination']
PLAN = pa.schema([('split', pa.string()), ('shard', pa.int32()), ('part', pa.int32()), ('row', pa.int32())])


@dataclass(frozen=True)
class SelectMix(Step):
    """Writes `part` (PLAN: kept rows in output order) and `out` (OUT: the others with their reasons). One shard."""

    TABLE = 'plan'
    VERSION = 6

    index: Table
    features: Table
    sources: list[str]
    licences: list[str]
    drop_contaminated: bool
    max_per_near_duplicate: int | None
    quotas: dict[str, int]
    categories: dict[str, str]  # source -> category
    weights: dict[str, float]
    total: int | None
    category_quotas: dict[str, int]
    validation_fraction: float
    shard_bytes: int
    seed: str
    ratings: tuple[Table, ...] = ()  # RATED, of models
    given_ratings: tuple[Table, ...] = ()  # RATED, of files
    drop: tuple[Drop, ...] = ()
    contradictions: tuple[Table, ...] = ()  # one, where any of them leave something out
    majority_stays: bool = False
    text_stars: tuple[Table, ...] = ()  # one, where samples of near texts are capped
    max_per_near_text: int = 1
    paraphrases: tuple[Table, ...] = ()  # one for each source, where those of benchmarks are left out
    excluded: tuple[Table, ...] = ()  # EXCLUDED, one where lists name what is left out

    @cached_property
    def _images(self) -> ImageIndex:
        return ImageIndex(self.index.path)

    def process(self, shard: int, writer: ShardWriter) -> None:
        narrow = read_narrow_features(self.features.parts())
        table = narrow.table
        low = self._rated_low(table)
        verdict = select(
            self._keys(narrow, low),
            MixRules(
                drop_contaminated=self.drop_contaminated,
                max_per_near_duplicate=self.max_per_near_duplicate,
                quotas={self.sources.index(name): most for name, most in self.quotas.items()},
                weights={self.sources.index(name): weight for name, weight in self.weights.items()},
                total=self.total,
                category_quotas={_categories(self.categories).index(name): most for name, most in self.category_quotas.items()},
                max_per_near_text=self.max_per_near_text,
            ),
        )
        self._write_unknown(table, verdict, writer)
        write_out(writer, pa.Table.from_pandas(self._explain(narrow, verdict, low), OUT, preserve_index=False))
        for source, n in table['source'][verdict == KEPT].value_counts(sort=False).items():
            if n:
                writer.count_kept(Unit.SAMPLE, source, int(n))
        kept = table.loc[verdict == KEPT, ['sample_id', 'part', 'row', 'n_bytes']]
        narrow.table = table = table[:0]  # the largest part of the memory
        writer.counts['bytes'] = int(kept['n_bytes'].sum())
        plan = self._plan(kept, narrow.stars)
        writer.counts['shards'] = int(plan['shard'].max()) + 1 if len(plan) else 0
        writer.write('part', pa.Table.from_pandas(plan, PLAN, preserve_index=False))

    def _keys(self, narrow: '_Narrow', low: dict[str, tuple[np.ndarray, np.ndarray]]) -> SampleKeys:
        keys = keys_of(narrow, sources=self.sources, categories=self.categories, licences=self.licences)
        return replace(
            keys,
            contaminated=keys.contaminated | np.isin(np.arange(len(narrow.table)), list(self._reworded(narrow))),
            rated_low=(*self._tagged_out(narrow), *((reason_for(ask), scores < below) for ask, (scores, below) in low.items())),
            votes=self._votes(narrow),
            text_cluster=self._text_clusters(narrow) if self.text_stars else None,
        )

    def _rated_low(self, table: pd.DataFrame) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Return, for each question by which samples are left out, float64[N] ratings (NaN: none) and float64[N] what is too low (NaN: nothing)."""
        if not self.drop:
            return {}
        starts = np.append(0, np.cumsum(np.bincount(table['part'])))
        asked, given = read_narrow(self.ratings), read_narrow(self.given_ratings)
        sources, found = table['source'].to_numpy(object), {}
        for ask in dict.fromkeys(drop.ask for drop in self.drop):
            drops = [drop for drop in self.drop if drop.ask == ask]
            heard = pa.array([drop.source for drop in drops if drop.models], pa.string())
            by_models = asked.filter(pc.and_(pc.equal(asked['ask'], ask), pc.is_in(asked['source'], heard)))
            scores = highest(pa.concat_tables([by_models, given.filter(pc.equal(given['ask'], ask))]), starts, len(table))
            below = pd.Series(sources).map({drop.source: drop.below for drop in drops}).to_numpy(np.float64)
            found[ask] = scores, below
        return found

    def _tagged_out(self, narrow: '_Narrow') -> Iterator[tuple[Reason, np.ndarray]]:
        if self.excluded:
            yield Reason.EXCLUDED, narrow.table['sample_id'].isin(tags_by_id(self.excluded)).to_numpy(bool)

    def _write_unknown(self, table: pd.DataFrame, verdict: np.ndarray, writer: ShardWriter) -> None:
        """Write the listed ids that name neither a sample that was read nor a triple of one."""
        if self.excluded:
            names = set(table['sample_id'])
            unknown = [each for each in tags_by_id(self.excluded) if each not in names and each.rpartition('/')[0] not in names]
            writer.write('unknown', pa.table({'id': unknown}, UNKNOWN))
            writer.counts['excluded'] = int((verdict == CODE[Reason.EXCLUDED]).sum())

    def _reworded(self, narrow: '_Narrow') -> dict[int, str]:
        """Return the evidence of the samples that surely ask an item of a benchmark in other words, by their places."""
        found: dict[int, str] = {}
        part = 0
        for table in self.paraphrases:
            for path in table.parts():  # one for each part of the samples
                rows = pq.ParquetFile(path).read(['row', 'sure', 'evidence'], use_threads=False)
                for row, sure, evidence in zip(*(rows[name].to_pylist() for name in rows.column_names), strict=True):
                    if sure:
                        found[int(narrow.starts[part]) + row] = evidence
                part += 1
        return found

    def _text_clusters(self, narrow: '_Narrow') -> np.ndarray:
        """Return int64[N]: the first sample of the cluster of near texts that each is in; copies are where their first is."""
        cluster = np.arange(len(narrow.content))
        for stars in self.text_stars:
            found = stars.read(columns=['place', 'first'])
            cluster[found['place'].to_numpy()] = found['first'].to_numpy()
        usable = np.flatnonzero((narrow.table['bad_image'] == '').to_numpy(bool))
        _, first, which = np.unique(narrow.content[usable], return_index=True, return_inverse=True)
        cluster[usable] = cluster[usable[first[which]]]
        return cluster

    def _votes(self, narrow: '_Narrow') -> Votes | None:
        """Return the answers that others contradict."""
        for contradictions in self.contradictions:
            rows = contradictions.read(columns=['part', 'row', 'group', 'class', 'against', 'computed']).combine_chunks()
            against = rows['against']
            return Votes(
                sample=narrow.places(rows['part'].to_numpy(), rows['row'].to_numpy()),
                group=rows['group'].to_numpy(),
                of=rows['class'].to_numpy().astype(np.int64),
                against=pc.list_flatten(against).to_numpy().astype(np.int64),
                n_against=pc.list_value_length(against).to_numpy().astype(np.int64),
                computed=rows['computed'].to_numpy(),
                majority_stays=self.majority_stays,
            )
        return None

    def _explain(self, narrow: '_Narrow', verdict: np.ndarray, low: dict[str, tuple[np.ndarray, np.ndarray]]) -> pd.DataFrame:
        """Return OUT: each sample left out, with its reason and what that reason saw."""
        out = np.flatnonzero(verdict != KEPT)
        details = np.empty(len(out), object)
        for code in np.unique(verdict[out]).tolist():
            of_reason = np.flatnonzero(verdict[out] == code)
            details[of_reason] = _ratings_told(REASONS[code], out[of_reason], low) or self._details(REASONS[code], out[of_reason], narrow)
        reasons = np.array([str(reason) for reason in REASONS], object)[verdict[out]]
        rows = narrow.table.iloc[out]
        return pd.DataFrame({'part': rows['part'], 'row': rows['row'], 'reason': reasons, 'detail': details})

    def _details(self, reason: Reason, rows: np.ndarray, narrow: '_Narrow') -> list[str]:
        """Return what a reason saw of each of the samples that it leaves out."""
        some = narrow.table.iloc[rows]
        match reason:
            case Reason.BAD_IMAGE:
                return some['bad_image'].tolist()
            case Reason.CONTAMINATED:
                told = self._reworded(narrow)
                return [found or told[row] for found, row in zip(some['contamination'], rows.tolist(), strict=True)]
            case Reason.LICENCE_NOT_ALLOWED:
                return [f'licence {licence}' for licence in some['licence']]
            case Reason.CONTRADICTED_ANSWER:
                return self._against(rows, narrow)
            case Reason.DUPLICATE_SAMPLE:
                return self._copies(rows, narrow)
            case Reason.EXCLUDED:
                tags = tags_by_id(self.excluded)
                return [f'tagged {tags[name]}' for name in some['sample_id']]
            case Reason.NEAR_DUPLICATE_TEXT:
                return self._near_texts(rows, narrow)
            case Reason.NEAR_DUPLICATE_CAP:
                stars = narrow.stars.take(rows).to_pylist()
                ids = [' or '.join(dict.fromkeys(map(self._images.id, of_sample))) for of_sample in stars]
                most = self.max_per_near_duplicate
                return [f'star of {star} has {most} already; lot {lot}' for star, lot in zip(ids, some['lot'], strict=True)]
        shares = {source: f'quota or share of {source} ({category}) filled by lower lots; lot' for source, category in self.categories.items()}
        return [f'{shares[source]} {lot}' for source, lot in zip(some['source'], some['lot'], strict=True)]

    def _against(self, rows: np.ndarray, narrow: '_Narrow') -> list[str]:
        """Return the group of each of some samples side by side, as JSON: of several the first that it loses."""
        lost: dict[int, str] = {}
        won: dict[int, str] = {}  # by all votes, but not by those of samples that are not rated out
        for contradictions in self.contradictions:
            found = contradictions.read(columns=['part', 'row', 'wins', 'told'])
            places = narrow.places(found['part'].to_numpy(), found['row'].to_numpy()).tolist()
            for place, wins, text in zip(places, found['wins'].to_pylist(), found['told'].to_pylist(), strict=True):
                (won if wins and self.majority_stays else lost).setdefault(place, text)
        return [lost.get(row) or won[row] for row in rows.tolist()]

    def _near_texts(self, rows: np.ndarray, narrow: '_Narrow') -> list[str]:
        """Return which text each of some samples is near to: the first of its cluster, or what is near to it where it is the first itself."""
        cluster = self._text_clusters(narrow)
        others = np.setdiff1d(np.arange(len(cluster)), rows)
        firsts, at = np.unique(cluster[others], return_index=True)
        beside = others[at[np.searchsorted(firsts, cluster[rows])]]  # one of its cluster that is not left out for this reason
        names, lots = narrow.table['sample_id'], narrow.table['lot']
        most = self.max_per_near_text
        return [f'nearly the same text as {names.iloc[other]}, in the cluster of {names.iloc[first]}, which has {most} already; lot {lot}'
                for other, first, lot in zip(beside.tolist(), cluster[rows].tolist(), lots.iloc[rows], strict=True)]

    def _copies(self, rows: np.ndarray, narrow: '_Narrow') -> list[str]:
        """Return of which sample each of some is a copy, and how exact a one."""
        content = narrow.content
        is_copy = np.zeros(len(content), bool)
        is_copy[rows] = True
        others = np.flatnonzero(~is_copy & np.isin(content, content[rows]))
        held, first = np.unique(content[others], return_index=True)  # of equal ones the first
        originals = others[first[np.searchsorted(held, content[rows])]]
        looked = np.union1d(rows, originals)
        digests = self._digests(narrow.table.iloc[looked])
        exactly = digests[np.searchsorted(looked, rows)] == digests[np.searchsorted(looked, originals)]
        shows = pc.list_value_length(narrow.stars.take(rows)).to_numpy() > 0
        names = narrow.table['sample_id'].iloc[originals]
        return [f'{_alike(exactly=a, pictures=b)} as {name}' for a, b, name in zip(exactly.tolist(), shows.tolist(), names, strict=True)]

    def _digests(self, some: pd.DataFrame) -> np.ndarray:
        """Return the sha256 of text and image ids of some samples, in order of their parts: equal to the byte or not. A part is opened once."""
        parts = self.features.parts()
        found = [np.empty(0, object)]
        for part, rows in some.groupby('part', sort=True)['row']:
            digests = pq.ParquetFile(parts[part]).read(columns=['content_sha'], use_threads=False)['content_sha']
            found.append(digests.take(rows.to_numpy()).to_numpy())
        return np.concatenate(found)

    def _plan(self, kept: pd.DataFrame, all_stars: pa.ChunkedArray) -> pd.DataFrame:
        """Return the kept rows by split, then first appearance of their image, so that equal images are neighbours."""
        stars = all_stars.take(kept.index.to_numpy())
        kept = kept.assign(split=self._split(kept, stars)).drop(columns='sample_id')
        lengths = pc.list_value_length(stars).to_numpy()
        group = -1 - np.arange(len(kept))  # a sample without a picture is alone
        group[lengths > 0] = pc.list_flatten(stars).to_numpy()[(np.cumsum(lengths) - lengths)[lengths > 0]]
        kept = kept.assign(first=pd.factorize(group)[0]).sort_values(['split', 'first', 'part', 'row'], kind='stable')
        kept['filled'] = kept.groupby('split')['n_bytes'].cumsum() - 1
        kept['shard'] = kept.groupby('split')['filled'].transform(lambda filled: filled // self.shard_bytes)
        kept['shard'] = kept.groupby(['split', 'shard'], sort=True).ngroup().astype(np.int32)
        return kept[['split', 'shard', 'part', 'row']]

    def _split(self, kept: pd.DataFrame, stars: pa.ChunkedArray) -> np.ndarray:
        """Return 'train' or 'validation' per sample; samples that share a star, even through a third, fall together."""
        if self.validation_fraction == 0 or kept.empty:
            return np.full(len(kept), 'train', object)
        owners = np.repeat(np.arange(len(kept)), pc.list_value_length(stars).to_numpy())
        codes = np.unique(pc.list_flatten(stars).to_numpy(), return_inverse=True)[1]
        n = len(kept) + (int(codes.max()) + 1 if len(codes) else 0)
        edges = coo_array((np.ones(len(owners), bool), (owners, codes + len(kept))), shape=(n, n))
        component = connected_components(edges, directed=False)[1][: len(kept)]
        name = kept['sample_id'].groupby(component).transform('min')
        return np.array(['validation' if share(f'{self.seed}/split/{n}') < self.validation_fraction else 'train' for n in name], object)


def keys_of(narrow: '_Narrow', *, sources: list[str], categories: dict[str, str], licences: list[str]) -> SampleKeys:
    """Return what a selection looks at; `categories`: of each source, `licences`: those that are taken, none for all."""
    table = narrow.table
    codes = {name: code for code, name in enumerate(sources)}
    numbers = {name: _categories(categories).index(category) for name, category in categories.items()}
    allowed = {licence: set(licence.split(' AND ')) <= set(licences) for licence in table['licence'].unique()}
    return SampleKeys(
        source=table['source'].map(codes).to_numpy(np.int32),
        category=table['source'].map(numbers).to_numpy(np.int32),
        licence_ok=table['licence'].map(allowed).to_numpy(bool) if licences else np.ones(len(table), bool),
        bad_image=(table['bad_image'] != '').to_numpy(bool),
        contaminated=(table['contamination'] != '').to_numpy(bool),
        content=narrow.content,
        stars=pc.list_flatten(narrow.stars).to_numpy(),
        n_stars=pc.list_value_length(narrow.stars).to_numpy(),
        lot=table['lot'].to_numpy(np.uint64),
    )


def _categories(categories: dict[str, str]) -> list[str]:
    return sorted(set(categories.values()))


def _ratings_told(reason: Reason, rows: np.ndarray, low: dict[str, tuple[np.ndarray, np.ndarray]]) -> list[str]:
    """Return which rating left samples out, and below what; [] for another reason."""
    told = dict.fromkeys(rows.tolist(), '')
    for ask, (scores, below) in low.items():
        if reason_for(ask) == reason:
            for row in rows[scores[rows] < below[rows]].tolist():
                told[row] = told[row] or f'{ask} {scores[row]:.4g}, expected at least {below[row]:.4g}'
    return list(told.values()) if any(told.values()) else []


def _alike(*, exactly: bool, pictures: bool) -> str:
    """Return in how far a sample is the same as another: to the byte, or in what decides (textmatch.strict, and stars)."""
    if exactly:
        return 'same question, answer and pictures'
    text = 'same question and answer in strict form (but for blanks, line ends or Unicode composition)'
    return f'{text} and the same or near-duplicate pictures' if pictures else text


@dataclass
class _Narrow:
    """One narrow row per sample, about 100 bytes: words that repeat are categories, and stars stay Arrow, beside the table."""

    table: pd.DataFrame
    content: np.ndarray  # S16[N]
    stars: pa.ChunkedArray
    starts: np.ndarray  # int64[parts], where the rows of each part begin

    def places(self, part: np.ndarray, row: np.ndarray) -> np.ndarray:
        """Return int64[K]: which samples some rows of parts are."""
        return self.starts[part] + row


def read_narrow_features(parts: list[Path]) -> _Narrow:
    columns = ['sample_id', 'source', 'licence', 'same_as', 'lot', 'n_bytes', 'bad_image', 'contamination', 'stars']
    read = [pq.ParquetFile(path, read_dictionary=REPEATED).read(columns=columns, use_threads=False) for path in parts]
    sizes = [part.num_rows for part in read]
    arrow = pa.concat_tables(read).unify_dictionaries()
    del read
    content = b''.join(chunk.buffers()[1][16 * chunk.offset : 16 * (chunk.offset + len(chunk))] for chunk in arrow['same_as'].chunks)
    stars = arrow['stars']
    table = arrow.drop(['same_as', 'stars']).to_pandas(self_destruct=True, split_blocks=True)
    table['part'] = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)
    table['row'] = np.concatenate([np.arange(size, dtype=np.int32) for size in sizes])
    return _Narrow(table, np.frombuffer(content, 'S16'), stars, np.cumsum([0, *sizes[:-1]]))
