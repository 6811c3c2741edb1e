"""`phantom replies stats|compact|verify`: what a reply store holds, made smaller, or checked line by line. `forget` is in pipelines/look."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from pipelines.replies.facts import Alike, Meant, Sum, sums
from pipelines.replies.store import ReplyStore
from schemas.errors import UserError
from schemas.telling import print_table


def tend(what: str, folder: Path, meant: Meant | None = None) -> int:
    """Print the outcome and return the exit status; raises UserError for a folder that is no store or a word that is no verb."""
    if what not in _VERBS:
        raise UserError(f'replies: expected one of {", ".join(_VERBS)}, forget, found {what!r}')
    if meant is not None and meant.anything:
        raise UserError(f'replies {what}: expected no --failures, --model, --revision or --kind, which say what to forget, found one')
    check_store(folder)
    with closing(ReplyStore(folder)) as store:
        return _VERBS[what](store)


def check_store(folder: Path) -> None:
    """Raise UserError for a folder that is no reply store."""
    if not any((folder / part).is_dir() for part in ('segments', 'packs')):  # a copy may lack the empty one
        raise UserError(f'{folder}: expected a reply store (it has segments/), found none; the one of a build is OUT/work/replies')


def stats_table(counted: dict[Alike, Sum]) -> Table:
    """Return how many outcomes there are of each model, revision, kind and server, and what they cost."""
    table = Table(title='stored, final failures too', title_justify='left')
    for name in ('model', 'revision', 'kind', 'served by', 'outcomes', 'prompt tokens', 'completion tokens'):
        table.add_column(name, justify='right' if name in ('outcomes', 'prompt tokens', 'completion tokens') else 'left', overflow='fold')
    for alike, some in counted.items():
        table.add_row(*map(escape, alike), f'{some.n:,}', f'{some.prompt_tokens:,}', f'{some.completion_tokens:,}')
    return table


def _stats(store: ReplyStore) -> int:
    _size(store)
    if counted := sums(store.facts()):
        print_table(stats_table(counted))
    return 0


def _size(store: ReplyStore) -> None:
    found = store.stats()
    print(f'{found.keys:,} replies in {found.segments} segment(s) and {found.packs} pack(s), {found.n_bytes / 1e6:,.1f} MB')


def _compact(store: ReplyStore) -> int:
    print(f'{store.compact(give_up=True):,} rows packed')
    _size(store)
    return 0


def _verify(store: ReplyStore) -> int:
    faults = store.verify()
    print('\n'.join(faults) or 'every reply reads back')
    return 1 if faults else 0


_VERBS: dict[str, Callable[[ReplyStore], int]] = {'stats': _stats, 'compact': _compact, 'verify': _verify}
