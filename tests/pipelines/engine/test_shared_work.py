"""One working folder for several builds at once, and for what a killed build left running: a finished table is what its own settings say."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pytest

from pipelines.engine.engine import Engine
from pipelines.engine.step import Place, Step
from pipelines.engine.tables import ShardWriter, Table
from pipelines.look.verify import verify_snapshot
from tests.programmes.project import Project, environment, ids, knowing_server

N_SHARDS = 3


@dataclass(frozen=True)
class Count(Step):
    """Writes `times` x for each of three shards x; the last one waits until `go` is there, having written half."""

    TABLE = 'counted'
    VERSION = 1

    times: int
    go: Place[str]

    def shards(self) -> range:
        return range(N_SHARDS)

    def process(self, shard: int, writer: ShardWriter) -> None:
        writer.write('part', pa.table({'x': [self.times * shard]}))
        if shard == N_SHARDS - 1:
            Path(f'{self.go}.written').touch()
            until(Path(self.go).exists)
        writer.write('part', pa.table({'x': [self.times * shard + 100]}))


def rows(times: int) -> list[int]:
    return [x for shard in range(N_SHARDS) for x in (times * shard, times * shard + 100)]


STARTED: list[subprocess.Popen] = []


@pytest.fixture(autouse=True)
def nothing_runs_on() -> Iterator[None]:
    """End what a test that failed left running, or halted."""
    yield
    for process in STARTED:
        process.kill()
        process.wait()
    STARTED.clear()


def until(true: Callable[[], object], within_s: float = 60) -> None:
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline, 'waited too long'
        time.sleep(0.01)


@contextmanager
def late_writer(work: Path, times: int, go: Path) -> Iterator[subprocess.Popen]:
    """Yield a process with a shard half written, such as a job that a killed build left behind on a cluster: it holds no lock of ours."""
    code = f"""
from pathlib import Path
from pipelines.engine.engine import Engine
from pipelines.engine.step import describe
from pipelines.engine.tables import ShardWriter
from tests.pipelines.engine.test_shared_work import Count, N_SHARDS
step = Count({times}, {str(go)!r})
table = Engine(Path({str(work)!r})).table(step)
table.prepare(describe(step))
writer = ShardWriter(table.path, N_SHARDS - 1)
step.process(N_SHARDS - 1, writer)
writer.close()
"""
    with subprocess.Popen([sys.executable, '-c', code], cwd='/', env=environment(), stderr=subprocess.PIPE, text=True) as process:
        try:
            until(lambda: Path(f'{go}.written').exists() or process.poll() is not None)
            yield process
        finally:
            process.kill()


def finished(table: Table) -> dict[str, tuple[int, int, bytes]]:
    """Return every file of a table: its inode, when it was written, and its bytes."""
    files = [path for path in sorted(table.path.iterdir()) if path.is_file()]
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def test_a_late_writer_of_other_settings_reaches_only_its_own_folder(tmp_path):
    engine, go, open_ = Engine(tmp_path / 'work'), tmp_path / 'go', tmp_path / 'open'
    open_.touch()
    with late_writer(tmp_path / 'work', 2, go) as late:
        table = engine.run(Count(3, str(open_)))
        before = finished(table)
        go.touch()
        assert late.wait(60) == 0, late.stderr.read()
    assert finished(table) == before
    assert table.read()['x'].to_pylist() == rows(3)
    own = engine.table(Count(2, str(go)))
    assert own.path != table.path
    assert {path.name for path in own.path.iterdir()} == {'_STEP.json', 'part-00002.parquet', 'shard-00002.json'}
    assert engine.run(Count(2, str(go))).read()['x'].to_pylist() == rows(2), 'what it left is of use to a build of its settings'


def test_a_late_writer_of_the_same_settings_changes_nothing_of_a_finished_table(tmp_path):
    engine, go, open_ = Engine(tmp_path / 'work'), tmp_path / 'go', tmp_path / 'open'
    open_.touch()
    with late_writer(tmp_path / 'work', 2, go) as late:
        table = engine.run(Count(2, str(open_)))
        before = finished(table)
        go.touch()
        late.wait(60)
    assert finished(table) == before
    later = ShardWriter(table.path, N_SHARDS - 1)  # and so does one that begins now
    later.write('part', pa.table({'x': [0]}))
    later.close()
    assert finished(table) == before
    assert table.read()['x'].to_pylist() == rows(2)
    assert not [path for path in table.path.iterdir() if path.is_dir()]


JOBS = ('references+index', 'canaries+hashes', 'pairs+bench_hits+described', 'triple_rows+shortcuts+rejected')
MIXES = ('duplicates.photo_bits_256=64', 'duplicates.photo_bits_256=0')  # a near-duplicate more, or less
MARGINS = ('judge.margin=0.0', 'judge.margin=2.0')
CAP = 'duplicates.max_per_near_duplicate=1'


HALTING = """
import os, signal, sys
from fnmatch import fnmatch

place, sys.argv, rename = sys.argv[1], ['phantom', *sys.argv[2:]], os.replace

def renamed(source, target, **options):
    if fnmatch(str(target), f'*{place}'):
        os.kill(os.getpid(), signal.SIGSTOP)
    return rename(source, target, **options)

os.replace = renamed
import phantom
phantom.main()
"""


def start(project: Project, out: Path, work: Path, *sets: str, url: str = '', halt_at: str = '') -> subprocess.Popen:
    """Start a build as users do; what it says goes to a file beside OUT. It stops just before a file of the pattern `halt_at` appears."""
    words = project.words(out, '--work', str(work), *(part for value in sets for part in ('--set', value)), url=url)
    here = ['--workers', '0'] if halt_at else []  # what is stopped is the process that makes the tables
    command = [sys.executable, *(['-c', HALTING, halt_at] if halt_at else ['-m', 'phantom']), *words, *here, *([] if url else ['--mix-only'])]
    out.parent.mkdir(parents=True, exist_ok=True)
    with open(f'{out}.told', 'w', encoding='utf-8') as told:
        STARTED.append(subprocess.Popen(command, cwd='/', env=environment(), stdout=told, stderr=subprocess.STDOUT))
    return STARTED[-1]


def told(out: Path) -> str:
    return Path(f'{out}.told').read_text(encoding='utf-8')


def end(*builds: tuple[subprocess.Popen, Path]) -> None:
    for process, out in builds:
        assert process.wait(250) == 0, told(out)


def shards_made(*outs: Path) -> Counter:
    """Return how many shards of each table builds say they have made, all its fingerprints together, and those of one job."""
    made: Counter = Counter()
    for out in outs:
        for names, n in re.findall(r'^([\w+]+)(?: [^:\n]*)?: (\d+) shard\(s\) \.\.\.$', told(out), re.MULTILINE):
            made[job_of(names.partition('+')[0])] += int(n)
    return made


def job_of(name: str) -> str:
    """Return the names of the tables that may be made in one job with a table."""
    return next((job for job in JOBS if name in job.split('+')), name)


def shards_there(work: Path) -> Counter:
    """Return how many shards the finished tables have."""
    there: Counter = Counter()
    for path in work.glob('*/*/_DONE.json'):
        there[job_of(path.parent.parent.name)] += json.loads(path.read_text())['shards']
    return there


@pytest.fixture(scope='module')
def alone(project, tmp_path_factory) -> dict[str, tuple[str, ...]]:
    """The ids of mixes that are built one after the other, each in a working folder of its own."""
    folder = tmp_path_factory.mktemp('alone')
    for i, threshold in enumerate(MIXES):
        project.build(folder / str(i), sets=(threshold, CAP), mix_only=True)
    return {threshold: ids(folder / str(i)) for i, threshold in enumerate(MIXES)}


@pytest.mark.integration
@pytest.mark.xdist_group('steps')
def test_two_builds_of_other_thresholds_at_once_share_what_they_can(project, alone, tmp_path):
    work, outs = tmp_path / 'work', [tmp_path / 'a/out', tmp_path / 'b/out']
    end(*[(start(project, out, work, threshold, CAP), out) for out, threshold in zip(outs, MIXES, strict=True)])
    assert [ids(out) for out in outs] == [alone[threshold] for threshold in MIXES]
    assert alone[MIXES[0]] != alone[MIXES[1]]
    assert shards_made(*outs) == shards_there(work), 'a table was made twice'
    tables = Counter(path.parent.parent.name for path in work.glob('*/*/_DONE.json'))
    assert tables['pairs'] == tables['index'] == tables['hashes'] == 1
    assert tables['stars'] == tables['plan'] == 2
    assert [verify_snapshot(out / 'mix') for out in outs] == [0, 0]


@pytest.mark.integration
@pytest.mark.xdist_group('steps')
@pytest.mark.parametrize('settings', [MARGINS, MIXES], ids=['of one mix', 'of two mixes'])
def test_two_builds_at_once_ask_no_question_twice(project, tmp_path, settings):
    apart, work, outs = tmp_path / 'apart', tmp_path / 'work', [tmp_path / 'a/out', tmp_path / 'b/out']
    with knowing_server() as server:
        for i, setting in enumerate(settings):
            project.build(apart / str(i), url=server.url, sets=(setting, CAP))
    with knowing_server(delay_s=0.01) as server:
        end(*[(start(project, out, work, setting, CAP, url=server.url), out) for out, setting in zip(outs, settings, strict=True)])
        questions = Counter(body for body in map(json.dumps, server.bodies) if 'Hello!' not in body)  # without the looks at what the server can do
    assert {question: n for question, n in questions.items() if n > 1} == {}
    assert len(questions) > 200
    assert [ids(out) for out in outs] == [ids(apart / '0'), ids(apart / '1')]
    assert ids(outs[0])[1] != ids(outs[1])[1]
    assert shards_made(*outs) == shards_there(work), 'a table was made twice'


@pytest.mark.integration
@pytest.mark.xdist_group('steps')
def test_of_two_builds_one_may_be_killed_while_the_other_waits_for_its_table(project, alone, tmp_path):
    work, outs = tmp_path / 'work', [tmp_path / 'a/out', tmp_path / 'b/out']
    first = start(project, outs[0], work, MIXES[0], CAP, halt_at='image_facts/*/shard-*.json')
    _, status = os.waitpid(first.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status), told(outs[0])
    second = start(project, outs[1], work, MIXES[1], CAP)
    until(lambda: 'waiting for another build, which makes it' in told(outs[1]) or second.poll() is not None, 200)
    assert second.poll() is None, told(outs[1])
    first.send_signal(signal.SIGKILL)
    assert first.wait(60) == -signal.SIGKILL
    end((second, outs[1]))
    assert ids(outs[1]) == alone[MIXES[1]]
    made = shards_made(outs[1])
    assert made['image_facts'] > 0, 'what the killed one was making'
    assert made['samples'] == made['refs'] == 0, 'what it had made'
    end((start(project, outs[0], work, MIXES[0], CAP), outs[0]))
    assert ids(outs[0]) == alone[MIXES[0]]
