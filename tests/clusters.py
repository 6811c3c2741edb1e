"""Ray clusters of several nodes on this machine, each started as people start them: `ray start`. They leave no process behind."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from tests.programmes.project import environment

OPEN = {'RAY_AUTH_MODE': 'disabled'}  # whatever lies in the home of who runs the tests
STARTS_S = 240  # of a broken product; a busy machine takes twenty
NODE = ('--num-gpus=0', '--object-store-memory=100000000', '--min-worker-port=0', '--max-worker-port=0', '--dashboard-agent-listen-port=0',
        '--disable-usage-stats', '--block')  # fmt: skip


class Node:
    """One node: its `ray start`, with all that runs below it."""

    def __init__(self, python: Path, folder: Path, *args: str, **env: str) -> None:
        self._log = folder / f'node-{time.monotonic_ns()}.log'
        command = [str(python), '-P', '-m', 'ray.scripts.scripts', 'start', *NODE, *args]
        with open(self._log, 'w', encoding='utf-8') as log:
            self.process = subprocess.Popen(
                command, cwd='/', env=environment(**OPEN, **env), stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)

    def wait(self) -> None:
        """Return when it runs."""
        end = time.monotonic() + STARTS_S
        while 'Ray runtime started' not in (told := self._log.read_text('utf-8')):
            assert self.process.poll() is None, told
            assert time.monotonic() < end, told
            time.sleep(0.1)

    def kill(self) -> None:
        """Kill (-9) everything of it, as a power cut does."""
        with suppress(psutil.NoSuchProcess):
            top = psutil.Process(self.process.pid)
            for process in [*top.children(recursive=True), top]:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
        self.process.wait()


class Cluster:
    """The head node and others; `address` is what --ray takes."""

    def __init__(self, python: Path, folder: Path, *head: str, **env: str) -> None:
        self._python, self._folder = python, folder
        self.head = Node(python, folder, '--head', '--port=0', '--include-dashboard=false', f'--temp-dir={folder}', *head, **env)
        self.nodes = [self.head]
        self.head.wait()
        self.address = (folder / 'ray_current_cluster').read_text('utf-8').strip()

    def join(self, *args: str, **env: str) -> Node:
        """Return a node that has joined."""
        self.nodes.append(node := Node(self._python, self._folder, f'--address={self.address}', *args, **env))
        node.wait()
        return node


@contextmanager
def cluster(*head: str, python: Path = Path(sys.executable), **env: str) -> Iterator[Cluster]:
    """A cluster of nodes that `python` runs, until the block ends; `head`: further options of its first node, `env` goes into its environment."""
    folder = Path(tempfile.mkdtemp(prefix='rc', dir='/tmp'))  # the paths of sockets are short
    started = None
    try:
        started = Cluster(python, folder, *head, **env)
        yield started
    finally:
        for node in reversed(started.nodes if started else []):
            node.kill()
        _kill_strays(folder)
        shutil.rmtree(folder, ignore_errors=True)


def _kill_strays(folder: Path) -> None:
    """Kill what is left of a cluster: workers whose node was killed end by themselves, a moment later."""
    for process in psutil.process_iter(['cmdline', 'environ']):
        with suppress(psutil.Error):
            if any(str(folder) in word for word in process.info['cmdline'] or ()) and process.pid != os.getpid():
                process.kill()
