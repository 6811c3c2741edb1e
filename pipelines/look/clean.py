"""`phantom clean`: what a build made is removed; what was paid for, and a sealed snapshot, only when that is asked for."""

from collections.abc import Iterable
from contextlib import ExitStack, closing
from pathlib import Path

from filelock import Timeout

from pipelines.engine.clean import LOCK, idle, is_work, prune, remove
from pipelines.engine.locks import held
from pipelines.engine.uses import all_uses
from pipelines.replies.facts import Sum, sums
from pipelines.replies.store import ReplyStore
from schemas.errors import UserError
from schemas.snapshot import KINDS, MANIFEST, look_at

PAID = ('replies', 'batches', 'ledger')  # of a working folder: what models were paid for, what a batch still brings, and what all that cost
_PARTIAL = ('.mix.partial', '.triples.partial')


def clean_build(out: Path, work: Path, *, with_snapshots: bool, with_replies: bool) -> str:
    """Return a sentence on what was removed and what was kept.

    A working folder in OUT goes, one elsewhere loses only what no other build uses. Raises UserError for a folder that holds no build, that is in
    use, or whose work other builds need.
    """
    sealed = [out / kind for kind in KINDS if (out / kind / MANIFEST).is_file()]
    if not (is_work(work) or sealed):
        raise UserError(f'{out}: expected a build (work/, mix/ or triples/), found none; nothing was removed')
    for snapshot in sealed if with_snapshots else []:
        look_at(snapshot)  # a folder of that name which is no snapshot of ours is not ours to remove
    with ExitStack() as stack:
        if is_work(work):
            stack.enter_context(idle(work))
            _refuse_others(work, out, with_replies=with_replies)
        for folder in (out, *(sealed if with_snapshots else ())):
            try:
                stack.enter_context(held(folder))
            except Timeout as e:
                raise UserError(f'{folder}: expected nobody to use it, found a build, a gallery or another verb that does; stop it, '
                                'then try again') from e
        paid = '' if with_replies else _paid_for(work / 'replies')
        removed = [path for path in [*_doomed(out, work, keep=PAID if paid else ()), *(sealed if with_snapshots else ())] if path.exists()]
        told = list(dict.fromkeys('work' if path.parent == work else path.name for path in removed))
        for path in removed:
            remove(path)
    if is_work(work) and not _lies_in(work, out):
        told.append(_forget_in(work, out))
    kept = '' if with_snapshots or not sealed else f'; kept sealed: {", ".join(path.name for path in sealed)} (--yes removes them too)'
    return f'{out}: removed {", ".join(told) or "nothing"}{kept}{paid}'


def _doomed(out: Path, work: Path, keep: Iterable[str]) -> list[Path]:
    """Return what goes besides snapshots: the whole working folder in OUT, or all in it but some folders and what marks it as ours."""
    partial = [out / name for name in _PARTIAL]
    if not (is_work(work) and _lies_in(work, out)):
        return partial
    if not keep:
        return [work, *partial]
    return [*(path for path in sorted(work.iterdir()) if path.name not in keep and not path.name.startswith(LOCK)), *partial]


def _forget_in(work: Path, out: Path) -> str:
    for uses in [uses for uses in all_uses(work) if uses.out == out.resolve()]:
        uses.forget()
    *_, told = prune(work)
    return f'what it alone used ({told})'


def _refuse_others(work: Path, out: Path, *, with_replies: bool) -> None:
    if others := sorted({str(uses.out) for uses in all_uses(work) if uses.out.is_dir() and uses.out != out.resolve()}):
        if _lies_in(work, out):
            raise UserError(f'{work}: expected no other build to use it, found {", ".join(others)}; clean those first, '
                            'or remove only what no build uses: phantom clean --unused')
        if with_replies:
            raise UserError(f'{work}: expected --replies only where no other build uses them, found {", ".join(others)}; nothing was removed')


def _paid_for(store: Path) -> str:
    """Return what is said of a store and of what lies beside it, which stay, whether it can be read or not; '' where there is nothing."""
    if not any(path.is_file() and path.stat().st_size for name in PAID for path in (store.parent / name).rglob('*')):
        return ''
    try:
        with closing(ReplyStore(store)) as replies:
            counted: Iterable[Sum] = sums(replies.facts()).values()
    except UserError as e:
        return f'; kept: {store}, whose replies could not be counted: {e}'
    n, prompt, completion = (sum(getattr(some, name) for some in counted) for name in ('n', 'prompt_tokens', 'completion_tokens'))
    waiting = len(list((store.parent / 'batches').glob('*.jsonl')))
    aside = sum(1 for _ in store.rglob('*.damaged'))
    damaged = f' and {aside} damaged file(s), of which a backup or a repair may bring more,' if aside else ''
    batches = f' and {waiting} batch file(s)' if waiting else ''
    return (f'; kept: {n:,} paid replies{batches}{damaged} in {store}, which cost {prompt:,} prompt and {completion:,} completion tokens: '
            'the next build finds them there (--replies removes them too, and they must be paid again)')


def _lies_in(work: Path, out: Path) -> bool:
    return work.resolve().is_relative_to(out.resolve())
