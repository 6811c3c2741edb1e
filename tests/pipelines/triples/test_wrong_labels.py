"""Wrong labels that sources really had become triples: by ratings that propose an answer and by majorities, judged like any other; no truth is touched."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.build import Way, build_all
from pipelines.look.explain import explain
from pipelines.look.preview import preview_recipe
from pipelines.look.verify import verify_snapshot
from pipelines.triples.wrong_labels import MixNote, WrongLabel, proposed, read_wrong_labels
from schemas.errors import UserError
from schemas.rating import RATINGS_FILE
from schemas.recipe import load_recipe
from schemas.records import PROPOSALS, RATINGS, REJECTIONS, Reason
from schemas.snapshot import open_snapshot
from tests.programmes.project import city, knowing_server, question, rows_of, write_project

BOTH = pa.schema([*RATINGS, *PROPOSALS])


def fact(number):
    return f'facts/facts/facts.json#{number}/0'


def rated(path, *rows, schema=BOTH):
    """Write ratings of `correct`: (sample id, score, rater, proposed, its probability)."""
    names = ('sample_id', 'score', 'by', 'proposed', 'proposed_p')
    pq.write_table(pa.Table.from_pylist([dict(zip(names, row, strict=True)) | {'ask': 'correct'} for row in rows], BOTH).select(schema.names), path)
    return path


def outvoted(path, *groups):
    """Write rejections with groups of answers: (answer, votes, first sample)."""
    told = [{'question': 'q', 'more': 0, 'answers': [dict(zip(('answer', 'votes', 'first'), one, strict=True)) for one in group]} for group in groups]
    rows = [dict.fromkeys(REJECTIONS.names, '') | {'reason': str(Reason.CONTRADICTED_ANSWER), 'detail': json.dumps(group)} for group in told]
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist([*rows, dict.fromkeys(REJECTIONS.names, 'x')], REJECTIONS), path)


def labels(folder, *files, below=0.05, sure=0.9):
    return read_wrong_labels(folder, [MixNote(file, '') for file in files], below=below, sure=sure)


@pytest.fixture
def ratings(tmp_path):
    (tmp_path / 'ratings').mkdir()
    return tmp_path / RATINGS_FILE


def test_an_answer_counts_as_wrong_where_it_is_low_and_another_is_sure(tmp_path, ratings):
    rated(ratings, ('a', 0.01, 'x', 'red', 0.95), ('b', 0.05, 'x', 'red', 0.95), ('c', 0.01, 'x', 'red', 0.89), ('d', 0.01, 'x', None, None), ('f', 0.01, 'x', ' ', 0.99),
          ('e', None, 'x', 'red', 0.99))  # fmt: skip
    assert labels(tmp_path, RATINGS_FILE) == {'a': WrongLabel('red', by='x')}
    assert labels(tmp_path, RATINGS_FILE, below=0.06, sure=0.8).keys() == {'a', 'b', 'c'}


def test_all_who_rated_it_must_propose_the_same(tmp_path, ratings):
    rated(ratings, ('a', 0.01, 'x', 'red', 0.95), ('a', 0.02, 'y', 'Red.', 0.95), ('b', 0.01, 'x', 'red', 0.95), ('b', 0.01, 'y', 'blue', 0.95),
          ('c', 0.01, 'x', 'red', 0.95), ('c', 0.6, 'y', 'red', 0.95), ('d', 0.01, 'x', 'red', 0.95), ('d', 0.01, 'y', None, None))  # fmt: skip
    assert labels(tmp_path, RATINGS_FILE) == {'a': WrongLabel('red', by='x, y')}


def test_a_majority_tells_what_is_wrong_and_no_half_does(tmp_path):
    outvoted(tmp_path / 'rejections/a', [('red', 3, 'a'), ('blue', 1, 'b'), ('green', 1, 'c')], [('one', 2, 'd'), ('two', 2, 'e')])
    assert labels(tmp_path, 'rejections/a') == {'a': WrongLabel('red', ('blue', 'green'))}


def test_what_speaks_against_each_other_tells_nothing(tmp_path, ratings):
    outvoted(tmp_path / 'rejections/a', [('red', 3, 'a'), ('blue', 1, 'b')], [('one', 3, 'd'), ('two', 1, 'e')])
    rated(ratings, ('a', 0.01, 'x', 'blue', 0.95), ('d', 0.9, 'x', None, None), ('f', 0.01, 'x', 'red', 0.95))
    assert labels(tmp_path, RATINGS_FILE, 'rejections/a') == {'d': WrongLabel('one', ('two',)), 'f': WrongLabel('red', by='x')}


def test_a_mix_that_tells_no_wrong_label_is_refused(tmp_path, ratings):
    rated(ratings, ('a', 0.01, 'x', 'red', 0.95), schema=RATINGS)
    with pytest.raises(UserError, match='expected ratings that propose answers .columns proposed, proposed_p., or groups that a majority decided'):
        labels(tmp_path, RATINGS_FILE)


def test_the_majority_of_an_earlier_turn_is_no_answer_to_the_last(tmp_path):
    assert proposed(WrongLabel('red', ('blue',)), 'three')[0] == Reason.NO_NEGATIVE
    assert proposed(None, 'three')[0] == Reason.NO_NEGATIVE
    assert proposed(WrongLabel('red', ('blue',)), 'Red') == (('blue', 'incorrect', 'Red'),)
    assert proposed(WrongLabel('red'), 'blue') == (('blue', 'incorrect', 'red'),)


WRONG, UNSURE, FOOLED, OUTVOTED = 20, 21, 22, 30


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    """A build of facts of which one is wrong and known to be, one is wrong by an unsure rater, one right and taken for wrong, and one outvoted."""
    folder = tmp_path_factory.mktemp('wrong')
    project = write_project(folder)
    rows = [{'instruction': question(i), 'output': city(i + 1 if i in (WRONG, UNSURE) else i)} for i in range(60)]
    rows += [{'instruction': question(OUTVOTED), 'output': text} for text in (city(OUTVOTED), city(OUTVOTED + 5))]
    (project.root / 'facts/facts.json').write_text(json.dumps(rows))
    file = rated(folder / 'ratings.parquet', (fact(WRONG), 0.01, 'fold', city(WRONG), 0.97), (fact(UNSURE), 0.01, 'fold', city(UNSURE), 0.6),
                 (fact(FOOLED), 0.02, 'fold', city(FOOLED + 7), 0.99), (fact(40), 0.9, 'fold', None, None))  # fmt: skip
    sets = ('sources.shapes=null', 'sources.charts=null', 'sources.photos=null', 'contamination.benchmarks=[]', f'rate={{from: [{file}]}}',
            'contradictions=majority', 'generate=[{prompt: wrong_labels}]', 'triples.max_samples={}')  # fmt: skip
    with knowing_server() as server:
        project.build(folder / 'out', url=server.url, sets=sets)
        asked = set(server.counts)
        project.build(folder / 'again', url=server.url, sets=sets, work=folder / 'out/work')
        assert set(server.counts) == asked, 'the judge is asked nothing new'
    return folder, project, sets


def said(messages):
    return ''.join(part['text'] or '' for message in messages for part in message['content'])


@pytest.mark.integration
def test_wrong_labels_of_a_source_are_triples_that_a_judge_confirmed(made):
    folder, _, _ = made
    triples = {row['sample_id']: row for row in rows_of(folder / 'out/triples')}
    pairs = {name: (said(row['chosen']), said(row['rejected'])) for name, row in triples.items()}
    assert pairs == {fact(WRONG): (city(WRONG), city(WRONG + 1)), fact(OUTVOTED): (city(OUTVOTED), city(OUTVOTED + 5))}
    assert {(row['generator'], row['kind']) for row in triples.values()} == {('wrong_labels', 'incorrect')}
    assert question(WRONG) in said(triples[fact(WRONG)]['prompt'])
    assert triples[fact(WRONG)]['triple_id'] == f'{fact(WRONG)}/wrong_labels-0.0'
    assert verify_snapshot(folder / 'out/triples') == 0
    planted = set(pq.read_table(folder / 'out/triples/calibration/cases.parquet')['sample_id'].to_pylist())
    assert len(planted) > 4, 'four samples are picked, more stand by'
    assert planted.isdisjoint({fact(WRONG), fact(FOOLED), fact(OUTVOTED)})
    told = open_snapshot(folder / 'out/triples').manifest['wrong_labels']
    assert told == {'rated': 2, 'outvoted': 1, 'proposed_by': ['fold']}
    assert 'of 2 sample(s) whose label was rated low; the right answers' in (folder / 'out/triples/README.md').read_text()
    assert open_snapshot(folder / 'out/triples').snapshot_id == open_snapshot(folder / 'again/triples').snapshot_id


@pytest.mark.integration
def test_what_is_no_triple_says_why(made):
    folder, _, _ = made
    out = {row['id'].partition('/wrong')[0]: row['reason'] for row in rows_of(folder / 'out/triples', 'rejections')}
    assert out[fact(FOOLED)] == 'LOW_MARGIN', 'the judge does not confirm what the rater proposed'
    assert out[fact(UNSURE)] == out[fact(50)] == 'OVER_QUOTA'


@pytest.mark.integration
def test_explain_shows_what_was_proposed(made, tmp_path):
    folder, _, _ = made
    lines = '\n'.join(explain(fact(WRONG), folder / 'out/work', tmp_path / 'a.png', folder / 'out'))
    assert f'"proposed": "{city(WRONG)}"' in lines


@pytest.mark.integration
def test_the_mix_hands_proposals_on(made):
    folder, _, _ = made
    ratings = pq.read_table(folder / 'out/mix' / RATINGS_FILE).to_pylist()
    assert {row['sample_id']: row['proposed'] for row in ratings} == {
        fact(WRONG): city(WRONG), fact(UNSURE): city(UNSURE), fact(FOOLED): city(FOOLED + 7), fact(40): None}


@pytest.mark.integration
def test_a_select_of_the_same_asks_nobody_and_one_of_more_is_refused(made, tmp_path):
    folder, project, sets = made
    way = Way(folder / 'out/work', project.root, ask_nobody=True)
    fewer = load_recipe(project.recipe, (*sets, 'models.fake.base_urls=["http://127.0.0.1:9/v1"]', 'judge.margin=99'))
    with pytest.raises(UserError, match='at least one accepted candidate'):
        build_all(fewer, tmp_path / 'fewer', way)
    more = load_recipe(project.recipe, (*sets, 'models.fake.base_urls=["http://127.0.0.1:9/v1"]', 'generate=[{prompt: wrong_labels, sure: 0.5}]'))
    with pytest.raises(UserError, match='select: expected stored replies to all'):
        build_all(more, tmp_path / 'more', way)


@pytest.mark.integration
def test_a_preview_of_the_sealed_mix_shows_them(made):
    folder, project, sets = made
    with knowing_server() as server:
        recipe = load_recipe(project.recipe, (*sets, f'models.fake.base_urls=["{server.url}"]'))
        preview_recipe(recipe, 5, folder / 'out', Way(folder / 'out/work', project.root))
    page = (folder / 'out/preview/preview.html').read_text()
    assert city(WRONG + 1) in page
