"""What is said of dead workers, without a death."""

import signal
from pathlib import Path

import pytest

from pipelines.engine import deaths
from pipelines.engine.deaths import Death, explain_deaths

LOG = Path('/work/workers.log')
STAYS = 'finished shards are kept, run the same command again to go on'


def killed(monkeypatch, tmp_path, before, now):
    vmstat = tmp_path / 'vmstat'
    if now is not None:
        vmstat.write_text(f'nr_free_pages 7\noom_kill {now}\n')
    monkeypatch.setattr(deaths, 'VMSTAT', vmstat)
    return explain_deaths([Death(-signal.SIGKILL, 'squares: shard 1 of 2')], LOG, before)


@pytest.mark.parametrize(('before', 'now', 'seen'), [
    (None, None, 'out of memory? Then use fewer'), (3, None, 'out of memory? Then use fewer'), (None, 3, 'out of memory? Then use fewer'),
    (3, 5, 'out of memory? (the kernel of this machine has killed 2 process(es) for want of it meanwhile) Then use fewer'),
    (3, 3, 'out of memory? (not by the kernel, which has killed nothing for want of it; a batch system may have, or somebody) Then use fewer')])
def test_what_the_kernel_says_about_memory_is_told(monkeypatch, tmp_path, before, now, seen):
    told = killed(monkeypatch, tmp_path, before, now)
    assert f'squares: shard 1 of 2: the worker process that made it was ended by SIGKILL: {seen}' in told
    assert told.endswith(STAYS)


@pytest.mark.parametrize(('code', 'how'), [
    (-signal.SIGSEGV, 'SIGSEGV: a library failed'), (-signal.SIGBUS, 'SIGBUS: a file in use became shorter'), (-signal.SIGTERM, 'SIGTERM: it was told to stop'),
    (-signal.SIGHUP, 'SIGHUP: it was ended from outside'), (-40, 'signal 40: it was ended from outside'), (3, 'itself (exit code 3): a library ended')])
def test_each_end_has_its_name_and_its_cause(code, how):
    assert f'was ended by {how}' in explain_deaths([Death(code, 'x', 'a.png')], LOG, None)


def test_several_deaths_are_one_sentence_with_each_cause_once():
    told = explain_deaths([Death(-11, 'x: shard 1', 'a.png'), Death(-11, 'x: shard 4'), Death(-6, 'x: shard 5')], LOG, None)
    assert told == (f'x: shard 1, at a.png; x: shard 4; x: shard 5: the 3 worker processes that made these were ended by SIGSEGV and SIGABRT: '
                    f'a library failed on what it was given: look for a damaged file in this shard; {LOG} holds the stack; {STAYS}')
