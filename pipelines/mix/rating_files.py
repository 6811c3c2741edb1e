"""Files of ratings that a recipe names, looked at before anything is made: what is wrong, as far as that can be known without the mix."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.mix.given_ratings import read_ratings, refuse_disagreement, refuse_foreign, refuse_unrated
from pipelines.snapshot.apart import DiedApart, apart
from pipelines.sources.files import resolve_source
from schemas.errors import UserError
from schemas.rating import name_of
from schemas.recipe import Recipe

_SAMPLE = r'^(?P<source>[^/]+)/(?P<file>.+)#(?P<ordinal>\d{1,18})/(?P<turn>\d{1,18})$'


@dataclass
class RatingFiles:
    """What was seen of the files of `rate.from`."""

    faults: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def look_at_ratings(recipe: Recipe, root: Path, records: Mapping[str, int]) -> RatingFiles:
    """Return what is wrong with the files of ratings, and what stands in the sound ones; `records`: of sources that were counted."""
    found, rate = RatingFiles(), recipe.rate
    if rate is None or not rate.from_:
        return found
    mix = _Mix(_files_of(recipe, root), records)
    tables: dict[str, pa.Table] = {}
    for path in rate.from_:
        try:
            (tables[path],) = apart(_read, path)
            refuse_foreign(path, tables[path]['sample_id'], pa.array(mix.are_foreign(tables[path]['sample_id']), pa.bool_()))
            found.remarks.append(_seen(path, tables[path]))
        except UserError as e:
            found.faults.append(str(e))
        except DiedApart as e:
            found.faults.append(f'rate.from: {path}: expected a Parquet file of ratings, found one whose bytes end the process that reads them ({e})')
    if len(tables) == len(rate.from_):
        for refuse, arguments in ((refuse_disagreement, (pa.concat_tables(tables.values()), tuple(rate.from_))),
                                  (refuse_unrated, (rate.drop, map(name_of, rate.ask) if rate.model else (), tables.values()))):
            try:
                refuse(*arguments)
            except UserError as e:
                found.faults.append(str(e))
    return found


def _read(path: str) -> Iterator[pa.Table]:
    yield read_ratings(path)


def _seen(path: str, table: pa.Table) -> str:
    counts = table.group_by(['ask', 'by']).aggregate([('score', 'count')]).sort_by([('ask', 'ascending'), ('by', 'ascending')]).to_pylist()
    asked = '; '.join(f'{row["ask"]} by {row["by"]}: {row["score_count"]:,}' for row in counts[:8])
    n = pc.count_distinct(table['sample_id']).as_py()
    return f"rate.from: {path}: ratings of {n:,} samples ({asked}); their sources and files are this recipe's, the build looks for each sample"


def _files_of(recipe: Recipe, root: Path) -> dict[str, set[str] | None]:
    """Return the annotation files of each source, None of one that is not there."""
    found: dict[str, set[str] | None] = {}
    for name, source in recipe.sources.items():
        try:
            found[name] = set(resolve_source(name, source, root).annotations)
        except UserError:  # told where the source is
            found[name] = None
    return found


@dataclass(frozen=True)
class _Mix:
    """Which samples a recipe can have: its sources, their files, and how many records were counted."""

    files: dict[str, set[str] | None]
    records: Mapping[str, int]

    def are_foreign(self, ids: pa.ChunkedArray) -> list[bool]:
        """Return for each id whether no sample of the mix can have it."""
        return [self._is_foreign(one) for one in ids.to_pylist()]

    def _is_foreign(self, sample_id: str) -> bool:
        parts = re.match(_SAMPLE, sample_id, re.DOTALL)
        if parts is None or parts['source'] not in self.files:
            return True
        files, records = self.files[parts['source']], self.records.get(parts['source'])
        if files is not None and parts['file'] not in files:
            return True
        return records is not None and int(parts['ordinal']) >= records
