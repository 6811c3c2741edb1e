"""Which tables of a working folder the next run of a build makes again, and why: damaged, unfinished, or made by another version of a step."""

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from pipelines.engine.step import versions
from pipelines.engine.tables import Table
from pipelines.engine.told import ERROR
from pipelines.engine.uses import Uses
from pipelines.mix import programme as mix
from pipelines.triples import programme as triples

STEPS = (mix, triples)  # all steps are loaded with these: they say which versions there are


def remade(work: Path, out: Path) -> Iterator[str]:
    """Yield a line for each table of the last run that is made again, and why; what is made from it follows."""
    again: dict[str, str] = {}  # by key, the label
    for kind in ('mix', 'triples'):
        uses = Uses(work, out, kind)
        for table in _tables(uses):
            if why := _why(table, again):
                again[table.key] = table.label
                yield f'{kind}: {table.label} is made again: {why}'


def _tables(uses: Uses) -> Iterator[Table]:
    """Yield the tables of a build in the order in which it asks for them, which is that in which they are made."""
    names = dict.fromkeys(key.partition('/')[0] for key in uses.in_order)
    tables = {table.key: table for name in names for table in uses.tables(name)}
    yield from (tables[key] for key in uses.in_order if key in tables)


def _why(table: Table, again: dict[str, str]) -> str:
    described = table.described()
    if described is None:
        return 'it was not begun, or removed since' if not table.path.is_dir() else 'what it is made of is not said any more'
    known = versions().get(described['table'])
    if known is not None and known != described['version']:
        return f'version of the step was {described["version"]}, is {known}'
    if causes := [again[key] for keys in described['tables'].values() for key in keys if key in again]:
        return f'it is made from {", ".join(dict.fromkeys(causes))}'
    if (said := table.said()) is None:
        return _unfinished(table)
    faults = [fault for index in range(said['shards']) if (fault := table.fault(index))]
    return f'{faults[0]}' + (f' (and {len(faults) - 1} more)' if len(faults) > 1 else '') if faults else ''


def _unfinished(table: Table) -> str:
    made = sum(path.name.startswith('shard-') for path in table.path.iterdir())
    return ': '.join(filter(None, (f'it is not finished, {made:,} shard(s) are there and stay', _waits(table))))


def _waits(table: Table) -> str:
    """Return what the run before said of a table that it did not finish."""
    for path in [table.path / ERROR, *sorted(table.path.glob('_PENDING-*.json'))]:
        with suppress(OSError, ValueError, KeyError):
            return str(json.loads(path.read_text('utf-8'))['message'])
    return ''
