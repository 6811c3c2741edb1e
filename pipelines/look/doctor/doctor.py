"""`phantom doctor`: whether a folder can be the working folder of a build, measured in seconds from two processes, or two nodes."""

import json
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from filelock import Timeout

from pipelines.engine.locks import held
from pipelines.look.doctor.checks import findings
from pipelines.look.doctor.talk import ANSWER_S, END, LOOK_S, Asker, answer
from schemas.errors import UserError
from schemas.publish import make_folder
from schemas.refusals import refused
from schemas.telling import tell_news

FOLDER = '.doctor'
NODE_S = 600.0  # for somebody to start the other half on another node


def examine(work: Path, *, with_node: bool, as_json: bool) -> bool:
    """Print what was found; returns whether the folder is fit. Raises UserError where there is nothing to examine."""
    started = time.monotonic()
    rows: list[dict[str, str]] = []
    with _own_folder(work) as folder, _other(folder, with_node=with_node) as ask:
        here, there = socket.gethostname(), ask('who')[0]
        seen_from = 'two processes of this machine' if here == there else f'{here} and {there}'
        for name, found, fault in findings(folder, ask):
            rows.append({'check': name, 'found': found, 'fault': fault})
            if not as_json:
                print(f'{"FAULT" if fault else "ok":<6}{name:<9}{fault or found}', flush=True)
        ask(END)
    fit = not any(row['fault'] for row in rows)
    if as_json:
        print(json.dumps({'folder': str(work), 'seen_from': seen_from, 'fit': fit, 'checks': rows}, indent=1, ensure_ascii=False))
    else:
        print(f'{work}: {"fit" if fit else "NOT fit"} for a working folder, seen from {seen_from} in {time.monotonic() - started:.1f} s')
    return fit


@contextmanager
def _own_folder(work: Path) -> Iterator[Path]:
    """Give an empty folder in `work` that is gone afterwards; what a killed doctor left is removed. Raises UserError while another one is there."""
    folder = work.resolve() / FOLDER
    with ExitStack() as stack:
        try:
            make_folder(work)
            folder.mkdir(exist_ok=True)
            stack.enter_context(held(folder))
            for leftover in folder.iterdir():
                shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
        except Timeout as e:
            raise UserError(f'{work}: another phantom doctor examines this folder; wait for it') from e
        except OSError as e:
            raise refused(e, work) from e
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        yield folder


@contextmanager
def _other(folder: Path, *, with_node: bool) -> Iterator[Asker]:
    """Give the way to ask the other process, which somebody starts on another node, or we here."""
    command = ['phantom', 'doctor', '--work', str(folder.parent), '--answer']
    if with_node:
        tell_news(f'now run on the other node, within {NODE_S / 60:.0f} minutes: {shlex.join(command)}')
        yield Asker(folder, NODE_S)
        return
    with subprocess.Popen([sys.executable, '-P', '-m', *command], stdout=subprocess.DEVNULL) as other:
        try:
            yield Asker(folder)
        finally:
            other.terminate()


def answer_another(work: Path) -> None:
    """Be the other process, until the first one is done; raises UserError where none asks."""
    folder = work.resolve() / FOLDER
    until = time.monotonic() + ANSWER_S
    while not folder.is_dir():
        if time.monotonic() > until:
            raise UserError(f'{folder}: expected a folder that `phantom doctor --work {work} --with-node` makes on the first node, found none within '
                            f'{ANSWER_S:.0f} s; start that first, and see that this path is the same folder on both nodes')
        time.sleep(LOOK_S)
    answer(folder, ANSWER_S)
