"""A Ray cluster as maker of a build's shards (`--ray ADDRESS`): reached when there is something to make, left when the build ends.

The nodes get the code of this process by Ray's runtime_env, so that they need its packages, not the project. Ray is imported here and below only
when a build asks for it.
"""

import json
import os
import re
import secrets
import shutil
import signal
import socket
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import chdir, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from pipelines.engine.cores import allowed_cores
from pipelines.engine.locks import lock_of
from pipelines.engine.ray_deaths import one_line
from pipelines.engine.ray_worker import PROBE, Home, Teller, look_around, names_in, versions
from pipelines.engine.shards import Job
from pipelines.engine.step import Step, opens
from schemas.errors import UserError

if TYPE_CHECKING:
    from pipelines.engine.ray_crews import Actors, Needs, Tasks

TOKEN = Path('~/.ray/auth_token')
FOLDER = 'ray'  # in the working folder: what its workers note, for each run a folder
LOCK = '.lock'  # there, held by the build's process
LOG = 'workers.log'
ADDRESSES = re.compile(r'auto|local|(ray://)?[A-Za-z0-9.-]+:\d{1,5}|(ray://)?\[[0-9a-fA-F:]+\]:\d{1,5}')
CODE = ('curation', 'pipelines', 'schemas')  # what steps are made of
QUIET = {  # said to Ray before it is imported
    'RAY_USAGE_STATS_ENABLED': '0', 'RAY_ENABLE_UV_RUN_RUNTIME_ENV': '0', 'RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO': '0',
}  # fmt: skip
OBJECTS_BYTES = 128 * 2**20  # of a cluster of our own: nothing but steps and answers passes through it
KNOCK_S = 10.0
LOOK_AROUND_S = 60.0  # for all nodes to look around
QUIETLY: dict[str, Any] = {'log_to_driver': False, 'logging_level': 'ERROR'}
JOB = 'RAY_JOB_CONFIG_JSON_ENV_VAR'  # of `ray job submit`


def check_address(address: str) -> None:
    """Raise UserError for what is no address of a Ray cluster, and where Ray is not installed."""
    if not ADDRESSES.fullmatch(address):
        raise UserError(f'--ray {address}: expected auto (the cluster of this node, or of $RAY_ADDRESS), local (one of this machine alone, for this '
                        'build), HOST:PORT or ray://HOST:PORT')
    os.environ |= {name: value for name, value in {**QUIET, **_token(address)}.items() if name not in os.environ}
    try:
        import ray  # noqa: F401
    except ImportError as e:
        raise UserError(f"--ray {address}: expected Ray in this environment, found none ({e}); pip install 'phantom-curation[ray]'") from e


def _token(address: str) -> dict[str, str]:
    """Return how Ray is to prove who we are: `ray start` asks for a token where it finds one, and finds it where we do. One of our own is new."""
    if address == 'local':
        return {'RAY_AUTH_MODE': 'token', 'RAY_AUTH_TOKEN': secrets.token_hex(32)}
    found = {'RAY_AUTH_TOKEN', 'RAY_AUTH_TOKEN_PATH'} & os.environ.keys() or TOKEN.expanduser().is_file()
    return {'RAY_AUTH_MODE': 'token'} if found else {}


class Cluster:
    """A Ray cluster that makes shards; `sees`: folders besides the working folder that its nodes must see."""

    def __init__(self, address: str, work: Path, sees: Sequence[Path] = ()) -> None:
        check_address(address)
        self._address, self._work, self._sees = address, work, sees
        self._home: Home | None = None
        self._lock: FileLock | None = None
        self._crew: Actors | None = None  # kept for the next step, should it need the same
        self._teller: Any = None

    def begin(self) -> None:
        """Nothing: a cluster is reached when there is something to make."""

    def run(self, jobs: list[Job]) -> None:
        """Make the shards of some jobs; raises what a step raises on a worker, and PendingWork for a shard that ends one worker after the other."""
        home = self._home or self._connect()
        from pipelines.engine.ray_run import Round

        Round(jobs, home, self._crew_of([job.step for job in jobs], home), self._work / LOG).make()

    def close(self) -> None:
        """End all that was started for this build, and leave the cluster."""
        if self._home is not None:
            import ray

            with _signals_kept():
                ray.shutdown()
            shutil.rmtree(self._home.run, ignore_errors=True)
            with suppress(OSError):  # there are others
                os.rmdir(self._work / FOLDER)
            self._home = self._crew = self._teller = None
        if self._lock is not None:
            self._lock.release()

    def _crew_of(self, steps: list[Step], home: Home) -> 'Tasks | Actors':
        """Return who makes the shards of some steps: actors where they open something or need a device, else tasks, or the actors that are there."""
        from pipelines.engine.ray_crews import Actors, Tasks

        asked = [own for step in steps if (own := step.needs())]
        needs: Needs = {'num_cpus': 1.0} | {name: max(one.get(name, 0.0) for one in asked) for one in asked for name in one}
        limits = [most for step in steps if not asked and (most := step.at_once()) is not None]
        most = min(limits, default=None)
        teller = self._tell_through() if asked or most is not None else None  # who asks models has something to tell
        kept = self._crew
        if not any(map(opens, steps)) and not asked and (kept is None or kept.needs != needs or kept.teller is not None):
            self._dismiss()
            return Tasks(needs, most)
        if kept is None or kept.needs != needs or kept.teller is not teller or (most is not None and len(kept.hired) > most):
            self._dismiss()
            self._crew = kept = Actors(needs, most, home, teller)
        kept.most = most
        return kept

    def _dismiss(self) -> None:
        """End the actors of the step before, which hold what tasks need."""
        if self._crew is not None:
            self._crew.dismiss(self._crew.hired)
            self._crew = None

    def _tell_through(self) -> Any:
        if self._teller is None:
            import ray

            self._teller = ray.remote(Teller).options(num_cpus=0, max_restarts=-1, max_task_retries=-1).remote()
        return self._teller

    def _connect(self) -> Home:
        """Reach the cluster; raises UserError where there is none, and for nodes that do not see what this process sees."""
        import ray

        self._home = home = self._open_folder()
        try:
            _knock(self._address)
            with _signals_kept(), chdir('/'):  # Ray's workers would import from where the user stands
                _hush(ray)
                if self._address == 'local':
                    with _path_told():
                        ray.init('local', **QUIETLY, num_cpus=allowed_cores(), object_store_memory=OBJECTS_BYTES, include_dashboard=False)
                else:
                    ray.init(self._address, **QUIETLY, runtime_env=runtime_env())
        except (OSError, RuntimeError, ValueError) as e:
            raise UserError(f'--ray {self._address}: expected a Ray cluster there that takes this build, found: {one_line(e)}; '
                            'ray start --head starts one on this machine, --ray local one for this build alone; '
                            'one that asks for a token (ray start says so) needs it here, too') from e
        if self._address != 'local':
            _look_around(home)
        return home

    def _open_folder(self) -> Home:
        folder = self._work / FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        _sweep(folder)
        run = folder / secrets.token_hex(8)
        run.mkdir()
        self._lock = lock_of(run / LOCK)
        self._lock.acquire()
        (run / PROBE).write_text(run.name, 'utf-8')
        sees = tuple((str(folder), names_in(str(folder))) for folder in self._sees)
        return Home(str(self._work), str(run), run.name, sees, versions())


def _knock(address: str) -> None:
    """Raise OSError where nobody listens at a host and port: Ray would try for minutes, and speak of its own parts."""
    host, _, port = address.removeprefix('ray://').rpartition(':')
    if host:
        socket.create_connection((host.strip('[]'), int(port)), KNOCK_S).close()


def runtime_env() -> dict[str, Any]:
    """Return what nodes need for this process's shards: its code, unless the job that this process is in (ray job submit) brings modules itself."""
    asked = json.loads(os.environ.get(JOB) or '{}').get('runtime_env') or {}
    if 'py_modules' in asked:
        return {}
    top = Path(__file__).parents[2]
    return {'py_modules': [str(top / name) for name in CODE]}


def _sweep(folder: Path) -> None:
    """Remove what builds left there that were killed."""
    for run in folder.iterdir():
        with suppress(OSError, Timeout), lock_of(run / LOCK).acquire(blocking=False):
            shutil.rmtree(run, ignore_errors=True)


@contextmanager
def _path_told() -> Iterator[None]:
    """Have processes that are started meanwhile import what we do."""
    before = os.environ.get('PYTHONPATH')
    os.environ['PYTHONPATH'] = os.pathsep.join(os.path.abspath(place) for place in sys.path)
    try:
        yield
    finally:
        os.environ.pop('PYTHONPATH')
        os.environ |= {'PYTHONPATH': before} if before is not None else {}


def _hush(ray: Any) -> None:
    """Keep Ray from printing on standard output what it says of dead workers, which we tell ourselves."""
    ray._private.worker.print_to_stdstream = _say_nothing


def _say_nothing(*what: object, **ever: object) -> None:
    pass


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Keep who hears of SIGTERM and SIGINT: Ray would end this process without its message."""
    if threading.current_thread() is not threading.main_thread():  # where nobody hears of them
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _look_around(home: Home) -> None:
    """Have each node look around; raises UserError for what the first of them says that misses something."""
    import ray

    from pipelines.engine.ray_crews import on_node

    look = ray.remote(look_around)
    asked = [look.options(**on_node(node['NodeID'])).remote(home) for node in ray.nodes() if node['Alive']]
    for answer in ray.wait(asked, num_returns=len(asked), timeout=LOOK_AROUND_S)[0]:
        try:
            ray.get(answer)
        except ray.exceptions.RayTaskError as e:
            if isinstance(e.cause, UserError):
                raise e.cause from e
            raise
        except ray.exceptions.RuntimeEnvSetupError as e:
            raise UserError(f'--ray: expected nodes that take the code of this build, found: {one_line(e)}') from e
        except ray.exceptions.RayError:  # a node that goes at this moment
            continue
