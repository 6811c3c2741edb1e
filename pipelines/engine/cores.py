"""How many cores this process may use: what it is bound to (taskset, Slurm), and what its cgroup is given (containers), not what the machine has."""

import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

CGROUPS = Path('/sys/fs/cgroup')
MEMBERSHIP = Path('/proc/self/cgroup')


def allowed_cores() -> int:
    """Return the number of cores that this process may keep busy, at least 1."""
    return max(1, min([bound_cores(), *map(math.ceil, cgroup_cores())]))


def bound_cores() -> int:
    """Return the number of cores that this process may run on."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS
        return os.cpu_count() or 1


def cgroup_cores() -> Iterator[float]:
    """Yield the limits, in cores, of the groups that this process is in, of either version of cgroups; none where nothing is limited.

    A group above ours limits it, too. In a container the path is one of the host, which is not seen: there the mounted top is our group.
    """
    try:
        lines = MEMBERSHIP.read_text('utf-8').splitlines()
    except OSError:
        return
    for line in lines:
        number, controllers, path = line.split(':', 2)
        if number == '0':
            yield from _limits(CGROUPS, path, _limit_2)
        elif 'cpu' in controllers.split(','):
            yield from _limits(CGROUPS / 'cpu', path, _limit_1)


def _limits(top: Path, path: str, limit_of: Callable[[Path], float]) -> Iterator[float]:
    own = PurePosixPath(path.lstrip('/'))
    for group in (own, *own.parents):
        try:
            limit = limit_of(top / group)
        except (OSError, ValueError):  # not there, or no limit: max
            continue
        if limit > 0:
            yield limit


def _limit_2(group: Path) -> float:
    quota, period = (group / 'cpu.max').read_text('ascii').split()
    return int(quota) / int(period)


def _limit_1(group: Path) -> float:
    return int((group / 'cpu.cfs_quota_us').read_text('ascii')) / int((group / 'cpu.cfs_period_us').read_text('ascii'))
