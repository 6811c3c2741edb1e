"""Verdicts as rows: what a judge is shown, and how a second one is kept beside the first."""

import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.chat.requests import wire_body
from pipelines.chat.responses import read_response
from pipelines.engine.step import make_here
from pipelines.engine.tables import Table
from pipelines.triples.verdicts import JudgeCandidates
from schemas.recipe import Judge, Model
from schemas.records import CANDIDATES, rows_table
from tests.fakes import completion
from tests.pipelines.mix.mixes import table_of
from tests.programmes.project import picture

MODELS = {'blind': {'model': 'blind', 'revision': '1'}, 'seeing': {'model': 'seeing', 'revision': '1', 'images': True}}


@dataclass
class FakeAsker:
    """Answers at once, as the fake server does, and keeps what it was asked."""

    asked: dict[str, list[dict]] = field(default_factory=dict)
    served: Counter = field(default_factory=Counter)

    def begin(self, step):
        self.served.clear()

    def close(self):
        pass

    def ask(self, model, by_source, *, give_up):
        requests = [request for some in by_source.values() for request in some]
        bodies = [wire_body(request, model) for request in requests]
        self.asked.setdefault(model, []).extend(bodies)
        return {request.key: read_response(request, completion(body)) for request, body in zip(requests, bodies)}


def pictures_in(bodies):
    return [sum(part['type'] == 'image_url' for m in body['messages'] if isinstance(m['content'], list) for part in m['content']) for body in bodies]


@pytest.fixture
def judged(tmp_path):
    def judge(answers='open', chosen='a red bridge', rejected='a blue tower', generator='paper', right=(), not_asked=(), **settings) -> tuple[dict, FakeAsker]:
        said = [{'role': 'user', 'content': [{'type': 'image', 'text': None}, {'type': 'text', 'text': 'What is it?'}]},
                {'role': 'assistant', 'content': [{'type': 'text', 'text': chosen}]}]
        row = {'sample_id': 's/a#0/0', 'source': 's', 'answers': answers, 'messages': said, 'image_ids': [hashlib.sha256(picture('x')).hexdigest()],
               'images': [{'bytes': picture('x'), 'path': 'x.png'}]}
        pq.write_table(pa.Table.from_pylist([row]), tmp_path / 'mix.parquet')
        candidate = dict.fromkeys(CANDIDATES.names) | {
            'candidate_id': 'c', 'sample_id': 's/a#0/0', 'source': 's', 'file': 0, 'row': 0, 'answers': answers, 'kind': 'incorrect', 'generator': generator,
            'question': 'What is it?', 'chosen': chosen, 'rejected': rejected}
        candidates, asker = table_of(tmp_path / 'candidates', rows_table([candidate], CANDIDATES)), FakeAsker()
        picks = Table(tmp_path / 'picks')
        picks.path.mkdir()
        (picks.path / 'pool.json').write_text(json.dumps({'s': [['What is it?', answer] for answer in right]}))
        models = {name: Model.model_validate(model) for name, model in MODELS.items()}
        step = JudgeCandidates(
            candidates, picks, Judge.model_validate(settings), models, False, not_asked, (str(tmp_path / 'mix.parquet'),), asker)
        (row,) = make_here(step, tmp_path).read().to_pylist()
        return row, asker

    return judge


@pytest.mark.parametrize('first', [{'model': 'blind', 'mode': 'likelihood'}, {'model': 'seeing', 'mode': 'paper'}])
def test_a_second_judge_sees_the_picture_although_the_first_does_not(judged, first):
    row, asker = judged(**first, second={'model': 'seeing', 'mode': 'yes_no'})
    assert pictures_in(asker.asked['seeing'][-2:]) == [1, 1]
    assert set(pictures_in(asker.asked[first['model']][:1])) == {0}
    assert len(row['reply_keys']) == (4 if first['mode'] == 'likelihood' else 3)
    assert 'second' in json.loads(row['scores'])


def test_a_second_judge_whose_orders_disagree_gives_no_score(judged, monkeypatch):
    """It names A in both orders, so it prefers a place, not an answer: its mean preference is 0, which a margin below 0 would accept."""
    honest = completion

    def names_a(body):
        payload = honest(body)
        if 'Which of the following' in json.dumps(body):
            top = [{'token': 'A', 'logprob': -0.1}, {'token': 'B', 'logprob': -2.5}]
            payload['choices'][0] |= {'logprobs': {'content': [{'token': 'A', 'logprob': -0.1, 'top_logprobs': top}]}}
        return payload

    monkeypatch.setitem(globals(), 'completion', names_a)
    row, _ = judged(model='blind', mode='likelihood', second={'model': 'seeing', 'mode': 'pairwise', 'margin': -1.0})
    assert row['reason'] == ''
    assert 'second' not in json.loads(row['scores'])


JUDGE = {'model': 'blind', 'mode': 'likelihood'}


def test_an_exact_answer_that_can_be_compared_is_judged_by_program_and_no_model_is_asked(judged):
    row, asker = judged('exact', '3:00 PM', '16:00', **JUDGE)
    assert (row['judge'], row['score'], row['reason'], asker.asked) == ('computed answer', 1.0, '', {})


def test_an_exact_answer_in_other_words_is_no_wrong_one(judged):
    row, asker = judged('exact', '3:00 PM', '15:00', **JUDGE)
    assert (row['reason'], asker.asked) == ('NOT_WRONG', {})


def test_what_a_program_cannot_tell_about_an_exact_answer_the_model_is_asked(judged):
    row, asker = judged('exact', 'a red bridge', 'some crossing of steel', **JUDGE)
    assert row['judge'] == 'blind (1), likelihood'
    assert row['score'] is not None
    assert asker.asked['blind']


@pytest.mark.parametrize(('settings', 'why'), [({}, 'the recipe names no judge to ask'), (JUDGE | {'not_asked': ('s',)}, 'no better than chance on this source')])
def test_where_no_model_may_be_asked_it_is_left_out_as_not_to_be_told(judged, settings, why):
    row, asker = judged('exact', 'a red bridge', 'some crossing of steel', **settings)
    assert (row['reason'], row['score'], asker.asked) == ('CANNOT_TELL', None, {})
    assert why in row['detail']


def test_an_exact_answer_that_a_rule_has_made_wrong_is_wrong(judged):
    row, _ = judged('exact', 'a red bridge', 'a stone wall', 'rules')
    assert (row['judge'], row['reason'], row['score']) == ('computed answer', '', 1.0)


def test_another_right_answer_of_a_source_with_few_of_them_is_wrong(judged):
    row, _ = judged('exact', 'Honda', 'Toyota', right=['Honda', 'Toyota'] * 5)
    assert (row['reason'], row['score']) == ('', 1.0)


def test_another_right_answer_of_a_source_with_many_of_them_may_be_a_paraphrase(judged):
    row, _ = judged('exact', 'Honda', 'Toyota', right=['Honda', 'Toyota', *map(str, range(30))])
    assert row['reason'] == 'CANNOT_TELL'
