"""Triples of a mix that was selected from another one, made of stored replies: what of the other one stands in, and what is told where some lack."""

import shlex
from collections.abc import Iterator

from pipelines.engine.engine import Engine
from pipelines.engine.step import Step, describe
from pipelines.engine.tables import Table
from schemas.errors import NotStored, UserError


def planted_before(engine: Engine, planting: Step) -> Table | None:
    """Return finished planted cases that differ in their samples alone: the same judge on the same sources; None where there are none."""
    wanted = _but_for_samples(describe(planting))
    found = [Table(path, planting.label()) for path in sorted((engine.work / planting.TABLE).glob('[!._]*'))]
    alike = [table for table in found if (said := table.described()) and _but_for_samples(said) == wanted and table.done() is not None]
    if alike and engine.uses is not None and engine.share[0] == 0:
        engine.uses.note(alike[:1])
    return alike[0] if alike else None


def _but_for_samples(described: dict) -> dict:
    return {name: value for name, value in described.items() if name not in ('tables', 'label')}


def never_asked(engine: Engine, picks: Table, missing: NotStored) -> UserError:
    """Return the error for a mix about some of whose samples nobody was asked."""
    samples = set(_sample_ids(picks))
    known = {sample_id for table in _picked_before(engine) for sample_id in _sample_ids(table)}
    out = engine.uses.out if engine.uses else engine.work.parent
    command = f'phantom build RECIPE --out {shlex.quote(str(out))} --work {shlex.quote(str(engine.work))}'
    return UserError(
        f'select: expected stored replies to all that triples of this mix ask, found at least {missing.n:,} call(s) that were never made '
        f'({len(samples - known):,} of {len(samples):,} sample(s) had no place in triples before); the mix is sealed, and `{command}` with the same '
        '--set makes them and none that is stored')


def _picked_before(engine: Engine) -> Iterator[Table]:
    """Yield the picks that models were asked about."""
    for path in sorted((engine.work / 'candidates').glob('[!._]*')):
        asked = Table(path)
        if asked.done() is not None and (described := asked.described()):
            yield from (table for key in described['tables']['picks'] if (table := Table(engine.work / key)).done() is not None)


def _sample_ids(table: Table) -> list[str]:
    return [one for part in table.batches(columns=['sample_id']) for one in part['sample_id'].to_pylist()]
