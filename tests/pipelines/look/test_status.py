"""`phantom status`: how a build goes, from its files alone, also seen from another machine whose clock is another one."""

import json
import os
import threading
import time
from dataclasses import asdict, dataclass

import pyarrow as pa
import pytest

from pipelines.build import Way, alone, together
from pipelines.engine.engine import Engine
from pipelines.engine.going import Going
from pipelines.engine.peers import read_note
from pipelines.engine.place import name_of
from pipelines.engine.progress import Watching, note_of
from pipelines.engine.step import Step
from pipelines.engine.tables import Table
from pipelines.engine.under_way import FOLDER
from pipelines.engine.uses import Uses, all_uses
from pipelines.look import status
from schemas.errors import PendingWork, UserError
from schemas.publish import publish_checked, publish_json
from tests.test_front_door import build_at, refused, the_object


@dataclass(frozen=True)
class Rows(Step):
    """Writes a row a shard."""

    TABLE = 'rows_of_status'
    VERSION = 3

    n: int
    others: tuple[Table, ...] = ()

    def label(self):
        return f'rows {self.n}'

    def shards(self):
        return list(range(self.n))

    def holds_model(self):
        return True  # made in this process: to start another takes a moment

    def process(self, shard, writer):
        if shard == 99:
            raise PendingWork('the server is away')
        writer.write('part', pa.table({'x': [shard]}))


@pytest.fixture
def build(tmp_path):
    """OUT and its working folder, while nobody runs."""
    out, work = tmp_path / 'out', tmp_path / 'out/work'
    with alone(work, out, 0), together(work, out, Way()):
        pass
    return out, work


def note(build, share=0, **change):
    """Write what a process of the build, on another machine, said last; `beat`: seconds from now."""
    out, work = build
    said = {'share': share, 'of': 1, 'host': 'node7', 'machine': 'another kernel', 'pid': 4, 'run': 'r', 'started': 0.0, 'state': 'running', **change}
    beat = said.pop('beat', 0.0)
    path = work / f'peers/{name_of(work, out)}-{share}.json'
    publish_json(path, said)
    os.utime(path, (time.time() + beat,) * 2)
    return path


def test_a_build_that_runs_says_where_it_is(build, front):
    out, work = build
    going = Going('candidates', 1, 4, 2048, 60.0, 34.0, 180.0, 812, 8192, 13.5, 64, 2, 5000, 0.25)
    Watching(work, note_of(work, out, 0))._say(now=asdict(going), spent={'requests': 900, 'tries': 2, 'tokens': 5000, 'money': 0.25})
    (work / FOLDER).mkdir()
    publish_checked(work / FOLDER / 'a.json', {'model': 'm', 'source': 's', 'total': 90, 'answered': 7, 'lost': 1, 'under_way': 3})
    total = {'rate': 0, 'generate': 1000.4, 'judge': 2000, 'calibrate': 12, 'prompt_tokens': 9, 'completion_tokens': 1, 'money': 7.5}
    (out / 'preview').mkdir()
    publish_json(out / 'preview/preview.json', {'lines': [total]})
    with alone(work, out, 0), together(work, out, Way()):
        code, told, _ = front('status', out)
        found = the_object(front('status', out, '--json'), 'status')
    assert code == 0
    lines = told.splitlines()
    assert lines[0] == f'{out}: running; 0 of 0 table(s) asked for so far are finished'
    assert f'  now: {going.line()}' in lines
    assert '    model m, s: 7 of 90 call(s) answered, 1 without a reply, 3 under way' in lines
    assert '  cost so far: 900 request(s), 5,000 tokens, 0.25 of money; projected: 3,012 request(s), 10 tokens, 7.5 of money' in lines
    assert (found['state'], found['now'][0]['step'], found['now'][0]['left_s'], found['cost']['tries'], found['error']) == ('running', 'candidates', 180.0, 2, '')


def test_what_was_made_last_is_not_now_once_nobody_runs(build):
    out, work = build
    Watching(work, note_of(work, out, 0))._say(now=asdict(Going('candidates', 1, 4, 0, 1.0)))
    assert status.status_of(out)['now'] == []
    assert status.status_of(out)['state'] == 'ended'


def test_why_a_build_ended_is_told(build, front):
    out, work = build
    with pytest.raises(PendingWork), alone(work, out, 0), together(work, out, Way()):
        raise PendingWork('model m: the server is away')
    _, told, _ = front('status', out)
    assert told.startswith(f'{out}: failed; ')
    assert 'ended, exit code 4, last sign of life ' in told
    assert told.count('model m: the server is away') == 1
    assert status.status_of(out)['error'] == 'model m: the server is away'
    with pytest.raises(KeyboardInterrupt), alone(work, out, 0), together(work, out, Way()):
        raise KeyboardInterrupt
    assert (status.status_of(out)['state'], status.status_of(out)['error']) == ('stopped', '')


@pytest.mark.parametrize('beat', [-7200, 7200])
def test_one_of_another_machine_that_is_quiet_was_killed_whatever_the_clocks_say(build, monkeypatch, beat):
    monkeypatch.setattr(status, 'LOOKS_S', 0.05)
    note(build, beat=beat)
    found = status.status_of(build[0])
    assert (found['state'], found['error']) == ('killed', 'killed, or its machine is gone')


@pytest.mark.parametrize('beat', [-7200, 7200])
def test_one_of_another_machine_whose_clock_is_wrong_is_seen_to_live(build, monkeypatch, beat):
    monkeypatch.setattr(status, 'LOOKS_S', 60.0)
    path, over = note(build, beat=beat), threading.Event()

    def live():
        while not over.wait(0.01):
            at = os.stat(path).st_mtime + 1
            os.utime(path, (at, at))

    thread = threading.Thread(target=live)
    thread.start()
    try:
        assert status.status_of(build[0])['state'] == 'running'
    finally:
        over.set()
        thread.join()


def test_one_of_this_machine_that_holds_nothing_was_killed(build):
    out, work = build
    path = work / f'peers/{name_of(work, out)}-0.json'
    note(build, machine=read_note(path).machine)
    assert status.status_of(out)['state'] == 'killed'


def test_the_processes_of_a_shared_build_are_told_one_by_one(build, front):
    note(build, of=2)
    note(build, share=1, of=2, waiting_for='samples/abc')
    note(build, share=5, of=8, beat=-90000.0)  # of a run before
    _, told, _ = front('status', build[0])
    assert 'process 1/2 on node7: running, last sign of life ' in told
    assert 'process 2/2 on node7: running, waits for samples/abc, last sign of life ' in told
    assert '6/8' not in told


def test_a_sealed_build_needs_no_working_folder(front, tmp_path):
    out = build_at(tmp_path / 'out', 'mix', 'triples')
    told = front('status', out)[1].splitlines()
    assert told[0] == f'{out}: sealed; 0 of 0 table(s) asked for so far are finished'
    assert told[2].startswith('  triples: sealed at ')
    assert ', 3 row(s), ' in told[2]
    the_object(front('status', out / 'mix', '--json'), 'status')
    (out / 'mix/manifest.json').write_text('{')
    found = status.status_of(out)
    assert found['snapshots'][0]['fault']
    assert found['snapshots'][1]['rows'] == 3, 'the other one is told all the same'


def test_what_is_no_build_is_one_message(front, tmp_path):
    (tmp_path / 'photos/work').mkdir(parents=True)
    assert 'expected the folder of a build (work/, mix/ or triples/), found none; name the --out' in refused(front('status', tmp_path / 'photos'))
    assert 'found no folder' in refused(front('status', tmp_path / 'nothing'))


def test_it_changes_nothing(build, front):
    out, work = build
    before = {path: path.stat().st_mtime_ns for path in sorted(out.rglob('*'))}
    front('status', out, '--why')
    assert {path: path.stat().st_mtime_ns for path in sorted(out.rglob('*'))} == before


# --- why ---


@pytest.fixture
def made(build):
    """Two tables of a finished run, the second made from the first."""
    out, work = build
    engine = Engine(work, workers=1, uses=Uses(work, out, 'mix'))
    with engine:
        first = engine.run(Rows(2))
        second = engine.run(Rows(1, (first,)))
    return first, second


def why(front, build):
    return [line.strip() for line in front('status', build[0], '--why')[1].splitlines() if 'made again' in line]


def test_nothing_is_made_again_where_all_is_there(build, made, front):
    assert why(front, build) == [f'nothing is made again as long as recipe and inputs stay; for others: phantom build RECIPE --out {build[0]} --dry-run']
    assert front('status', build[0])[1].splitlines()[0].endswith('2 of 2 table(s) asked for so far are finished')


def test_a_damaged_table_and_what_follows_is_made_again(build, made, front):
    (made[0].path / 'part-00001.parquet').unlink()
    assert why(front, build) == ['mix: rows 2 is made again: part-00001.parquet is missing', 'mix: rows 1 is made again: it is made from rows 2']


def test_a_table_of_another_version_is_made_again(build, made, front, monkeypatch):
    monkeypatch.setattr(Rows, 'VERSION', 4)
    assert why(front, build)[0] == 'mix: rows 2 is made again: version of the step was 3, is 4'


def test_an_unfinished_table_says_what_it_waits_for(build, front):
    out, work = build
    with Engine(work, workers=1, uses=Uses(work, out, 'triples')) as engine, pytest.raises(PendingWork):
        engine.run(Rows(100))
    assert why(front, build) == ['triples: rows 100 is made again: it is not finished, 99 shard(s) are there and stay: the server is away']


def test_a_damaged_note_is_told(build, made, front):
    [path] = (build[1] / 'builds').glob('mix-*.json')
    path.write_text('{"out"')
    assert 'expected the note of the tables that a build uses, found a file that is damaged' in front('status', build[0])[1]
    assert json.loads(front('status', build[0], '--json')[1])['faults']


def test_uses_of_others_say_so_too(build, made):
    [path] = (build[1] / 'builds').glob('mix-*.json')
    path.write_text('')
    with pytest.raises(UserError, match='or remove the file'):
        list(all_uses(build[1]))
