"""The decision on every sample, and the order and output shard of those that are kept. Narrow columns only; no pixels, no text."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from curation.selection.select import KEPT, REASONS, MixRules, SampleKeys, select, share
from pipelines.engine.step import Step
from pipelines.engine.tables import ShardWriter, Table
from pipelines.mix.index import ImageIndex
from pipelines.snapshot.rejections import OUT, write_out
from schemas.records import Reason, Unit

STEP = 'select'
REPEATED = ['source', 'licence', 'bad_image', 'contamination']
PLAN = pa.schema([('split', pa.string()), ('shard', pa.int32()), ('part', pa.int32()), ('row', pa.int32())])


@dataclass(frozen=True)
class SelectMix(Step):
    """Writes `part` (PLAN: kept rows in output order) and `out` (OUT: the others with their reasons). One shard."""

    TABLE = 'plan'
    VERSION = 5

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

    @cached_property
    def _images(self) -> ImageIndex:
        return ImageIndex(self.index.path)

    def process(self, shard: int, writer: ShardWriter) -> None:
        narrow = _read(self.features.parts())
        table = narrow.table
        verdict = select(
            self._keys(narrow),
            MixRules(
                drop_contaminated=self.drop_contaminated,
                max_per_near_duplicate=self.max_per_near_duplicate,
                quotas={self.sources.index(name): most for name, most in self.quotas.items()},
                weights={self.sources.index(name): weight for name, weight in self.weights.items()},
                total=self.total,
                category_quotas={self._categories().index(name): most for name, most in self.category_quotas.items()},
            ),
        )
        write_out(writer, pa.Table.from_pandas(self._explain(narrow, verdict), OUT, preserve_index=False))
        for source, n in table['source'][verdict == KEPT].value_counts(sort=False).items():
            if n:
                writer.count_kept(Unit.SAMPLE, source, int(n))
        kept = table.loc[verdict == KEPT, ['sample_id', 'part', 'row', 'n_bytes']]
        narrow.table = table = table[:0]  # the largest part of the memory
        writer.counts['bytes'] = int(kept['n_bytes'].sum())
        plan = self._plan(kept, narrow.stars)
        writer.counts['shards'] = int(plan['shard'].max()) + 1 if len(plan) else 0
        writer.write('part', pa.Table.from_pandas(plan, PLAN, preserve_index=False))

    def _keys(self, narrow: '_Narrow') -> SampleKeys:
        table = narrow.table
        codes = {name: code for code, name in enumerate(self.sources)}
        categories = {name: self._categories().index(category) for name, category in self.categories.items()}
        allowed = {licence: set(licence.split(' AND ')) <= set(self.licences) for licence in table['licence'].unique()}
        return SampleKeys(
            source=table['source'].map(codes).to_numpy(np.int32),
            category=table['source'].map(categories).to_numpy(np.int32),
            licence_ok=table['licence'].map(allowed).to_numpy(bool) if self.licences else np.ones(len(table), bool),
            bad_image=(table['bad_image'] != '').to_numpy(bool),
            contaminated=(table['contamination'] != '').to_numpy(bool),
            content=narrow.content,
            stars=pc.list_flatten(narrow.stars).to_numpy(),
            n_stars=pc.list_value_length(narrow.stars).to_numpy(),
            lot=table['lot'].to_numpy(np.uint64),
        )

    def _categories(self) -> list[str]:
        return sorted(set(self.categories.values()))

    def _explain(self, narrow: '_Narrow', verdict: np.ndarray) -> pd.DataFrame:
        """Return OUT: each sample left out, with its reason and what that reason saw."""
        table, content = narrow.table, narrow.content
        is_copy = verdict == REASONS.index(Reason.DUPLICATE_SAMPLE)
        originals = np.flatnonzero(~is_copy & np.isin(content, content[is_copy]))[::-1]  # reversed: the first of equals wins
        original = dict(zip(content[originals].tolist(), originals.tolist(), strict=True))
        digests = self._digests(table.iloc[np.union1d(np.flatnonzero(is_copy), list(original.values())).astype(np.int64)])
        out = table[verdict != KEPT]
        reasons = [REASONS[code] for code in verdict[verdict != KEPT]]
        details = [self._detail(reason, row, (narrow, original, digests)) for reason, row in zip(reasons, out.itertuples(), strict=True)]
        return pd.DataFrame({'part': out['part'], 'row': out['row'], 'reason': [str(reason) for reason in reasons], 'detail': details})

    def _digests(self, some: pd.DataFrame) -> dict[int, str]:
        """Return the sha256 of text and image ids of some samples, by their index: equal to the byte or not."""
        found: dict[int, str] = {}
        for part, rows in some.groupby('part')['row']:
            digests = pq.read_table(self.features.parts()[part], columns=['content_sha'])['content_sha'].take(rows.to_numpy())
            found.update(zip(rows.index.tolist(), digests.to_pylist(), strict=True))
        return found

    def _detail(self, reason: Reason, row: Any, known: tuple['_Narrow', dict[bytes, int], dict[int, str]]) -> str:
        narrow, original, digests = known
        match reason:
            case Reason.BAD_IMAGE:
                return row.bad_image
            case Reason.CONTAMINATED:
                return row.contamination
            case Reason.LICENCE_NOT_ALLOWED:
                return f'licence {row.licence}'
            case Reason.DUPLICATE_SAMPLE:
                first = original[narrow.content[row.Index]]
                alike = _alike(exactly=digests[row.Index] == digests[first], pictures=len(narrow.stars[row.Index]) > 0)
                return f'{alike} as {narrow.table["sample_id"].iloc[first]}'
            case Reason.NEAR_DUPLICATE_CAP:
                stars = ' or '.join(dict.fromkeys(self._images.id(star) for star in narrow.stars[row.Index].as_py()))
                return f'star of {stars} has {self.max_per_near_duplicate} already; lot {row.lot}'
        return f'quota or share of {row.source} ({self.categories[row.source]}) filled by lower lots; lot {row.lot}'

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


def _read(parts: list[Path]) -> _Narrow:
    columns = ['sample_id', 'source', 'licence', 'same_as', 'lot', 'n_bytes', 'bad_image', 'contamination']
    read = [pq.read_table(path, columns=columns, read_dictionary=REPEATED) for path in parts]
    sizes = [part.num_rows for part in read]
    arrow = pa.concat_tables(read).unify_dictionaries()
    del read
    content = b''.join(chunk.buffers()[1][16 * chunk.offset : 16 * (chunk.offset + len(chunk))] for chunk in arrow['same_as'].chunks)
    stars = pa.chunked_array([pq.read_table(path, columns=['stars'])['stars'].combine_chunks() for path in parts])
    table = arrow.drop(['same_as']).to_pandas(self_destruct=True, split_blocks=True)
    table['part'] = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)
    table['row'] = np.concatenate([np.arange(size, dtype=np.int32) for size in sizes])
    return _Narrow(table, np.frombuffer(content, 'S16'), stars)
