"""Judged benchmarks, scored by hand and by a fake judge on loopback."""

import json

import pytest

from pipelines.benches import judge_rules
from pipelines.benches.judge import judge_bench, open_judge
from pipelines.benches.judge_asking import ATTEMPTS
from pipelines.benches.judge_identity import NOT_NOTED, signature, told_by, who_answered
from pipelines.benches.judge_rules import (
    Judged,
    Unread,
    distance,
    judge_llava_w,
    judge_mathverse,
    judge_mathvista,
    judge_mm_vet,
    llava_w_metrics,
    mathverse_metrics,
    mathvista_metrics,
    mm_vet_metrics,
    normalised,
    plain_answer,
)
from pipelines.benches.judge_sums import bounds
from schemas.errors import PendingWork, UserError
from schemas.recipe import Model
from schemas.replies import Failure, Reply
from tests.fakes import FakeBackend, FakeChatServer, Script


def item(answer='', options=(), question='What is it?', item_id='0', **meta):
    return {'item_id': item_id, 'question': question, 'options': list(options), 'answer': answer, 'meta': meta}


def line(reply, **fields):
    return {'item': item(**fields), 'reply': reply, 'found': None, 'right': False}


def test_the_distance_counts_single_edits():
    assert (distance('kitten', 'sitting'), distance('', 'abc'), distance('same', 'same')) == (3, 3, 0)


@pytest.mark.parametrize(
    ('found', 'fields', 'value'),
    [
        ('B', {'options': ['3 cm', '5 cm'], 'question_type': 'multi_choice'}, '5 cm'),
        ('(A) 3 cm', {'options': ['3 cm', '5 cm'], 'question_type': 'multi_choice'}, '3 cm'),
        ('5cm', {'options': ['3 cm', '5 cm'], 'question_type': 'multi_choice'}, '5 cm'),
        ('None', {'options': ['One', 'Two'], 'question_type': 'multi_choice'}, None),
        ('The reply gives no answer', {'options': ['One', 'Two'], 'question_type': 'multi_choice'}, None),
        ('N/A', {'options': ['One', 'Two'], 'question_type': 'multi_choice'}, None),
        ('None', {'options': ['None', 'Two'], 'question_type': 'multi_choice'}, 'None'),
        ('the option (b)', {'options': ['3 cm', '5 cm'], 'question_type': 'multi_choice'}, '5 cm'),
        ('a', {'options': ['3 cm', 'a cm'], 'question_type': 'multi_choice'}, 'a cm'),
        ('14.9', {'answer_type': 'integer'}, '14'),
        ('1', {'answer_type': 'float', 'precision': 1.0}, '1.0'),
        ('14.0', {'answer_type': 'integer'}, '14'),
        ('about 14', {'answer_type': 'integer'}, None),
        ('nan', {'answer_type': 'integer'}, None),
        ('1.456', {'answer_type': 'float', 'precision': 2.0}, '1.46'),
        ('[1, 2]', {'answer_type': 'list'}, '[1, 2]'),
    ],
)
def test_mathvista_compares_options_and_rounded_numbers(found, fields, value):
    assert normalised(found, item(**fields)) == value


def test_what_is_an_answer_already_is_not_sent_to_the_judge():
    assert plain_answer(' 14 ', item(answer_type='integer')) == '14'
    assert plain_answer('It is 14', item(answer_type='integer')) is None
    assert plain_answer('red', item(options=['red', 'blue'], question_type='multi_choice')) == 'red'
    asked = []

    def judge(texts, read):
        asked.extend(texts)
        return {name: read('(B)') for name in texts}

    lines = [
        line('14', answer='14', item_id='a', answer_type='integer', answer_text='14'),
        line('It must be blue', answer='B', options=['red', 'blue'], item_id='b', question_type='multi_choice', answer_text='blue'),
        line('', answer='3', item_id='c', answer_type='integer', answer_text='3'),
    ]
    assert [judged.score for judged in judge_mathvista(lines, judge)] == [1.0, 1.0, 0.0]
    assert asked == ['b']


def test_mathverse_asks_the_judge_only_where_the_answers_differ():
    rounds = []

    def judge(texts, read):
        rounds.append(sorted(texts))
        return {name: read({'a': 'B', 'b': '2.0', 'c': '7'}[name] if len(rounds) == 1 else {'b': '1', 'c': '0'}[name]) for name in texts}

    lines = [line('So B', answer='B', item_id='a'), line('2.0', answer='2', item_id='b'), line('7', answer='8', item_id='c')]
    assert [judged.score for judged in judge_mathverse(lines, judge)] == [1.0, 1.0, 0.0]
    assert rounds == [['a', 'b', 'c'], ['b', 'c']]


def test_mathverse_leaves_text_only_out_of_the_mean():
    """Vision Only 1 of 2 = 50, Text Lite 1 of 1 = 100, Text Only 0: mean of the first two 75."""
    rows = [('Vision Only', 1.0), ('Vision Only', 0.0), ('Text Lite', 1.0), ('Text Only', 0.0)]
    got = mathverse_metrics([Judged(item(problem_version=version), '', None, score) for version, score in rows])
    assert (got['score'], got['version/Vision Only'], got['version/Text Only']) == (75.0, 50.0, 0.0)


def test_mathvista_counts_tasks_and_skills():
    rows = [('geometry problem solving', ['algebraic reasoning'], 1.0), ('textbook question answering', ['algebraic reasoning'], 0.0)]
    got = mathvista_metrics([Judged(item(metadata={'task': task, 'skills': skills}), '', None, score) for task, skills, score in rows])
    assert (got['score'], got['task/geometry problem solving'], got['skill/algebraic reasoning']) == (50.0, 100.0, 50.0)


def test_mm_vet_averages_grades_by_capability():
    """(0.5 + 1.0 + 0.0) / 3 = 50 %; ocr (0.5 + 1.0) / 2 = 75 %; math 0 %."""
    rows = [(['ocr'], 0.5), (['ocr', 'rec'], 1.0), (['math'], 0.0)]
    got = mm_vet_metrics([Judged(item(capability=names), '', grade, grade) for names, grade in rows])
    assert got == {'score': 50.0, 'capability/math': 0.0, 'capability/ocr': 75.0, 'capability/rec': 100.0}


def test_llava_w_is_a_ratio_of_sums_not_a_mean_of_ratios():
    """conv (8, 4), complex (10, 10): 14 of 18; the unread third counts in neither."""
    rows = [('conv', (8.0, 4.0)), ('complex', (10.0, 10.0)), ('complex', None)]
    got = llava_w_metrics([Judged(item(category=category), '', marks, 0.0) for category, marks in rows])
    assert got['score'] == pytest.approx(100 * 14 / 18)
    assert (got['category/conv'], got['category/complex']) == (50.0, 100.0)


def write_items(folder, lines):
    folder.mkdir(exist_ok=True)
    (folder / 'items.jsonl').write_text(''.join(json.dumps(one) + '\n' for one in lines))
    (folder / 'score.json').write_text(json.dumps({'bench': 'mm-vet', 'items': len(lines)}))


def judge_model(server, **fields):
    return Model(**{'model': 'fake-model', 'revision': '', 'base_urls': [server.url], 'max_retries': 0, **fields})


def grade_by_reply(body):
    text = body['messages'][0]['content']
    if 'Reply: a mumble\n' in text:
        return 'I cannot say' if 'seed' not in body else '0.3'
    return '1.0' if 'Reply: a cat\n' in text else 'no idea'


LINES = [
    line('a cat', answer='cat', item_id='x', capability=['rec']),
    line('a mumble', answer='dog', item_id='y', capability=['rec', 'ocr']),
    line('a fish', answer='fish', item_id='z', capability=['ocr']),
]


def test_a_judge_is_asked_again_when_it_mumbles_and_never_twice_for_what_is_stored(tmp_path):
    write_items(tmp_path, LINES)
    with FakeChatServer(Script(reply_of=grade_by_reply)) as server:
        result = judge_bench('mm-vet', tmp_path, judge_model(server))
        first = len(server.bodies)
        again = judge_bench('mm-vet', tmp_path, judge_model(server))
        assert server.asked_twice == []
        assert len(server.bodies) == first == 3 + 2 + (ATTEMPTS - 2)
    assert result == again == json.loads((tmp_path / 'score.json').read_text())
    assert result['score'] == pytest.approx(100 * 1.3 / 3)
    assert (result['items'], result['unread']) == (3, 1)
    assert result['judge'] == {'model': 'fake-model', 'revision': '', 'answered': [{'served_by': f'fake-model; at {server.url}', 'replies': 8}]}
    assert result['bounds'] == {'unread_as_0': pytest.approx(100 * 1.3 / 3), 'unread_left_out': pytest.approx(100 * 1.3 / 2)}
    rows = [json.loads(row) for row in (tmp_path / 'judged.jsonl').read_text().splitlines()]
    read = [(row['item_id'], row['found'], row['score'], row['unread']) for row in rows]
    assert read == [('x', 1.0, 1.0, None), ('y', 0.3, 0.3, None), ('z', None, 0.0, 'no idea')]


def test_replies_to_other_words_are_not_used(tmp_path, monkeypatch):
    write_items(tmp_path, LINES)
    with FakeChatServer(Script(reply_of=lambda body: '1.0')) as server:
        judge_bench('mm-vet', tmp_path, judge_model(server))
        monkeypatch.setattr(judge_rules, 'GRADE', f'Please. {judge_rules.GRADE}')
        judge_bench('mm-vet', tmp_path, judge_model(server))
        assert server.asked_twice == []
        assert len(server.bodies) == 2 * len(LINES)


@pytest.mark.parametrize('fault', ['500', '401', '429', 'timeout', 'dropped'])
def test_a_judge_that_fails_leaves_its_replies_for_the_next_run_and_no_score(tmp_path, fault):
    write_items(tmp_path, LINES)
    broken = Script(reply_of=grade_by_reply, fault_of=lambda body, nth: fault if 'a fish' in json.dumps(body) else '')
    with FakeChatServer(broken) as server:
        with pytest.raises(PendingWork, match=r"(?s)judge 'fake-model' at .*: 1 of 3 call.*run the same command again, it asks only what is missing") as told:
            judge_bench('mm-vet', tmp_path, judge_model(server, timeout_s=1))
        assert 'scripted' in str(told.value) or not fault.isdigit()
        assert json.loads((tmp_path / 'score.json').read_text()) == {'bench': 'mm-vet', 'items': 3, 'pending': 1, 'judge': {'model': 'fake-model'}}
        rows = [json.loads(row) for row in (tmp_path / 'judged.jsonl').read_text().splitlines()]
        assert [(row['score'], row['unread'], 'pending' in row) for row in rows] == [(1.0, None, False), (0.3, None, False), (None, None, True)]
        server.script = Script(reply_of=grade_by_reply)
        before = len(server.bodies)
        result = judge_bench('mm-vet', tmp_path, judge_model(server))
        assert len(server.bodies) - before == ATTEMPTS  # of the fish alone, which it cannot grade
    assert (result['score'], result['unread'], 'pending' in result) == (pytest.approx(100 * 1.3 / 3), 1, False)


@pytest.mark.parametrize('kind', ['rejected', 'malformed', 'transport'])
def test_a_failure_that_is_not_provably_about_its_request_is_no_verdict_wherever_it_was_stored(tmp_path, monkeypatch, kind):
    write_items(tmp_path, LINES)
    unpaid = FakeBackend(outcome_of=lambda request: Failure(request.key, kind, 'HTTP 402: Insufficient Balance', kind == 'transport'))
    monkeypatch.setattr('pipelines.benches.judge.open_backend', lambda *args: unpaid)
    for _ in range(2):
        with pytest.raises(PendingWork, match=r'3 of 3 call\(s\) have no reply\n3 x .*Insufficient Balance\n .*no credit'):
            judge_bench('mm-vet', tmp_path, Model(model='j', revision='', base_urls=['http://127.0.0.1:1/v1']))
    assert 'score' not in json.loads((tmp_path / 'score.json').read_text())


def test_a_score_of_before_goes_when_a_judgement_is_missing_and_when_a_run_is_interrupted(tmp_path, monkeypatch):
    write_items(tmp_path, LINES)
    with FakeChatServer(Script(reply_of=lambda body: '1.0')) as server:
        assert judge_bench('mm-vet', tmp_path, judge_model(server))['score'] == 100.0
        monkeypatch.setattr(judge_rules, 'GRADE', f'Please. {judge_rules.GRADE}')
        server.script = Script(reply_of=lambda body: '1.0', fault_of=lambda body, nth: '503' if 'a fish' in json.dumps(body) else '')
        with pytest.raises(PendingWork):
            judge_bench('mm-vet', tmp_path, judge_model(server))
        left = json.loads((tmp_path / 'score.json').read_text())
        assert ('score' in left, 'capability/ocr' in left, left['pending']) == (False, False, 1)

        def interrupted(*args, **kwargs):
            raise KeyboardInterrupt

        monkeypatch.setattr('pipelines.benches.judge.ask', interrupted)
        with pytest.raises(KeyboardInterrupt):
            judge_bench('mm-vet', tmp_path, judge_model(server))
    left = json.loads((tmp_path / 'score.json').read_text())
    assert ('score' in left, left['pending'], (tmp_path / 'judged.jsonl').exists()) == (False, 3, False)


def test_an_answer_that_is_there_waits_for_its_comparison(tmp_path):
    """MathVerse asks twice an item: extracted answers stay, though the second question of one is not answered."""
    write_items(tmp_path, [line(f'I get {value}', answer='4', item_id=value, problem_version='Vision Only') for value in ('2', '3')])

    def reply_of(body):
        text = body['messages'][0]['content']
        return '0' if text.startswith('Somebody') else text.rpartition('I get ')[2][0]

    def fault_of(body, nth):
        text = body['messages'][0]['content']
        return '500' if text.startswith('Somebody') and 'Their answer: 3' in text else ''

    with FakeChatServer(Script(reply_of=reply_of, fault_of=fault_of)) as server:
        with pytest.raises(PendingWork, match='1 of 2 call'):
            judge_bench('mathverse', tmp_path, judge_model(server))
        assert len(server.bodies) == 4
        server.script = Script(reply_of=reply_of)
        assert judge_bench('mathverse', tmp_path, judge_model(server))['score'] == 0.0
        assert len(server.bodies) == 5


def version_of(monkeypatch, version):
    monkeypatch.setattr('pipelines.benches.judge.describe_server', lambda model: {'server': model.base_urls[0], 'version': version})


def test_the_judge_that_is_named_is_the_one_that_answered(tmp_path, monkeypatch):
    write_items(tmp_path, LINES)
    with FakeChatServer(Script(reply_of=lambda body: '0.4')) as a, FakeChatServer(Script(reply_of=lambda body: '0.9')) as b:
        version_of(monkeypatch, 'A-1.0')
        judge_bench('mm-vet', tmp_path, judge_model(a))
        version_of(monkeypatch, 'B-9.9')
        result = judge_bench('mm-vet', tmp_path, judge_model(b))
        assert len(b.bodies) == 0
        assert result['score'] == pytest.approx(40)
        assert result['judge'] == {
            'model': 'fake-model', 'revision': '', 'not_asked': f'version B-9.9; at {b.url}',
            'answered': [{'served_by': f'fake-model; version A-1.0; at {a.url}', 'replies': 3}],
        }  # fmt: skip
        other = judge_bench('mm-vet', tmp_path, judge_model(b, revision='2'))
        assert (other['score'], other['judge']['revision'], len(b.bodies)) == (pytest.approx(90), '2', 3)
        assert [one['served_by'] for one in other['judge']['answered']] == [f'fake-model; version B-9.9; at {b.url}']


def test_a_score_of_two_servers_names_both(tmp_path, monkeypatch):
    write_items(tmp_path, LINES)
    away = Script(reply_of=lambda body: '0.4', fault_of=lambda body, nth: '500' if 'a fish' in json.dumps(body) else '')
    with FakeChatServer(away) as a, FakeChatServer(Script(reply_of=lambda body: '0.9')) as b:
        version_of(monkeypatch, '1')
        with pytest.raises(PendingWork):
            judge_bench('mm-vet', tmp_path, judge_model(a))
        version_of(monkeypatch, '2')
        judge = judge_bench('mm-vet', tmp_path, judge_model(b))['judge']
    assert [(one['served_by'], one['replies']) for one in judge['answered']] == [
        (f'fake-model; version 1; at {a.url}', 2), (f'fake-model; version 2; at {b.url}', 1),
    ]  # fmt: skip
    assert 'not_asked' not in judge


def test_who_answered_is_what_each_reply_says_or_what_was_noted_with_it():
    def reply(key, raw='', served_by=''):
        return Reply(key, 'm', '', '1', 'stop', 1, 1, raw=raw, served_by=served_by)

    assert told_by(reply('k', '{"model": "m-2024", "system_fingerprint": "fp_2"}')) == 'm-2024; fp_2'
    assert told_by(reply('k', '{"model": "m"}', 'noted; version 1')) == 'noted; version 1'
    assert [told_by(one) for one in (reply('k'), reply('k', '[]'), Failure('k', 'length', '', False, served_by='f'))] == ['', '', 'f']
    assert signature('m; version 1', {'version': '1', 'server': 'http://h'}) == 'm; version 1; at http://h'
    assert (signature('', {}), signature('m', {'version': '2'})) == ('', 'm; version 2')
    assert who_answered([reply('a'), reply('b', served_by='x'), reply('c')], {'version': '1'}) == {
        'answered': [{'served_by': NOT_NOTED, 'replies': 2}, {'served_by': 'x', 'replies': 1}], 'not_asked': 'version 1',
    }  # fmt: skip
    assert who_answered([], {'version': '1'}) == who_answered([Failure('k', 'length', '', False)], {'version': '1'}) == {'answered': []}


def test_cut_replies_of_one_server_do_not_look_like_anothers(tmp_path):
    write_items(tmp_path, LINES)
    with FakeChatServer(Script(reply_of=lambda body: '0.8 I think', fault_of=lambda body, nth: 'length' if 'a cat' in json.dumps(body) else '')) as server:
        answered = judge_bench('mm-vet', tmp_path, judge_model(server))['judge']['answered']
    assert [one['served_by'] for one in answered] == [f'fake-model; at {server.url}']


def test_the_judge_of_the_front_door_needs_a_server_and_a_name():
    assert open_judge('pope', '', '') is None
    assert open_judge('mm-vet', 'http://127.0.0.1:1/v1', 'j').base_urls == ['http://127.0.0.1:1/v1']
    named = open_judge('mm-vet', 'http://127.0.0.1:1/v1', 'j', revision='r2', key_env='MY_KEY')
    assert (named.revision, named.api_key_env) == ('r2', 'MY_KEY')
    with pytest.raises(UserError, match='--judge-key-env: expected the name') as told:
        open_judge('mm-vet', 'http://127.0.0.1:1/v1', 'j', key_env='sk-secret-1')
    assert 'secret' not in str(told.value)
    with pytest.raises(UserError, match='expected both'):
        open_judge('mm-vet', '', 'j')
    with pytest.raises(UserError, match='expected one that is judged'):
        open_judge('pope', 'http://127.0.0.1:1/v1', 'j')


def test_what_cannot_be_judged_is_explained(tmp_path):
    write_items(tmp_path, [line('x', answer='', item_id='q', category='conv')])
    with FakeChatServer() as server:
        with pytest.raises(UserError, match='expected one that is judged'):
            judge_bench('pope', tmp_path, judge_model(server))
        with pytest.raises(UserError, match='expected the replies of `phantom eval`'):
            judge_bench('mm-vet', tmp_path / 'none', judge_model(server))
        with pytest.raises(UserError, match='answers_gpt4.jsonl'):
            judge_bench('llava-w', tmp_path, judge_model(server))


def test_llava_w_shows_the_judge_description_reference_and_reply_in_this_order(tmp_path):
    write_items(tmp_path, [line('REPLY', answer='REFERENCE', item_id='q', category='conv', context='DESCRIPTION')])
    with FakeChatServer(Script(reply_of=lambda body: '10 5\nbecause')) as server:
        assert judge_bench('llava-w', tmp_path, judge_model(server))['score'] == 50.0
        text = server.bodies[0]['messages'][0]['content']
    assert text.index('DESCRIPTION') < text.index('REFERENCE') < text.index('REPLY')


def test_a_judge_that_never_stops_talking_is_read_and_one_that_cannot_take_a_request_is_not_asked_again(tmp_path, monkeypatch):
    write_items(tmp_path, LINES)

    def outcome_of(request):
        for reply, kind, detail in (('a cat', 'length', ''), ('a mumble', 'too_long', 'HTTP 400'), ('a fish', 'refused', 'I cannot')):
            if f'Reply: {reply}\\n' in request.body:
                return Failure(request.key, kind, detail, False, text='0.8 I think' if kind == 'length' else '')
        return None

    backend = FakeBackend(outcome_of=outcome_of)
    monkeypatch.setattr('pipelines.benches.judge.open_backend', lambda *args: backend)
    result = judge_bench('mm-vet', tmp_path, Model(model='j', revision='', base_urls=['http://127.0.0.1:1/v1']))
    assert len(backend.asked) == 1 + 1 + ATTEMPTS
    assert (result['score'], result['unread']) == (pytest.approx(80 / 3), 2)
    rows = [json.loads(row) for row in (tmp_path / 'judged.jsonl').read_text().splitlines()]
    assert [row['unread'] for row in rows] == [None, '[too_long: HTTP 400]', '[refused: I cannot]']


def test_a_judge_that_thinks_first_may_be_given_more_tokens(tmp_path, monkeypatch):
    write_items(tmp_path, LINES[:1])
    cut = FakeBackend(outcome_of=lambda request: Failure(request.key, 'length', '', False, reasoning='Let me see'))
    monkeypatch.setattr('pipelines.benches.judge.open_backend', lambda *args: cut)
    model = Model(model='j', revision='', base_urls=['http://127.0.0.1:1/v1'])
    result = judge_bench('mm-vet', tmp_path, model)
    assert (result['unread'], result['bounds']) == (1, {'unread_as_0': 0.0, 'unread_left_out': None})
    assert '--judge-max-tokens' in (tmp_path / 'judged.jsonl').read_text()
    asked = []
    whole = FakeBackend(outcome_of=lambda request: asked.append(json.loads(request.body)) or Reply(request.key, 'j', '', '1.0', 'stop', 1, 1))
    monkeypatch.setattr('pipelines.benches.judge.open_backend', lambda *args: whole)
    assert judge_bench('mm-vet', tmp_path, model, max_tokens=4096)['score'] == 100.0
    assert [body['max_completion_tokens'] for body in asked] == [4096]


def test_a_score_has_bounds_where_items_are_unread():
    """MM-Vet: 0.5 of two, 0.5 of one. LLaVA-W: 4 of 8 once; unread, the second earns nothing of 8: 4 of 16."""
    grades = [Judged(item(capability=[]), '', 0.5, 0.5), Judged(item(capability=[]), '', None, 0.0, 'hm')]
    assert bounds(grades, mm_vet_metrics) == {'bounds': {'unread_as_0': 25.0, 'unread_left_out': 50.0}}
    marks = [Judged(item(category='conv'), '', (8.0, 4.0), 0.5), Judged(item(category='conv'), '', None, 0.0, 'hm')]
    assert bounds(marks, llava_w_metrics) == {'bounds': {'unread_as_0': 25.0, 'unread_left_out': 50.0}}
    assert bounds(marks[1:], llava_w_metrics) == {'bounds': {'unread_as_0': None, 'unread_left_out': None}}
    assert bounds(grades[:1], mm_vet_metrics) == {}


def test_items_that_a_judge_leaves_unread_are_told_from_wrong_ones():
    def judge(texts, read):
        return {name: Unread('hm') for name in texts}

    lines = [line('four', answer='4', item_id='a', answer_type='integer', context='c', category='conv'), line('', answer='4', item_id='b', context='c', category='conv')]
    said = {rule.__name__: [judged.said for judged in rule(lines, judge)] for rule in (judge_mathvista, judge_mathverse, judge_mm_vet, judge_llava_w)}
    assert said == {'judge_mathvista': ['hm', None], 'judge_mathverse': ['hm', None], 'judge_mm_vet': ['hm', 'hm'], 'judge_llava_w': ['hm', 'hm']}
    assert llava_w_metrics(judge_llava_w(lines, judge)) == {}


def test_no_answer_is_wrong_without_another_question():
    def judge(texts, read):
        assert list(texts) in (['a'], [])
        return {name: read('None') for name in texts}

    assert [judged.score for judged in judge_mathverse([line('I cannot tell', answer='None of it', item_id='a')], judge)] == [0.0]


def test_mm_vet_shows_and_and_or_between_blanks():
    texts = {}

    def judge(asked, read):
        texts.update(asked)
        return dict.fromkeys(asked, 1.0)

    judge_mm_vet([line('x', answer='-1<AND>-5<OR>7', item_id='a')], judge)
    assert 'Expected: -1 <AND> -5 <OR> 7\n' in texts['a']


def test_a_description_may_be_several_sentences(tmp_path):
    write_items(tmp_path, [line('REPLY', answer='REFERENCE', item_id='q', category='conv', context=['One.', 'Two.'])])
    with FakeChatServer(Script(reply_of=lambda body: '8, 4\nbecause')) as server:
        assert judge_bench('llava-w', tmp_path, judge_model(server))['category/conv'] == 50.0
        assert 'One.\nTwo.' in server.bodies[0]['messages'][0]['content']
        assert server.bodies[0]['max_completion_tokens'] == 1024


def test_a_key_is_used_and_written_nowhere(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv('OPENAI_API_KEY', 'sk-very-secret')
    write_items(tmp_path, LINES)
    with FakeChatServer(Script(key='sk-very-secret', reply_of=lambda body: '1.0')) as server:
        judge_bench('mm-vet', tmp_path, judge_model(server))
        monkeypatch.setenv('OPENAI_API_KEY', 'sk-wrong-secret')
        with pytest.raises(UserError) as told:
            judge_bench('mm-vet', tmp_path, judge_model(server))
    written = b''.join(path.read_bytes() for path in tmp_path.rglob('*') if path.is_file())
    assert b'secret' not in written
    assert 'secret' not in str(told.value) + capsys.readouterr().out


def test_replies_with_foreign_line_ends_stay_whole(tmp_path):
    path = tmp_path / 'items.jsonl'
    path.write_text(json.dumps(line('a\u2028b', item_id='x'), ensure_ascii=False) + '\n')
    with FakeChatServer(Script(reply_of=lambda body: '1.0')) as server:
        assert judge_bench('mm-vet', tmp_path, judge_model(server))['score'] == 100.0
