"""How many cores a process may use, told by what a machine says."""

import os

import pytest

from pipelines.engine import cores
from tests.promises import promise

V2 = {'cgroup': '0::/pod/main', 'groups': {'pod/main/cpu.max': '{} 100000', 'cpu.max': 'max 100000'}}
ABOVE = {'cgroup': '0::/pod/main', 'groups': {'pod/cpu.max': '{} 100000', 'pod/main/cpu.max': 'max 100000'}}
UNSEEN = {'cgroup': '0::/kubepods/pod7/main', 'groups': {'cpu.max': '{} 100000'}}  # the container sees its own group as the top
V1 = {'cgroup': '11:cpuset:/x\n4:cpu,cpuacct:/docker/7\n', 'groups': {'cpu/docker/7/cpu.cfs_quota_us': '{}', 'cpu/docker/7/cpu.cfs_period_us': '100000'}}


@promise('Processes', 'A build uses every core that it may: as many as it is bound to and its container is given, not what the machine has', cgroups=4)
@pytest.mark.parametrize(('said', 'quota', 'found'), [
    (V2, 300000, 3), (V2, 250000, 3), (V2, 50000, 1), (V2, 'max', 8), (ABOVE, 200000, 2), (UNSEEN, 500000, 5), (V1, 400000, 4), (V1, -1, 8),
    (V2, 900000, 8), ({'cgroup': '0::/\n', 'groups': {}}, 0, 8)])
def test_what_a_container_is_given_counts(tmp_path, monkeypatch, said, quota, found):
    (tmp_path / 'membership').write_text(said['cgroup'])
    for name, text in said['groups'].items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f'{text.format(quota)}\n')
    monkeypatch.setattr(cores, 'CGROUPS', tmp_path)
    monkeypatch.setattr(cores, 'MEMBERSHIP', tmp_path / 'membership')
    monkeypatch.setattr(cores, 'bound_cores', lambda: 8)
    assert cores.allowed_cores() == found


def test_a_machine_without_cgroups_has_what_it_is_bound_to(tmp_path, monkeypatch):
    monkeypatch.setattr(cores, 'MEMBERSHIP', tmp_path / 'none')
    assert cores.allowed_cores() == len(os.sched_getaffinity(0))


@pytest.mark.parametrize(('words', 'workers'), [((), None), (('--workers', '3'), 3), (('--workers', '0'), 0)])
def test_a_build_uses_every_core_without_an_option(front, tmp_path, monkeypatch, words, workers):
    ways = []
    monkeypatch.setattr('pipelines.build.build_all', lambda recipe, out, way: ways.append(way))
    assert front('build', 'demo', '--out', tmp_path / 'out', *words)[0] == 0
    assert [way.workers for way in ways] == [workers]
