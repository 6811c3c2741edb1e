"""Ratings from files: what is rated below a threshold is out with a reason, what is not rated stays, and other thresholds ask for nothing."""

import math

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.build import Way, build_all
from pipelines.look.explain import explain
from pipelines.look.explain_json import explained
from pipelines.look.show import show_build
from pipelines.look.verify import verify_snapshot
from pipelines.mix.programme import mark_of
from schemas.errors import UserError
from schemas.recipe import load_recipe
from schemas.records import PROPOSALS, RATINGS
from schemas.snapshot import open_snapshot
from tests.programmes.project import ids, rows_of, write_project

pytestmark = pytest.mark.integration


def write(path, *ratings):
    """Write ratings: (sample id, question, score, rater)."""
    pq.write_table(pa.Table.from_pylist([dict(zip(RATINGS.names, row, strict=True)) for row in ratings], RATINGS), path)
    return path


def fact(number):
    return f'facts/facts/facts.json#{number}/0'


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    """A project, built once without ratings."""
    folder = tmp_path_factory.mktemp('given')
    project = write_project(folder)
    project.build(folder / 'out', mix_only=True)
    return project, folder


def select(made, out, *sets):
    project, folder = made
    recipe = load_recipe(project.recipe, sets)
    build_all(recipe, out, Way(folder / 'out/work', project.root, mix_only=True, ask_nobody=True))
    return open_snapshot(out / 'mix')


def drops(file, **thresholds):
    told = ', '.join(f'{name}: {threshold}' for name, threshold in thresholds.items())
    return f'rate={{from: [{file}], drop: {{{told}}}}}'


def out_of(snapshot, *reasons):
    return {row['id']: (row['reason'], row['detail'], row['step']) for row in rows_of(snapshot.path, 'rejections') if row['reason'] in reasons}


def test_what_is_rated_low_is_out_and_what_nobody_rated_stays(made, tmp_path, capsys):
    file = write(tmp_path / 'r.parquet', (fact(1), 'correct', 0.01, 'fold0'), (fact(2), 'correct', 0.05, 'fold0'), (fact(3), 'correct', 0.9, 'fold1'),
                 (fact(4), 'correct', None, 'fold1'))
    before = {row['sample_id'] for row in rows_of(made[1] / 'out/mix')}
    mix = select(made, tmp_path / 'out', drops(file, correct=0.05))
    assert out_of(mix, 'WRONG_ANSWER') == {fact(1): ('WRONG_ANSWER', 'correct 0.01, expected at least 0.05', 'select')}
    assert {row['sample_id'] for row in rows_of(mix.path)} == before - {fact(1)}
    of_facts = next(row for row in mix.manifest['ratings']['summary'] if row['source'] == 'facts')
    counted = {name: of_facts[name] for name in ('samples', 'rated', 'unreadable', 'left_out', 'below', 'low')}
    assert counted == {'samples': 128, 'rated': 2, 'unreadable': 1, 'left_out': 1, 'below': 0.05, 'low': 1}
    assert (of_facts['bins'][0], of_facts['bins'][1], of_facts['bins'][18]) == (1, 1, 1)
    assert pq.read_table(mix.path / 'ratings/ratings.parquet').equals(pq.read_table(file)), 'all that was rated, to be read by another build'
    assert '| facts | correct | 2 | 126 |' in (mix.path / 'README.md').read_text()
    assert verify_snapshot(mix.path) == 0
    capsys.readouterr()
    show_build(tmp_path / 'out')
    assert 'ratings of the samples' in capsys.readouterr().out


def test_proposals_are_told_and_handed_on(made, tmp_path):
    schema = pa.schema([*RATINGS, *PROPOSALS])
    rows = [(fact(1), 'correct', 0.01, 'fold0', 'Rome', 0.97), (fact(2), 'correct', 0.9, 'fold0', None, None)]
    pq.write_table(pa.Table.from_pylist([dict(zip(schema.names, row, strict=True)) for row in rows], schema), tmp_path / 'p.parquet')
    plain = write(tmp_path / 'r.parquet', (fact(3), 'correct', 0.5, 'other'))
    mix = select(made, tmp_path / 'out', f'rate={{from: [{tmp_path}/p.parquet, {plain}]}}')
    sealed = pq.read_table(mix.path / 'ratings/ratings.parquet')
    assert sealed.schema.equals(schema)
    assert [(row['sample_id'], row['proposed'], row['proposed_p']) for row in sealed.to_pylist()] == [(fact(1), 'Rome', 0.97), (fact(2), None, None), (fact(3), None, None)]
    told = explained(fact(1), made[1] / 'out/work', tmp_path / 'a.png', tmp_path / 'out')['sample']['ratings']
    assert told[0]['scores'] == {'proposed': 'Rome', 'proposed_p': 0.97}


@pytest.mark.parametrize(('columns', 'message'), [
    ({'proposed': 'Rome'}, 'expected both proposed and proposed_p or neither, found proposed alone'),
    ({'proposed': 'Rome', 'proposed_p': 1.5}, 'expected probabilities as proposed_p .* found 1.5'),
    ({'proposed': 'Rome', 'proposed_p': math.nan}, 'expected probabilities as proposed_p .* found nan'),
    ({'proposed': ['Rome'], 'proposed_p': 0.5}, 'expected a Parquet file of ratings'),
])  # fmt: skip
def test_proposals_that_are_none_are_refused(made, tmp_path, columns, message):
    row = {'sample_id': fact(1), 'ask': 'correct', 'score': 0.1, 'by': 'x'} | columns
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / 'r.parquet')
    with pytest.raises(UserError, match=message):
        select(made, tmp_path / 'out', f'rate={{from: [{tmp_path}/r.parquet]}}')


def test_without_a_threshold_ratings_are_told_and_nothing_is_out(made, tmp_path):
    file = write(tmp_path / 'r.parquet', (fact(1), 'correct', 0.01, 'fold0'))
    mix = select(made, tmp_path / 'out', f'rate={{from: {file}}}')
    assert mix.snapshot_id == open_snapshot(made[1] / 'out/mix').snapshot_id
    assert 'flag only' in (mix.path / 'README.md').read_text()
    lines = explain(fact(1), made[1] / 'out/work', tmp_path / 'a.png', tmp_path / 'out')
    assert '  correct: 0.01 by fold0' in lines
    assert lines[0].endswith('in: split train, output shard 0')
    assert any('not rated' in line for line in explain(fact(9), made[1] / 'out/work', tmp_path / 'a.png', tmp_path / 'out'))
    told = explained(fact(1), made[1] / 'out/work', tmp_path / 'a.png', tmp_path / 'out')['sample']['ratings']
    assert told == [{'ask': 'correct', 'by': 'fold0', 'score': 0.01, 'reason': '', 'detail': '', 'reply_keys': [], 'scores': {}}]


def test_a_sample_is_out_only_if_all_that_rated_it_say_so(made, tmp_path):
    both = [(fact(n), 'correct', score, by) for n, scores in ((1, (0.01, 0.02)), (2, (0.01, 0.8))) for by, score in zip('ab', scores, strict=True)]
    mix = select(made, tmp_path / 'out', drops(write(tmp_path / 'r.parquet', *both), correct=0.5))
    assert out_of(mix, 'WRONG_ANSWER').keys() == {fact(1)}
    of_facts = next(row for row in mix.manifest['ratings']['summary'] if row['source'] == 'facts')
    assert (of_facts['several'], of_facts['agree']) == (2, 1)


def test_the_reason_is_that_of_the_question(made, tmp_path):
    asked = ['correct', 'needs_picture', 'answers_the_question', 'well_formed', 'safe']
    file = write(tmp_path / 'r.parquet', *((fact(n), ask, -2.0, 'x') for n, ask in enumerate(asked, 10)))
    mix = select(made, tmp_path / 'out', drops(file, **dict.fromkeys(asked, -1)))
    found = out_of(mix, 'WRONG_ANSWER', 'NEEDS_NO_PICTURE', 'OFF_QUESTION', 'ILL_FORMED', 'LOW_RATING')
    assert [found[fact(n)][0] for n in range(10, 15)] == ['WRONG_ANSWER', 'NEEDS_NO_PICTURE', 'OFF_QUESTION', 'ILL_FORMED', 'LOW_RATING']
    assert found[fact(14)][1] == 'safe -2, expected at least -1'


def test_a_wrong_answer_leaves_its_place_in_a_quota_to_another_and_none_to_its_copy(made, tmp_path):
    quota = 'sources.shapes.quota=5'
    first = {row['sample_id'] for row in rows_of(_built(made, tmp_path / 'all', quota)) if row['source'] == 'shapes'}
    wrong = min(first)
    file = write(tmp_path / 'r.parquet', (wrong, 'correct', 0.0, 'x'), ('shapes/shapes/shapes.json#3/0', 'correct', 0.0, 'x'))
    left = _built(made, tmp_path / 'rated', quota, drops(file, correct=0.5))
    now = {row['sample_id'] for row in rows_of(left) if row['source'] == 'shapes'}
    assert len(now) == 5
    assert first - now == {wrong} | ({'shapes/shapes/shapes.json#3/0'} & first)
    assert 'shapes/shapes/shapes.json#30/0' not in now, 'a copy of number 3'


def _built(made, out, *sets):
    project, folder = made
    project.build(out, sets=sets, work=folder / 'out/work', mix_only=True)
    return out / 'mix'


def test_the_same_ratings_under_another_name_are_the_same_build(made, tmp_path):
    one = write(tmp_path / 'one.parquet', (fact(1), 'correct', 0.01, 'x'))
    select(made, tmp_path / 'out', drops(one, correct=0.5))
    before = ids(tmp_path / 'out')
    other = one.rename(tmp_path / 'other.parquet')
    assert ids_after(made, tmp_path, drops(other, correct=0.5)) == before
    write(other, (fact(1), 'correct', 0.9, 'x'))
    with pytest.raises(UserError, match='of other settings or inputs'):
        ids_after(made, tmp_path, drops(other, correct=0.5))


def ids_after(made, tmp_path, *sets):
    select(made, tmp_path / 'out', *sets)
    return ids(tmp_path / 'out')


@pytest.mark.parametrize(('rows', 'told'), [
    ([(fact(1), 'correct', 0.1, 'x'), ('facts/facts/facts.json#999/0', 'correct', 0.1, 'x')], r'1 id\(s\) that are not in it, of 2: facts/facts/facts.json#999/0'),
    ([(fact(1), 'correct', 0.1, 'x'), (fact(1), 'correct', 0.2, 'x')], 'expected one rating of a sample, a question and a rater, found 2 of facts'),
    ([(fact(1), 'correct', math.nan, 'x')], r'expected numbers as scores .* found nan in 1 row'),
    ([(fact(1), 'correct', -math.inf, 'x')], r'found -inf in 1 row'),
    ([(fact(1), None, 0.5, 'x')], 'expected ask in each row, found none in row 0'),
    ([], 'expected at least one rating, found none'),
])  # fmt: skip
def test_a_file_that_holds_no_ratings_of_this_mix_is_refused(made, tmp_path, rows, told):
    with pytest.raises(UserError, match=told):
        select(made, tmp_path / 'out', drops(write(tmp_path / 'r.parquet', *rows), correct=0.5))


def test_a_threshold_of_a_question_that_nobody_rated_is_refused(made, tmp_path):
    file = write(tmp_path / 'r.parquet', (fact(1), 'correct', 0.1, 'x'), (fact(1), 'safe', 0.1, 'x'))
    with pytest.raises(UserError, match=r'rate.drop: expected questions that are rated, of correct, safe, found corect, well_formed; name one'):
        select(made, tmp_path / 'out', drops(file, corect=0.5, safe=0.5, well_formed=0.5))


@pytest.mark.parametrize('data', [b'', b'PAR1 nothing PAR1', b'sample_id,ask\n'])
def test_what_is_no_parquet_file_is_refused(made, tmp_path, data):
    (tmp_path / 'r.parquet').write_bytes(data)
    with pytest.raises(UserError, match=r'r.parquet: expected a Parquet file of ratings'):
        select(made, tmp_path / 'out', drops(tmp_path / 'r.parquet', correct=0.5))


def test_columns_that_lack_or_are_of_another_kind_are_named(made, tmp_path):
    pq.write_table(pa.table({'sample_id': [fact(1)], 'score': [1.0]}), tmp_path / 'r.parquet')
    with pytest.raises(UserError, match='found no ask, by'):
        select(made, tmp_path / 'out', drops(tmp_path / 'r.parquet', correct=0.5))
    pq.write_table(pa.table({'sample_id': [fact(1)], 'ask': ['correct'], 'score': ['much'], 'by': ['x']}), tmp_path / 'r.parquet')
    with pytest.raises(UserError, match='expected a Parquet file of ratings'):
        select(made, tmp_path / 'out', drops(tmp_path / 'r.parquet', correct=0.5))


def test_a_recipe_without_ratings_has_the_mark_that_it_had(made):
    recipe = load_recipe(made[0].recipe)
    assert 'rate' not in recipe.model_dump()
    inputs = {'annotations': {}, 'order': []}
    assert mark_of(recipe, inputs) == mark_of(recipe.model_copy(update={'rate': None}), inputs)
