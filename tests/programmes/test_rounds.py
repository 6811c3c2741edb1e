"""An exact number of accepted triples, asked for in rounds, and a second judge: whole builds against the fake server."""

import json
from collections import Counter

import pytest

from schemas.snapshot import open_snapshot
from tests.programmes.project import ids, knowing_server, rows_of, write_project

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group('rounds')]


@pytest.fixture(scope='module')
def project(tmp_path_factory):
    return write_project(tmp_path_factory.mktemp('project'))


def kept_facts(out):
    return [row for row in rows_of(out / 'triples') if row['source'] == 'facts']


def test_a_source_gets_exactly_the_number_it_wants_and_asks_no_more_rounds_than_needed(project, tmp_path):
    with knowing_server() as server:
        project.build(tmp_path / 'all', url=server.url)
        asked_for_all = len(server.bodies)
    with knowing_server() as server:
        project.build(tmp_path / 'few', url=server.url, sets=('triples.exactly={facts: 12}',))
        assert len(server.bodies) < asked_for_all
    assert len(kept_facts(tmp_path / 'few')) == 12
    books = {(line['unit'], line['source']): line for line in open_snapshot(tmp_path / 'few/triples').manifest['yield']}
    line = books['sample', 'facts']
    assert line['n_in'] == line['kept'] + sum(line['rejected'].values())
    assert line['rejected']['SURPLUS'] > 0
    every = {row['triple_id'] for row in kept_facts(tmp_path / 'all')}
    assert {row['triple_id'] for row in kept_facts(tmp_path / 'few')} <= every


def test_more_than_the_candidate_budget_can_give_is_told(project, tmp_path, capsys):
    with knowing_server() as server:
        project.build(tmp_path / 'out', url=server.url, sets=('triples.exactly={facts: 5000}',))
    assert f'facts has {len(kept_facts(tmp_path / "out"))} accepted of the 5000 wanted' in capsys.readouterr().out


def test_a_second_judge_is_stored_and_can_be_made_to_agree(project, tmp_path):
    second = 'judge.second={model: fake, mode: likelihood, margin: 100.0, must_agree: %s}'
    with knowing_server() as server:
        project.build(tmp_path / 'stored', url=server.url, sets=(second % 'false',))
        project.build(tmp_path / 'agreed', url=server.url, sets=(second % 'true',), work=tmp_path / 'stored/work')
    assert all('second' in json.loads(row['scores']) for row in kept_facts(tmp_path / 'stored'))
    assert kept_facts(tmp_path / 'agreed') == []
    told = open_snapshot(tmp_path / 'stored/triples').manifest['second_judge']
    n = len(kept_facts(tmp_path / 'stored'))
    assert told == {'judges_agree': 0, 'judges_asked_twice': n}, 'it says no to all that the first accepts'
    assert f'agrees with the first on 0 of {n} candidates' in (tmp_path / 'stored/triples/README.md').read_text()
    reasons = Counter(row['reason'] for row in rows_of(tmp_path / 'agreed/triples', 'rejections') if row['unit'] == 'candidate')
    assert reasons['JUDGES_DISAGREE'] == len(kept_facts(tmp_path / 'stored'))
    assert ids(tmp_path / 'agreed') != ids(tmp_path / 'stored')


def test_rounds_go_on_until_both_judges_accept_the_number_wanted(project, tmp_path):
    """The first accepts all 138 candidates, the second 50 of them: the 64 samples of the first round do not do."""
    second = 'judge.second={model: fake, mode: likelihood, margin: 1.25, must_agree: true}'
    with knowing_server() as server:
        project.build(tmp_path / 'out', url=server.url, sets=('triples.exactly={facts: 45}', second))
    assert len(list((tmp_path / 'out/work/candidates').iterdir())) > 1
    assert len(kept_facts(tmp_path / 'out')) == 45
