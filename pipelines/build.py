"""Both programmes in a row, for one OUT at a time; builds into other folders may use the same working folder meanwhile."""

import errno
import hashlib
import os
import shlex
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import Timeout

from pipelines.engine.clean import LOCK
from pipelines.engine.engine import Engine
from pipelines.engine.locks import held, lock_of
from pipelines.engine.uses import Uses
from pipelines.mix.programme import Folders, build_mix, inputs_of, mark_of, sealed_before
from pipelines.sources.files import resolve, tell_of_files
from schemas.errors import UserError
from schemas.recipe import Recipe
from schemas.refusals import refusal_of
from schemas.snapshot import MANIFEST

ELSEWHERE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST)  # another folder helps, and nothing else does


@dataclass(frozen=True, slots=True)
class Way:
    """How a build runs; nothing here changes what it makes."""

    work: Path | None = None  # default: OUT/work
    root: Path | None = None  # default: what the recipe says
    beam_args: tuple[str, ...] = ()
    share: tuple[int, int] = (0, 1)
    mix_only: bool = False
    give_up: bool = False
    ask_nobody: bool = False


def build_all(recipe: Recipe, out: Path, way: Way) -> None:
    """Build the mix, then (unless `mix_only` or the recipe generates nothing) the triples; each is skipped where it is sealed already."""
    out, work = out.resolve(), (way.work or out / 'work').resolve()
    folders = Folders(root=(way.root or recipe.root_of(out)).resolve(), out=out)
    if not folders.root.is_dir():
        raise UserError(
            f'root {folders.root}: expected the folder of the sources, found none; pass --root '
            f'(for the demo: phantom demo-data {shlex.quote(str(folders.root))})'
        )
    asked, recipe = recipe, resolve(recipe, folders.root)
    tell_of_files(asked, folders.root)
    with_triples = bool(recipe.generate) and not way.mix_only
    if with_triples:
        from pipelines.triples.models import check_plan
        from pipelines.triples.programme import build_triples, refuse_to_ask

        judged_before = any(table.done() for table in Uses(work, out, 'triples').tables('verdicts')) or (out / 'triples' / MANIFEST).exists()
        check_plan(recipe, reach=not (judged_before or way.ask_nobody))
    with alone(work, out, way.share[0]):
        engine = Engine(work, way.beam_args, way.share)
        if with_triples and way.ask_nobody and (shards := sealed_before(work, mark_of(recipe, inputs_of(recipe, folders.root, work)))):
            refuse_to_ask(recipe, shards, engine)
        mix = build_mix(recipe, folders, engine, again=way.ask_nobody)
        if with_triples:
            build_triples(recipe, mix, out, engine, give_up=way.give_up, ask_nobody=way.ask_nobody)


def parse_share(text: str) -> tuple[int, int]:
    """Return (i, n) of 'i/n' with i from 1 to n, counted from 0; raises UserError for anything else."""
    first, slash, last = text.partition('/')
    if not (slash and first.isdecimal() and last.isdecimal() and 1 <= int(first) <= int(last)):
        raise UserError(f'--shard {text}: expected i/n with i from 1 to n, such as 3/8')
    return int(first) - 1, int(last)


def lock_file(work: Path, out: Path, share: int) -> Path:
    """Return the file that a process holds while it makes its share of the build of OUT."""
    return work / f'{LOCK}{hashlib.sha256(os.path.relpath(out, work).encode()).hexdigest()[:12]}-{share}'


@contextmanager
def alone(work: Path, out: Path, share: int) -> Iterator[None]:
    """Hold one share of the build of OUT, the first, which seals, also OUT; raises UserError while another process does.

    A killed build holds nothing. Builds into other folders may use the same working folder meanwhile: each table is held while it is made.
    """
    with ExitStack() as stack:
        try:
            for folder in (work, out):
                folder.mkdir(parents=True, exist_ok=True)
                if not os.access(folder, os.W_OK):  # OUT is written to last of all
                    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
            stack.enter_context(lock_of(lock_file(work, out, share)).acquire(blocking=False))
            if share == 0:
                stack.enter_context(held(out))
        except Timeout as e:
            folder = out if Path(e.lock_file) == out else work
            raise UserError(f'{folder}: another build is running in this folder; wait for it or choose another --out') from e
        except OSError as e:
            if e.errno not in ELSEWHERE and (refused := refusal_of(e, work)) is not None:
                raise refused from e
            if e.filename is None:  # the lock's refusal names no file
                raise UserError(
                    f'{work}: expected a file system that locks files, found: {e.strerror}; mount it with locks (NFS: its lock service '
                    'running), or choose another --work, on a file system that has them'
                ) from e
            raise UserError(f'{e.filename}: expected a folder to write to, found: {e.strerror}; choose another --out or --work') from e
        yield
