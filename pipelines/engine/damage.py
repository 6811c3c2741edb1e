"""What to do when something breaks that a damaged table may explain: its files are compared to the byte, and what is not what was written goes."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pipelines.engine.tables import Table
from pipelines.engine.uses import Uses
from schemas.endings import is_order_to_stop
from schemas.errors import DamagedTable, UserError
from schemas.telling import tell_news

_OF_FILES = frozenset({None, errno.EIO, errno.ENOENT, errno.EINVAL})  # of an OSError: what a damaged file can be the reason of


def may_explain(e: Exception) -> bool:
    """Return whether a damaged table may be the reason of an error: none of what is said to a user, of a full disk, of a lack of memory, of an
    order to stop."""
    if isinstance(e, UserError):
        return isinstance(e, DamagedTable)
    return not is_order_to_stop(e) and not isinstance(e, MemoryError) and not (isinstance(e, OSError) and e.errno not in _OF_FILES)


def drop_damaged(e: Exception, tables: list[Table]) -> list[str]:
    """Return what is damaged of some tables, which is dropped: the next run makes it again."""
    found = []
    for table in tables:
        for index in range((table.said() or {}).get('shards', 0)):
            if fault := table.fault(index, whole=True):
                found.append(f'{table.path}: {fault}')
                with suppress(OSError):  # who only looks may have no right to write
                    table.drop(index)
    missing = Path(e.filename) if isinstance(e, FileNotFoundError) and e.filename else Path()
    for table in tables:
        if table.path == missing.parent and (n := (table.said() or {}).get('shards', 0)):  # of an earlier version, which noted no names
            found.append(f'{missing}: it is missing')
            with suppress(OSError):
                for index in range(n):
                    table.drop(index)
    return found


def mended(e: Exception, work: Path, out: Path) -> bool:
    """Return whether damaged tables of a build explain an error; they are dropped and told, so that the build may go on."""
    if not may_explain(e):
        return False
    if isinstance(e, DamagedTable):
        tell_news(str(e))
        return True
    tell_news(f'stopped by {type(e).__name__}: looking whether something damaged is the reason, which reads all tables of this build')
    found = drop_damaged(e, [table for kind in ('mix', 'triples') for table in all_tables(Uses(work, out, kind))])
    for fault in found:
        tell_news(f'{fault}: made again')
    return bool(found)


def all_tables(uses: Uses) -> list[Table]:
    """Return all tables that a build uses."""
    return [Table(uses.work / key, key.partition('/')[0]) for key in sorted(uses.keys)]


@contextmanager
def damage_told(uses: Uses) -> Iterator[None]:
    """Say of an error within the block which damaged table of a build is the reason of it, where one is."""
    try:
        yield
    except Exception as e:
        if isinstance(e, UserError) or not may_explain(e) or not (found := drop_damaged(e, all_tables(uses))):
            raise
        raise DamagedTable(f'{found[0]}; run phantom build again as before: it is made anew from what is stored, nothing is asked twice') from e
