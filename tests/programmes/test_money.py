"""Builds of sixty questions on a server that counts: what is forgotten is asked again and nothing else; what was paid for is in the books."""

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

import phantom
import pipelines.chat.asker
from pipelines.look.show import show_build
from pipelines.replies.ledger import Ledger
from pipelines.replies.store import ReplyStore
from schemas.errors import BudgetExceeded, PendingWork, UserError
from schemas.recipe import Budget
from schemas.snapshot import open_snapshot
from tests.fakes import FakeChatServer, Script
from tests.programmes.project import Project, city, ids, knowing_likelihood, knowing_server, land, question, rows_of, wrong_city

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group('money')]

N = 60
RECIPE = {
    'name': 'small',
    'sources': {'facts': {'format': 'instruction', 'annotations': ['facts.json'], 'licence': 'MIT'}},
    'models': {'fake': {'base_urls': ['http://127.0.0.1:9/v1'], 'model': 'fake-model', 'revision': 'r1', 'concurrency': 4, 'max_retries': 0,
                        'price_prompt': 10.0, 'price_completion': 10.0}},
    'generate': [{'prompt': 'paper', 'model': 'fake'}],
    'judge': {'model': 'fake', 'mode': 'likelihood', 'margin': 0.0},
    'calibration': {'min_cases': 30},
}  # fmt: skip


@dataclass
class Small(Project):
    """A project whose builds begin with the mix that one of them made."""

    begun: Path = Path()

    def build(self, out: Path, *beam: str, work: Path | None = None, **options: object) -> None:
        if work is None and self.begun.exists() and not out.exists():
            shutil.copytree(self.begun, out, symlinks=True)
        super().build(out, *beam, work=work, **options)


@pytest.fixture(scope='module')
def project(tmp_path_factory) -> Project:
    folder = tmp_path_factory.mktemp('small')
    (folder / 'data').mkdir()
    (folder / 'data/facts.json').write_text(json.dumps([{'instruction': question(i), 'output': city(i)} for i in range(N)]))
    (folder / 'recipe.yaml').write_text(yaml.safe_dump(RECIPE))
    small = Small(folder / 'data', folder / 'recipe.yaml', begun=folder / 'begun')
    small.build(small.begun, mix_only=True)
    return small


def is_proposal(body: dict) -> bool:
    return 'prompt_logprobs' not in body and 'kingdom' in json.dumps(body)


def faulty_server(fault: str, *numbers: int) -> FakeChatServer:
    """Return a server that knows, and whose proposals about these questions fail."""
    lands = [f'kingdom of {land(number)}?' for number in numbers]

    def fault_of(body, nth):
        return fault if is_proposal(body) and any(name in json.dumps(body) for name in lands) else ''

    return FakeChatServer(Script(likelihood=knowing_likelihood, reply_of=wrong_city, fault_of=fault_of))


def forget(work, *words):
    return CliRunner().invoke(phantom.app, ['replies', 'forget', str(work / 'replies'), *words])


def test_a_stored_failure_that_is_forgotten_is_asked_again_by_the_same_command_and_nothing_else_is(project, tmp_path):
    out, work = tmp_path / 'out', tmp_path / 'out/work'
    with faulty_server('length', 7) as server:
        project.build(out, url=server.url)
    (lost,) = rows_of(out / 'triples', 'rejections')
    assert 'facts.json#7' in lost['id']
    with pytest.raises(UserError, match='name --failures, --model, --revision or --kind'):
        raise forget(work).exception
    assert 'there are: length 1, reply ' in forget(work, '--kind', 'refused', '--yes').output
    with pytest.raises(UserError, match='expected --yes, since nobody can be asked here; nothing was forgotten'):
        raise forget(work, '--failures').exception
    assert len(list((work / 'candidates').iterdir())) == 1

    done = forget(work, '--failures', '--yes')
    assert done.exit_code == 0, done.output
    for words in ('1 stored outcome(s) to forget (length 1)', 'will be paid again', 'candidates 1', 'verdicts 1', 'triples is sealed and stays as it is'):
        assert words in done.output.replace('\n', ' '), done.output
    assert not list((work / 'candidates').iterdir())
    assert not list((work / 'verdicts').iterdir())
    assert 'nothing was forgotten' in forget(work, '--failures', '--yes').output

    shutil.rmtree(out / 'triples')
    with knowing_server() as server:
        project.build(out, url=server.url)
        asked = [body for body in server.bodies if 'kingdom' in json.dumps(body)]
        assert [is_proposal(body) for body in asked].count(True) == 1
        assert 2 <= len(asked) <= 3, 'the proposal and its verdict'
        assert all(land(7) in json.dumps(body) for body in asked)
        project.build(tmp_path / 'fresh', url=server.url)
    assert rows_of(out / 'triples', 'rejections') == []
    assert ids(out) == ids(tmp_path / 'fresh')
    spent = Ledger(work / 'ledger', Budget()).spent()
    fresh = Ledger(tmp_path / 'fresh/work/ledger', Budget()).spent()
    assert (spent.requests, spent.tries) == (fresh.requests + 1, 0), 'what was forgotten was paid for twice'


def test_replies_of_a_judge_that_are_forgotten_leave_the_candidates_as_they_are(project, tmp_path):
    sets = ("models.judge={base_urls: ['%s'], model: fake-model, revision: judging}", 'judge.model=judge')
    with knowing_server() as server:
        of_judge = tuple(text % server.url if '%s' in text else text for text in sets)
        project.build(tmp_path / 'out', url=server.url, sets=of_judge)
        before, n = ids(tmp_path / 'out'), len(server.bodies)
        assert forget(tmp_path / 'out/work', '--revision', 'judging', '--yes').exit_code == 0
        assert len(list((tmp_path / 'out/work/candidates').iterdir())) == 1
        assert not list((tmp_path / 'out/work/calibration').iterdir())
        project.build(tmp_path / 'again', url=server.url, sets=of_judge, work=tmp_path / 'out/work')
        assert sum(map(is_proposal, server.bodies[n:])) == 0
        assert len(server.bodies) - n > N
    assert ids(tmp_path / 'again') == before


def test_nothing_is_forgotten_while_a_build_runs(project, tmp_path):
    from pipelines.build import alone

    with knowing_server() as server:
        project.build(tmp_path / 'out', url=server.url)
    with alone(tmp_path / 'out/work', tmp_path / 'out', 0), pytest.raises(UserError, match='a build is running'):
        raise forget(tmp_path / 'out/work', '--kind', 'reply', '--yes').exception
    assert ReplyStore(tmp_path / 'out/work/replies').stats().keys > N


@pytest.mark.parametrize('fault', ['503', 'not_json', 'malformed', 'dropped'])
def test_a_budget_stops_a_build_of_which_a_third_of_the_calls_brings_nothing(project, tmp_path, fault):
    with faulty_server(fault, *range(0, N, 3)) as server:
        for _ in range(2):
            with pytest.raises((BudgetExceeded, PendingWork)):
                project.build(tmp_path / 'out', url=server.url, sets=('budget={requests: 10}',))
        posts = sum('kingdom' in json.dumps(body) for body in server.bodies)
    assert 10 <= posts <= 10 + 4
    assert Ledger(tmp_path / 'out/work/ledger', Budget()).spent().requests == posts


def test_a_build_that_mixes_two_servers_says_so_everywhere_and_one_that_does_not_says_nothing(project, tmp_path, monkeypatch, capsys):
    real = pipelines.chat.asker.ask

    def ask(requests, **options):
        outcomes = real(requests, **options)
        return {key: replace(o, served_by=f'toy {"A" if replaced(key) else "B"}-1.0') for key, o in outcomes.items()}

    def replaced(key):
        return limit is None or int(key[:2], 16) < limit

    monkeypatch.setattr(pipelines.chat.asker, 'ask', ask)
    with knowing_server() as server:
        limit = None
        project.build(tmp_path / 'one', url=server.url)
        assert 'one build mixes' not in capsys.readouterr().out
        limit = 128
        project.build(tmp_path / 'two', url=server.url)
    told = 'models.fake: one build mixes the replies of 2 servers or versions: toy '
    assert told in capsys.readouterr().out
    one, two = (open_snapshot(tmp_path / name / 'triples').manifest['served_by'] for name in ('one', 'two'))
    assert one == {'fake': {'toy A-1.0': sum(two['fake'].values())}}
    assert two['fake'].keys() == {'toy A-1.0', 'toy B-1.0'}
    assert ids(tmp_path / 'one') == ids(tmp_path / 'two')
    assert 'one build mixes' in (tmp_path / 'two/triples/README.md').read_text()
    show_build(tmp_path / 'two')
    shown = capsys.readouterr().out
    assert told in ' '.join(shown.split())
    assert 'what the calls cost' in shown
    project.build(tmp_path / 'selected', sets=('judge.margin=0.01',), work=tmp_path / 'two/work', ask_nobody=True)
    assert told in capsys.readouterr().out
    show_build(tmp_path / 'two', as_json=True)
    assert json.loads(capsys.readouterr().out)['snapshots'][1]['served_by'] == two
