"""What changed between two snapshots of a kind: rows added, removed and changed, and how the reasons of what was left out moved.

DuckDB joins ids and row hashes straight from the Parquet files; pictures are compared by their ids.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from rich.markup import escape
from rich.table import Table

from pipelines.engine.changes import settings_changed
from pipelines.snapshot.own_prompts import own_prompts
from schemas.errors import UserError
from schemas.json_text import print_json
from schemas.refusals import refusal_of
from schemas.snapshot import Snapshot, did_you_mean, open_snapshot
from schemas.telling import print_table

ID_COLUMN = {'mix': 'sample_id', 'triples': 'triple_id'}
EXAMPLES = 5  # of each kind of change
CHANGES = 20  # of the recipe that are shown to people
UNITS = {'mix': ('sample', 'record'), 'triples': ('candidate', 'sample')}  # what a row is, and what it was made from
KEPT, ABSENT = 'kept', 'not there'
# where a row is not there its sample (or record) may have been left out: an id is its parent's id, a slash and a name
_MOVED = f"""CREATE TABLE moved AS
    WITH joined AS (SELECT coalesce(a.id, b.id) AS id, a.state AS a_state, b.state AS b_state,
                           regexp_replace(coalesce(a.id, b.id), '/[^/]*$', '') AS parent
                    FROM a_states a FULL JOIN b_states b ON a.id = b.id WHERE a.state IS DISTINCT FROM b.state)
    SELECT j.id, coalesce(a_state, ap.state, '{ABSENT}') AS before, coalesce(b_state, bp.state, '{ABSENT}') AS after
    FROM joined j LEFT JOIN a_parents ap ON j.parent = ap.id LEFT JOIN b_parents bp ON j.parent = bp.id"""


@dataclass(frozen=True, slots=True)
class Moves:
    """How many things went from one state to another, and some of their ids. A state is `kept`, a rejection's reason, or `not there`."""

    before: str
    after: str
    n: int
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Diff:
    """Two snapshots of a kind compared, rows by id. `columns` counts the changed rows by the columns that differ."""

    kind: str
    a: str
    b: str
    same: int
    added: int
    removed: int
    changed: int
    columns: tuple[tuple[str, int], ...]
    changed_examples: tuple[dict, ...]  # {id, column: [before, after], ...}
    moves: tuple[Moves, ...]
    prompts: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())  # the recipe's own, before and after, where they differ
    recipe: tuple[str, ...] = ()  # a sentence for each key of the recipe that differs


def diff_snapshots(a: Path, b: Path) -> Diff:
    """Return what changed from `a` to `b`; raises UserError when one is a mix and the other triples."""
    return diff_rows(a, b)[0]


def diff_rows(a: Path, b: Path) -> tuple[Diff, pa.Table]:
    """Return the same, and of each thing that changed (id, before, after): its states as in Moves, twice `kept` where only columns of it differ."""
    before, after = open_snapshot(a), open_snapshot(b)
    if before.kind != after.kind:
        raise UserError(f'{a} and {b}: expected two snapshots of one kind, found a {before.kind} and a {after.kind}'
                        f'{did_you_mean(b, before.kind) or did_you_mean(a, after.kind)}')
    for snapshot in (before, after):
        snapshot.prove_all()
    try:
        found = _compare(before, after)
    except (duckdb.Error, pa.ArrowException, OSError, KeyError) as e:
        told = (str(e).splitlines() or [type(e).__name__])[0][:200]
        lost = UserError(f'{a} and {b}: expected two snapshots whose rows can be compared, found: {told}; `phantom verify` names their faults')
        raise refusal_of(e, f'{a} and {b}') or lost from e
    finally:
        for snapshot in (before, after):  # DuckDB reads by name: the same bytes still?
            snapshot.prove_all()
    return found


def _compare(before: Snapshot, after: Snapshot) -> tuple[Diff, pa.Table]:
    with duckdb.connect() as db:
        columns = [name for name in _columns(before) if name in _columns(after)]
        for name, snapshot in (('a', before), ('b', after)):
            _load(db, name, snapshot, columns)
        same, changed, added, removed = db.execute("""
            SELECT count(*) FILTER (a.hash = b.hash), count(*) FILTER (a.hash <> b.hash),
                   count(*) FILTER (a.id IS NULL), count(*) FILTER (b.id IS NULL)
            FROM a_rows a FULL JOIN b_rows b ON a.id = b.id""").fetchone() or (0, 0, 0, 0)
        db.execute('CREATE TABLE differing AS SELECT a.id FROM a_rows a JOIN b_rows b ON a.id = b.id WHERE a.hash <> b.hash')
        db.execute(_MOVED)
        by_column, examples = _changed(db, before.kind, columns) if changed else ([], [])
        ids = (before.snapshot_id, after.snapshot_id)
        moves = tuple(_moves(db))
        recipe = tuple(settings_changed(*(snapshot.manifest.get('recipe', {}) for snapshot in (before, after))))
        found = Diff(before.kind, *ids, same, added, removed, changed, tuple(by_column), tuple(examples), moves, _prompts(before, after), recipe)
        return found, db.sql(f"SELECT * FROM moved UNION ALL SELECT id, '{KEPT}', '{KEPT}' FROM differing").to_arrow_table()


def _prompts(before: Snapshot, after: Snapshot) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return how each recipe names the prompts it brought, if that is not the same for both."""
    named = [{prompt.use: str(prompt) for prompt in own_prompts(snapshot.manifest.get('recipe', {}))} for snapshot in (before, after)]
    uses = sorted(use for use in named[0].keys() | named[1].keys() if named[0].get(use) != named[1].get(use))
    first, second = (tuple(one.get(use, f'{use}: none of its own') for use in uses) for one in named)
    return first, second


def _columns(snapshot: Snapshot) -> list[str]:
    names = pq.read_schema(snapshot.path / snapshot.manifest['shards'][0]['file']).names
    return [name for name in names if name != 'images']


def _load(db: duckdb.DuckDBPyConnection, name: str, snapshot: Snapshot, columns: list[str]) -> None:
    listed = ', '.join(f'"{column}"' for column in columns)
    shards = [str(snapshot.path / shard['file']) for shard in snapshot.manifest['shards']]
    db.read_parquet(shards, union_by_name=True).create_view(f'{name}_full')
    db.execute(f'CREATE TABLE {name}_rows AS SELECT {ID_COLUMN[snapshot.kind]} AS id, '
               f'md5(to_json(struct_pack({_packed(columns)}))::VARCHAR) AS hash FROM (SELECT {listed} FROM {name}_full)')
    db.read_parquet([str(snapshot.path / part['file']) for part in snapshot.manifest['rejections']]).create_view(f'{name}_out')
    own, parent = UNITS[snapshot.kind]
    db.execute(f"""CREATE TABLE {name}_states AS SELECT id, '{KEPT}' AS state FROM {name}_rows UNION ALL
        SELECT id, min(reason) FROM {name}_out WHERE unit = '{own}' AND id NOT IN (SELECT id FROM {name}_rows) GROUP BY id""")
    db.execute(f"""CREATE TABLE {name}_parents AS SELECT id, '{parent} ' || min(reason) AS state
        FROM {name}_out WHERE unit = '{parent}' GROUP BY id""")


def _packed(columns: Iterable[str]) -> str:
    return ', '.join(f'"{column}" := "{column}"' for column in columns)


def _moves(db: duckdb.DuckDBPyConnection) -> list[Moves]:
    found = db.execute(f"""SELECT before, after, count(*) AS n, list_sort(min(id, {EXAMPLES})) FROM moved
                           GROUP BY 1, 2 ORDER BY n DESC, before, after""").fetchall()
    return [Moves(before, after, n, tuple(examples)) for before, after, n, examples in found]


def _changed(db: duckdb.DuckDBPyConnection, kind: str, columns: list[str]) -> tuple[list[tuple[str, int]], list[dict]]:
    key = ID_COLUMN[kind]
    pair = f'FROM differing d JOIN a_full a ON d.id = a.{key} JOIN b_full b ON d.id = b.{key}'
    counts = ', '.join(f'count(*) FILTER (a."{column}" IS DISTINCT FROM b."{column}")' for column in columns)
    totals = db.execute(f'SELECT {counts} {pair}').fetchone() or ()
    by_column = sorted(((column, n) for column, n in zip(columns, totals, strict=True) if n), key=_by_count)
    shown = ', '.join(f'to_json(a."{column}")::VARCHAR, to_json(b."{column}")::VARCHAR' for column, _ in by_column)
    examples = []
    for found_id, *values in db.execute(f'SELECT d.id, {shown} {pair} ORDER BY d.id LIMIT {EXAMPLES}').fetchall():
        pairs = zip(by_column, zip(values[::2], values[1::2], strict=True), strict=True)
        examples.append({'id': found_id, **{column: [json.loads(x or 'null') for x in both] for (column, _), both in pairs if both[0] != both[1]}})
    return by_column, examples


def _by_count(entry: tuple[str, int]) -> tuple[int, str]:
    return -entry[1], entry[0]


def print_diff(diff: Diff, *, as_json: bool) -> None:
    """Print a diff for people, or all of it as JSON."""
    if as_json:
        print_json(asdict(diff))
        return
    which = f'{diff.kind} {diff.a[:12]} -> {diff.b[:12]}'
    print(f'{which}: {diff.added:,} row(s) added, {diff.removed:,} removed, {diff.changed:,} changed, {diff.same:,} the same')
    for one, other in zip(*diff.prompts, strict=True):
        print(f'prompt of the recipe, {one} -> {other}')
    for change in diff.recipe[:CHANGES]:
        print(f'recipe: {change}')
    if len(diff.recipe) > CHANGES:
        print(f'recipe: {len(diff.recipe) - CHANGES:,} more changes; --json lists them all')
    if diff.moves:
        rows = [(m.before, m.after, f'{m.n:,}', ', '.join(m.examples[:3])) for m in diff.moves]
        print_table(_table('what moved', ('before', 'after', 'n', 'for example'), rows))
    if diff.columns:
        print_table(_table('changed rows by column', ('column', 'n'), [(column, f'{n:,}') for column, n in diff.columns]))
    for example in diff.changed_examples:
        print(f'\n{example["id"]}')
        for column, both in example.items():
            if column != 'id':
                print(f'  {column}: {_short(both[0])}\n  {" " * len(column)}→ {_short(both[1])}')


def _table(title: str, columns: tuple[str, ...], rows: list[tuple]) -> Table:
    table = Table(title=title, title_justify='left')
    for name in columns:
        table.add_column(name, justify='right' if name == 'n' else 'left', overflow='fold')
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    return table


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 200 else text[:200] + ' …'
