"""Mistakes of a user, and services that fail: one message, an exit code, nothing sealed, and no model asked before it is told."""

import fcntl
import json
import os
import shutil
import signal
from dataclasses import replace
from fnmatch import fnmatch

import pytest

from pipelines.build import lock_file
from pipelines.engine.locks import held
from pipelines.snapshot.seal import _code_revision
from schemas.snapshot import open_snapshot
from tests.fakes import FakeChatServer, Script
from tests.programmes.project import Project, ids, knowing_server, rows_of, run, wrong_city
from tests.promises import promise


@pytest.fixture
def little(project, tmp_path) -> Project:
    """A copy that a test may spoil."""
    shutil.copytree(project.root, tmp_path / 'data')
    recipe = shutil.copyfile(project.recipe, tmp_path / 'recipe.yaml')
    return replace(project, root=tmp_path / 'data', recipe=recipe)


def refused(told: tuple[int, str, str], *expected: str, server: FakeChatServer | None = None, code: int = 2) -> None:
    """Assert one message without a traceback, which says `expected`, and that no model was asked."""
    assert told[0] == code, told
    lines = [line for line in told[2].splitlines() if 'shard(s) ...' not in line and ': done in ' not in line]
    assert sum(line.startswith('phantom: ') for line in lines) == 1, told[2]
    assert 'Traceback' not in told[2]
    for words in expected:
        assert words in told[2], told[2]
    if server:
        assert [body for body in server.bodies if 'Hello!' not in json.dumps(body)] == []


def spoil_recipe(little, server):
    return ['--set', 'jugde.margin=1'], ('jugde: unknown key',)


def take_an_annotation_file(little, server):
    (little.root / 'facts/facts.json').unlink()
    return [], ('source facts: expected annotations facts/facts.json', 'found none')


def take_an_image_root(little, server):
    shutil.rmtree(little.root / 'charts/imgs')
    return ['--set', "sources.charts.images=['charts/imgs']"], ('source charts: expected images charts/imgs', 'found none')


def take_the_benchmark(little, server):
    shutil.rmtree(little.root / 'bench')
    return [], ('benchmark little-bench: expected a folder bench below', 'found none')


def leave_a_pointer_for_a_benchmark_picture(little, server):
    (little.root / 'bench/imgs/b0.png').write_bytes(b'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n')
    return [], ('benchmark little-bench: expected pictures that open, found 1 of 1', 'a Git LFS pointer', 'accept: [pictures]')


def take_the_answers_of_the_benchmark(little, server):
    (little.root / 'bench/items.jsonl').write_text('{"question": "What is it?", "loesung": "x"}\n')
    return [], ('benchmark little-bench: expected answers, found none in 1 of 1 items', '`loesung`', 'accept: [answers]')


def take_the_root(little, server):
    shutil.rmtree(little.root)
    return [], (f'root {little.root}: expected the folder of the sources, found none; pass --root',)


def name_annotations_elsewhere(little, server):
    return ['--set', 'sources.shapes.annotations=[/etc/*.json]', '--set', 'sources.facts.annotations=[a**]'], (
        'source shapes: expected annotations below the root', "source facts: expected the name of a file or folder, or a glob, found 'a**'")


def stop_the_server(little, server):
    server.stop()
    return [], (f'model server {server.url}: expected an answer', 'start the server')


def serve_another_model(little, server):
    server.script.served = ('other',)
    return [], ("expected model 'fake-model', found ['other']",)


def serve_without_logprobs(little, server):
    server.script.lacks = ('prompt_logprobs',)
    return [], ('expected support for prompt_logprobs', 'choose another judge mode')


def cut_a_json_list(little, server):
    path = little.root / 'shapes/shapes.json'
    path.write_bytes(path.read_bytes()[:-30])
    return [], ('source shapes: expected a whole JSON list in', 'is the download complete?')


def put_a_page_for_a_list(little, server):
    (little.root / 'facts/facts.json').write_text('<!DOCTYPE html><p>404</p>')
    return [], ('source facts: expected JSON in', 'found a web page')


def cut_a_parquet_file(little, server):
    path = little.root / 'photos/photos.parquet'
    path.write_bytes(path.read_bytes()[:-30])
    return [], ('source photos: expected Parquet data in', 'is the download complete?')


def misspell_an_option(little, server):
    return ['--mixonly'], ('--mixonly',)


def name_no_runner(little, server):
    return ['--mix-only', '--runner=FlinkRuner'], ('--runner=FlinkRuner: expected one of', 'FlinkRunner')


def say_a_word_too_much(little, server):
    return ['--mix-only', '--direct_num_workers=2', 'other.yaml'], ('expected one recipe and options, found also other.yaml',)


def ask_for_an_open_answer_without_a_judge(little, server):
    return ['--set', 'judge.model=null'], ('judge.model: expected a model, since facts have open answers, found none',)


SPOILS = [spoil_recipe, take_an_annotation_file, take_an_image_root, take_the_benchmark, leave_a_pointer_for_a_benchmark_picture,
          take_the_answers_of_the_benchmark, take_the_root, name_annotations_elsewhere, stop_the_server, serve_another_model,
          serve_without_logprobs, cut_a_json_list, put_a_page_for_a_list, cut_a_parquet_file, misspell_an_option, name_no_runner, say_a_word_too_much, ask_for_an_open_answer_without_a_judge]


@pytest.mark.parametrize('spoil', SPOILS)
@promise('Hostile files', 'A mistake in a recipe, a path or a source ends the build at once with one message (exit code 2).')
def test_a_mistake_ends_at_once_with_one_message(front, little, tmp_path, spoil):
    with knowing_server() as server:
        args, expected = spoil(little, server)
        refused(front(*little.words(tmp_path / 'out', *args, url=server.url)), *expected, server=server)
    assert not list((tmp_path / 'out').glob('*/manifest.json'))


def test_a_user_sees_the_message_alone(project, tmp_path):
    told = run(project.command(tmp_path / 'out', url='http://127.0.0.1:9/v1'))
    refused((told.returncode, told.stdout, told.stderr), 'model server http://127.0.0.1:9/v1: expected an answer')
    assert told.stdout == ''


@pytest.mark.integration
def test_another_sealed_snapshot_is_refused_and_stays(front, built, project, server):
    before, asked = ids(built.out), len(server.bodies)
    told = front(*project.words(built.out, '--set', 'mix.seed=other', url=built.url))
    refused(told, f'{built.out}/mix: expected no snapshot or one of this very build', f'phantom clean {built.out} --yes')
    assert ids(built.out) == before
    assert all('Hello!' in json.dumps(body) for body in server.bodies[asked:])


@promise('Disks', 'A disk without room for the snapshot is told before anything is read.')
def test_a_disk_without_room_is_told_before_anything_is_read(front, project, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, 'disk_usage', lambda path: usage._replace(free=100_000_000))
    told = front(*project.words(tmp_path / 'out', '--mix-only'))
    refused(told, 'MB of free disk, found 100 MB; free some space or choose another --out')
    assert not list((tmp_path / 'out/work').glob('*/*/part-*'))


def test_an_out_that_cannot_be_written_is_told(front, project, tmp_path):
    (tmp_path / 'file').write_text('in the way')
    told = front(*project.words(tmp_path / 'file/out', '--mix-only'))
    refused(told, 'expected a folder to write to, found:', 'choose another --out or --work')


def test_a_folder_in_which_a_build_runs_is_refused(front, project, tmp_path):
    out, work = tmp_path / 'out', tmp_path / 'out/work'
    work.mkdir(parents=True)
    with lock_file(work, out, 0).open('w') as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        refused(front(*project.words(out, '--mix-only')), f'{work}: another build is running in this folder')


def test_a_folder_into_which_another_build_seals_is_refused(front, project, tmp_path):
    (tmp_path / 'out').mkdir()
    with held(tmp_path / 'out'):
        words = project.words(tmp_path / 'out', '--mix-only', '--work', str(tmp_path / 'work'))
        refused(front(*words), f'{tmp_path}/out: another build is running in this folder')


@pytest.mark.parametrize('order', [signal.SIGINT, signal.SIGTERM])
@promise('Processes', 'SIGINT and SIGTERM end a build with one message; finished shards stay.')
def test_an_order_to_stop_is_one_message_and_finished_shards_stay(front, little, tmp_path, monkeypatch, order):
    rename, before = os.replace, signal.getsignal(order)

    def renamed(source, target):
        rename(source, target)
        if fnmatch(str(target), '*/samples/*/shard-00000.json'):
            os.kill(os.getpid(), order)

    monkeypatch.setattr(os, 'replace', renamed)
    words = little.words(tmp_path / 'out', '--mix-only', '--workers', '0')
    refused(front(*words), f'stopped by {order.name}', 'the same command goes on from there', code=128 + order)
    assert signal.getsignal(order) is before
    assert len(list((tmp_path / 'out/work/samples').glob('*/shard-*.json'))) == 1
    assert not list((tmp_path / 'out/work/samples').glob('*/.*.tmp'))


def test_a_recipe_that_is_not_there_and_an_out_that_is_not_named_are_told(front, tmp_path):
    refused(front('build', tmp_path / 'no.yaml', '--out', tmp_path / 'out'), 'expected a YAML file, found none')
    code, _, told = front('build', tmp_path / 'no.yaml')
    assert code == 2
    assert "Missing option '--out'" in told
    assert 'Traceback' not in told


@pytest.fixture
def work(built, tmp_path):
    """The tables of the finished mix, so that a test of the triples starts there. Triples tables and replies are left out."""
    mine = tmp_path / 'work'
    shutil.copytree(built.out / 'work', mine, ignore=shutil.ignore_patterns(
        'replies', 'ledger', 'picks', 'candidates*', 'calibration', 'verdicts*', 'judged', 'triple*', 'shortcuts', '.lock*'))
    return mine


@pytest.mark.integration
def test_a_spent_budget_stops_with_3_and_a_larger_one_goes_on(front, built, project, tmp_path, work):
    with knowing_server() as server:
        words = project.words(tmp_path / 'out', '--work', str(work), url=server.url)
        told = front(*words, '--set', 'budget.requests=60')
        refused(told, 'budget: expected to stay within it, found spent requests: 60 of 60', 'raise `budget:`', code=3)
        assert len([body for body in server.bodies if 'Hello!' not in json.dumps(body)]) == 60
        assert not (tmp_path / 'out/triples').exists()
        code, _, told = front(*words, '--set', 'budget.requests=1000')
        assert code == 0, told
        assert all('Hello!' in json.dumps(body) or server.bodies.count(body) == 1 for body in server.bodies)
    assert ids(tmp_path / 'out') == ids(built.out)


@pytest.mark.integration
def test_failing_calls_are_pending_with_4_then_asked_again_or_given_up(front, built, project, tmp_path, work):
    def failing(body: dict, nth: int) -> str:
        return '500' if 'kingdom of Bakeland' in json.dumps(body) else ''

    assert 'kingdom of Bakeland' in str([row['prompt'] for row in rows_of(built.out / 'triples')])
    with knowing_server(fault_of=failing) as server:
        words = project.words(tmp_path / 'out', '--work', str(work), '--set', 'models.fake.max_retries=0', url=server.url)
        told = front(*words)
        refused(told, 'wait for model calls that kept failing', 'scripted 500', 'run the same command again to go on, or add --give-up', code=4)
        assert not (tmp_path / 'out/triples').exists()
        other = tmp_path / 'given-up'
        shutil.copytree(work, other)
        given = project.words(tmp_path / 'up', '--work', str(other), '--give-up', '--set', 'models.fake.max_retries=0', url=server.url)
        code, _, told = front(*given)
        assert code == 0, told
        server.script.fault_of = lambda body, nth: ''
        code, _, told = front(*words)
        assert code == 0, told
    assert ids(tmp_path / 'out') == ids(built.out), 'the server came back: as if nothing had been'
    lost = [row for row in rows_of(tmp_path / 'up/triples', 'rejections') if row['reason'] == 'GIVEN_UP']
    assert lost
    assert all('scripted 500' in row['detail'] for row in lost)
    booked = {entry['source']: entry['rejected'].get('GIVEN_UP', 0)
              for entry in open_snapshot(tmp_path / 'up/triples').manifest['yield'] if entry['unit'] == 'candidate'}
    assert booked == {'facts': len(lost), 'shapes': 0, 'charts': 0, 'photos': 0}


def constant(prompt: str, answer: str) -> float:
    return -1.0


@pytest.mark.integration
def test_a_judge_that_says_one_thing_is_refused_before_it_judges_unless_the_recipe_takes_it(front, built, project, tmp_path, work):
    with FakeChatServer(Script(likelihood=constant, reply_of=wrong_city)) as server:
        words = project.words(tmp_path / 'out', '--work', str(work), '--set', 'judge.margin=-1', url=server.url)
        told = front(*words)
        refused(told, "judge 'likelihood' on source 'facts': expected an AUC above", 'one score for 100% of them', 'accept_uncalibrated: true')
        asked = len(server.bodies)
        assert not list(work.glob('verdicts/*/part-*'))
        code, out, told = front(*words, '--set', 'sources.facts.accept_uncalibrated=true')
        assert code == 0, told
        assert len(server.bodies) > asked
    assert 'accepted although uncalibrated' in out
    card = (tmp_path / 'out/triples/README.md').read_text()
    assert 'facts was accepted although the judge is not calibrated on it' in card


@pytest.mark.integration
def test_clean_removes_the_work_and_a_sealed_snapshot_only_when_told_to(front, built, project, tmp_path):
    out = tmp_path / 'out'
    project.build(out, mix_only=True)
    before = ids(out)
    assert before == ids(built.out)[:1]
    code, told, _ = front('clean', out)
    assert code == 0
    assert 'removed work' in told
    assert 'kept sealed: mix' in told
    assert sorted(path.name for path in out.iterdir()) == ['mix']
    project.build(out, mix_only=True)
    assert ids(out) == before, 'rebuilt without its work, the sealed snapshot is what it was'
    code, told, _ = front('clean', out, '--yes')
    assert code == 0
    assert 'removed work, mix' in told
    assert not [path for path in out.glob('*') if path.name in ('work', 'mix', 'triples')]
    project.build(out, mix_only=True)
    assert ids(out) == before


def test_clean_refuses_a_folder_that_is_no_build(front, tmp_path):
    (tmp_path / 'letters').mkdir()
    (tmp_path / 'letters/mine.txt').write_text('keep')
    refused(front('clean', tmp_path / 'letters', '--yes'), 'expected a build (work/, mix/ or triples/), found none; nothing was removed')
    refused(front('clean', tmp_path / 'nowhere'), 'expected a build')
    assert (tmp_path / 'letters/mine.txt').read_text() == 'keep'


@promise('Processes', '`phantom clean` touches nothing that a running build uses.')
def test_clean_waits_for_a_build_that_runs(front, tmp_path):
    work = tmp_path / 'out/work'
    work.mkdir(parents=True)
    with (work / '.lock-2').open('w') as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        refused(front('clean', tmp_path / 'out', '--yes'), f'{work}: a build is running in this folder')
    assert work.exists()


def test_clean_never_touches_folders_that_only_bear_such_names(front, tmp_path):
    """`work/` and `mix/` are names that people use, too."""
    home = tmp_path / 'home'
    for name in ('work', 'mix'):
        (home / name).mkdir(parents=True)
        (home / name / 'thesis.tex').write_text('years')
    code, _, told = front('clean', home, '--yes')
    assert (home / 'mix/thesis.tex').exists()
    assert (home / 'work/thesis.tex').exists(), f'removed a folder that no build made (exit {code})'
    assert 'expected a build' in told


def test_a_machine_without_git_seals_all_the_same(monkeypatch):
    monkeypatch.setenv('PATH', '/nowhere')
    assert _code_revision()['git'] == 'unknown'
