"""`phantom replies stats|compact|verify`: what a reply store holds, made smaller, or checked line by line."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from pipelines.replies.store import ReplyStore
from schemas.errors import UserError


def tend(what: str, folder: Path) -> int:
    """Print the outcome and return the exit status; raises UserError for a folder that is no store or a word that is no verb."""
    if what not in _VERBS:
        raise UserError(f'replies: expected one of {", ".join(_VERBS)}, found {what!r}')
    if not (folder / 'segments').is_dir():
        raise UserError(f'{folder}: expected a reply store (it has segments/), found none; the one of a build is OUT/work/replies')
    with closing(ReplyStore(folder)) as store:
        return _VERBS[what](store)


def _stats(store: ReplyStore) -> int:
    found = store.stats()
    print(f'{found.keys:,} replies in {found.segments} segment(s) and {found.packs} pack(s), {found.n_bytes / 1e6:,.1f} MB')
    return 0


def _compact(store: ReplyStore) -> int:
    print(f'{store.compact():,} rows packed')
    return _stats(store)


def _verify(store: ReplyStore) -> int:
    faults = store.verify()
    print('\n'.join(faults) or 'every reply reads back')
    return 1 if faults else 0


_VERBS: dict[str, Callable[[ReplyStore], int]] = {'stats': _stats, 'compact': _compact, 'verify': _verify}
