"""Both programmes in a row, for one OUT at a time; builds into other folders may use the same working folder meanwhile."""

import errno
import os
import re
import shlex
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from filelock import Timeout

from pipelines.engine.clean import LOCK
from pipelines.engine.damage import mended
from pipelines.engine.engine import Engine
from pipelines.engine.locks import held, lock_of, no_locks
from pipelines.engine.peers import FOLDER, Peers
from pipelines.engine.place import name_of, remember_work
from pipelines.engine.progress import Watching, note_of
from pipelines.engine.runners import OnRay
from pipelines.engine.uses import Uses
from pipelines.mix.programme import Folders, build_mix, inputs_of, mark_of, sealed_before
from pipelines.replies.spending import Spending, about_models
from pipelines.sources.files import resolve, tell_of_files
from pipelines.sources.packed import drop_lost
from schemas.disk import is_folder, readable
from schemas.errors import DamagedPicture, UserError
from schemas.publish import make_folder
from schemas.recipe import Recipe
from schemas.refusals import refusal_of
from schemas.snapshot import MANIFEST

ALONE_S = 6.0  # of a processor, for each job of a select, before workers are started: to start takes one more than a second, and most jobs take less
LOOKED_AT_S = 1.0  # longer than any look at a lock
ELSEWHERE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST)  # another folder helps, and nothing else does
MENDINGS = 3  # times that a build goes on after it tripped over something damaged: a disk that damages more is no disk to build on


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
    workers: int | None = 0  # processes of this machine that make the tables; None: one for each core; 0: Beam in this one, or as beam_args say
    ray: str = ''  # the address of a Ray cluster that makes the tables
    wait_s: float = 1800.0  # for a process of a shared build that is gone
    peers: Peers | None = None  # of a shared build, once this process is one of them


def build_all(recipe: Recipe, out: Path, way: Way) -> None:
    """Build the mix, then (unless `mix_only` or the recipe generates nothing) the triples; each is skipped where it is sealed already.

    What a disk damaged of the working folder, and something tripped over, is dropped and made again. Raises PendingWork where something is not
    there yet: replies, pictures that the disk does not give, another process of a shared build.
    """
    if way.ray and way.share[1] > 1:
        raise UserError(f'--ray {way.ray}: expected nothing else that says who makes the tables, found --shard; leave one of them out')
    if way.share[1] > 1 and way.peers is None:  # first of all, so that the others learn how it ends
        out, work = out.resolve(), (way.work or out / 'work').resolve()
        with alone(work, out, way.share[0]), together(work, out, way) as peers:
            build_all(recipe, out, replace(way, peers=peers))
        return
    out, work = out.resolve(), (way.work or out / 'work').resolve()
    for _ in range(MENDINGS):
        try:
            _build(recipe, out, work, way)
            return
        except Exception as e:
            if not (_pictures_mended(e, work, out) or mended(e, work, out)):
                raise
    _build(recipe, out, work, way)


def _pictures_mended(e: Exception, work: Path, out: Path) -> bool:
    return isinstance(e, DamagedPicture) and drop_lost(Uses(work, out, 'mix').tables('samples'), str(work / 'images'), whole=True)


def _build(recipe: Recipe, out: Path, work: Path, way: Way) -> None:
    folders = Folders(root=root_of(recipe, out, way.root), out=out)
    asked, recipe = recipe, resolve(recipe, folders.root)
    tell_of_files(asked, folders.root)
    with_triples = bool(recipe.generate) and not way.mix_only
    if with_triples:
        from pipelines.triples.programme import build_triples, refuse_to_ask
    _check_models(recipe, out, work, way)
    with ExitStack() as stack:
        if way.peers is None:
            stack.enter_context(alone(work, out, way.share[0]))
        peers = way.peers or stack.enter_context(together(work, out, way))
        if with_triples and recipe.rate:
            from pipelines.chat.models import servers_kept

            stack.enter_context(servers_kept())
        on_ray = OnRay(way.ray, (folders.root,)) if way.ray else None
        alone_s = ALONE_S if way.ask_nobody else 0.0
        watching = Watching(work, note_of(work, out, way.share[0]), Spending(work / 'ledger', recipe.models), about_models(recipe.models))
        engine = stack.enter_context(
            Engine(work, way.beam_args, way.share, peers, workers=way.workers, ray=on_ray, alone_s=alone_s, watching=watching))
        if with_triples and way.ask_nobody and (shards := sealed_before(work, mark_of(recipe, inputs_of(recipe, folders.root, work)))):
            refuse_to_ask(recipe, shards, engine)
        if way.share[0] == 0 and not way.ask_nobody:
            remember_work(out, work)
        if not (way.ask_nobody or (out / 'mix' / MANIFEST).exists()):  # there is something to make
            engine.begin()
        mix = build_mix(recipe, folders, engine, again=way.ask_nobody, give_up=way.give_up)
        if way.share[0] == 0:
            remember_work(out, work)  # of a select only now, which may refuse until here
        if with_triples:
            build_triples(recipe, mix, out, engine, give_up=way.give_up, ask_nobody=way.ask_nobody)


def root_of(recipe: Recipe, out: Path, root: Path | None) -> Path:
    """Return the folder of the sources, as a user says or the recipe; raises UserError where there is none."""
    root = (root or recipe.root_of(out)).resolve()
    with readable(root):
        there = is_folder(root)
    if not there:
        raise UserError(f'root {root}: expected the folder of the sources, found none; pass --root '
                        f'(for the demo: phantom demo-data {shlex.quote(str(root))})')
    return root


def _check_models(recipe: Recipe, out: Path, work: Path, way: Way) -> None:
    """Raise UserError for what cannot work about the models that are asked; those of a part that was made before are not reached for."""
    from pipelines.chat.models import check_plan, parts_of

    asking = {'rate': ('mix', 'ratings'), 'triples': ('triples', 'verdicts')}
    parts = parts_of(recipe, mix_only=way.mix_only)
    made = [part for part in parts for kind, table in (asking[part],)
            if any(table.done() for table in Uses(work, out, kind).tables(table)) or (out / kind / MANIFEST).exists()]
    for some, reach in ((made, False), ([part for part in parts if part not in made], not way.ask_nobody)):
        if some:
            check_plan(recipe, reach=reach, parts=some)


def parse_share(text: str) -> tuple[int, int]:
    """Return (i, n) of 'i/n' with i from 1 to n, counted from 0; raises UserError for anything else."""
    first, slash, last = text.partition('/')
    if not (slash and first.isdecimal() and last.isdecimal() and 1 <= int(first) <= int(last)):
        raise UserError(f'--shard {text}: expected i/n with i from 1 to n, such as 3/8')
    return int(first) - 1, int(last)


def parse_wait(text: str) -> float:
    """Return the seconds of '30s', '30m' or '2h', 0 of '0': who is gone is not waited for at all; raises UserError for anything else."""
    found = re.fullmatch(r'(\d{1,9}(?:\.\d{1,9})?)([smh])|0', text, re.ASCII)
    if found is None:
        raise UserError(f'--wait {text}: expected a time such as 30s, 30m or 2h, or 0')
    return float(found[1] or 0) * {'h': 3600, 'm': 60}.get(found[2], 1)


@contextmanager
def together(work: Path, out: Path, way: Way) -> Iterator[Peers]:
    """Be one of the processes that make the build of OUT, and see the others; raises UserError where some count otherwise (`2/3` beside `1/2`)."""
    peers = Peers(work / FOLDER, name_of(work, out), way.share, wait_s=way.wait_s, lock_of=partial(lock_file, work, out))
    with peers.present():
        yield peers


def lock_file(work: Path, out: Path, share: int) -> Path:
    """Return the file that a process holds while it makes its share of the build of OUT."""
    return work / f'{LOCK}{name_of(work, out)}-{share}'


@contextmanager
def alone(work: Path, out: Path, share: int) -> Iterator[None]:
    """Hold one share of the build of OUT, the first, which seals, also OUT; raises UserError while another process does.

    A killed build holds nothing. Builds into other folders may use the same working folder meanwhile: each table is held while it is made.
    """
    with ExitStack() as stack:
        try:
            for folder in (work, out):
                make_folder(folder)  # replies that were paid for lie below
                if not os.access(folder, os.W_OK):  # OUT is written to last of all
                    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
            stack.enter_context(lock_of(lock_file(work, out, share)).acquire(timeout=LOOKED_AT_S))  # who waits for this share looks at it
            stack.enter_context(held(work, shared=True))
            if share == 0:
                stack.enter_context(held(out))
        except Timeout as e:
            folder = out if Path(e.lock_file) == out else work
            raise UserError(f'{folder}: another build is running in this folder, or it is being cleaned; wait for it or choose another --out') from e
        except OSError as e:
            if e.errno not in ELSEWHERE and (refused := refusal_of(e, work)) is not None:
                raise refused from e
            if e.filename is None:  # the lock's refusal names no file
                raise no_locks(work, e) from e
            raise UserError(f'{e.filename}: expected a folder to write to, found: {e.strerror}; choose another --out or --work') from e
        if not lock_file(work, out, share).exists():
            raise UserError(f'{work}: this folder was removed at this moment by phantom clean; run the same command again')
        yield
