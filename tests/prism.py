"""Beam's own runner in Go, where a machine has it: $PHANTOM_PRISM, PATH, or where .ci/run leaves it (`go install`, four minutes, once)."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apache_beam
import pytest

PLACES = (f'.cache/apache_beam/prism-{apache_beam.__version__}', 'go/bin/prism')  # below the home folder


def find_prism() -> Path:
    """Return the programme; skips the test where there is none."""
    named = [os.environ.get('PHANTOM_PRISM'), shutil.which('prism'), *(str(Path.home() / place) for place in PLACES)]
    found = next((Path(name) for name in named if name and os.access(name, os.X_OK)), None)
    if found is None:
        pytest.skip('no prism: go install github.com/apache/beam/sdks/v2/go/cmd/prism@v' + apache_beam.__version__ + ', or name one by PHANTOM_PRISM')
    return found


@contextmanager
def serving(command: list[str], port: int, log: Path, env: dict[str, str] | None = None) -> Iterator[subprocess.Popen]:
    """Give a process that listens on a port of this machine, and end it."""
    with open(log, 'w', encoding='utf-8') as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env=env)
    try:
        end = time.monotonic() + 120
        while not _answers(port):
            assert process.poll() is None, log.read_text(encoding="utf-8")
            assert time.monotonic() < end, "it does not listen"
            time.sleep(0.05)
        yield process
    finally:
        process.terminate()
        process.wait()


def _answers(port: int) -> bool:
    try:
        socket.create_connection(('localhost', port), 0.2).close()
    except OSError:
        return False
    return True


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        return free.getsockname()[1]


@contextmanager
def cluster(folder: Path, env: dict[str, str]) -> Iterator[list[str]]:
    """Give the options for a Prism server whose workers outlive the build: a pool of Beam's starts them."""
    jobs, workers = free_port(), free_port()
    prism = [str(find_prism()), '--job_port', str(jobs), '--web_port', '0', '--serve_http=false', '--log_level', 'warn']
    pool = [sys.executable, '-m', 'apache_beam.runners.worker.worker_pool_main', f'--service_port={workers}']
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ['PATH']))  # it calls `python`
    with serving(prism, jobs, folder / 'prism.log'), serving(pool, workers, folder / 'pool.log', {**env, 'PATH': path}):
        yield ['--runner=PortableRunner', f'--job_endpoint=localhost:{jobs}', '--environment_type=EXTERNAL',
               f'--environment_config=localhost:{workers}']
