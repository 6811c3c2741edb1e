"""Wrong answers by rule: wrong, alike in form, the same on every machine."""

import random
import re

import pytest

from curation.answers import answer_type, number_of, tokens
from curation.negatives import Negative, propose_negative
from schemas.records import Reason

OPTIONS = 'Which one?\nA. cat\nB. hot dog\nC. cow'
POOL = ('London', 'Rome', 'Berlin', 'New York City', '12', 'Yes', 'A long sentence about nothing at all.')
IDS = [f's/f.json#{n}/0' for n in range(200)]


@pytest.mark.parametrize(
    ('question', 'answer', 'expected'),
    [
        ('', 'Yes', {'No'}), ('', 'no.', {'yes.'}), ('', 'YES', {'NO'}), (OPTIONS, 'B', {'A', 'C'}), (OPTIONS, '(b)', {'(a)', '(c)'}),
        (OPTIONS, 'hot dog', {'cat', 'cow'}), (OPTIONS, 'B. hot dog', {'A. cat', 'C. cow'}), ('', 'Paris', {'London', 'Rome', 'Berlin', 'New York City'}),
        ('', 'A man waits indoors.', {'A woman waits indoors.', 'A man waits outdoors.'}), ('', 'It is raining over there, I am told, all week long.',
         {'It is not raining over there, I am told, all week long.'}),
        ('', '5', {'2', '3', '4', '6', '7', '8'}), ('', 'The Sun does not shine on the dark side of it.', {'The Sun does not shine on the light side of it.'}),
    ],
)
def test_the_wrong_answers_are_these_and_no_others(question, answer, expected):
    made = [propose_negative(i, question, answer, pool=POOL) for i in IDS]
    assert all(isinstance(n, Negative) and n.kind == 'incorrect' for n in made)
    assert {n.text for n in made} == expected


@pytest.mark.parametrize('answer', ['7', '1,200', '3.50', '$12', '45%', '0', '0.25', '1999', '12 March 1999', 'seven', '100 cm', '007', '-4', '1,234,567.8'])
def test_a_number_keeps_its_notation_and_is_clearly_another(answer):
    for sample_id in IDS:
        made = propose_negative(sample_id, 'How many?', answer)
        assert isinstance(made, Negative)
        assert re.sub(r'[\d,]+', '0', made.text) == re.sub(r'[\d,]+', '0', answer) or answer == 'seven'
        assert answer_type(made.text) == answer_type(answer)
        before, after = number_of(answer), number_of(made.text)
        if before and after and answer != '1999':
            assert before[1] == after[1]
            assert abs(before[0] - after[0]) >= 0.0999 * abs(before[0])


def test_a_sentence_keeps_all_but_one_detail():
    made = propose_negative(IDS[0], '', 'A red circle stands left of 3 green squares.')
    changed = [(a, b) for a, b in zip(made.text.split(), ['A', 'red', 'circle', 'stands', 'left', 'of', '3', 'green', 'squares.']) if a != b]
    assert len(changed) == 1


def test_a_colour_named_in_the_question_is_not_put_into_the_answer():
    made = {propose_negative(i, 'Is it green or blue?', 'red').text for i in IDS}
    assert made.isdisjoint({'green', 'blue', 'red'})
    assert len(made) > 5


def test_a_distractor_never_contains_the_right_answer_nor_equals_it():
    pool = ('New York', 'New York City', 'new york', 'York', 'Boston')
    assert {propose_negative(i, 'Where?', 'New York', pool=pool).text for i in IDS} == {'Boston'}


def test_without_any_way_there_is_a_reason():
    reason, detail = propose_negative('s/f#1/0', '', 'xyzzy', pool=('xyzzy',))
    assert reason is Reason.NO_NEGATIVE
    assert 'xyzzy' in detail


def test_the_same_id_gives_the_same_answer_whatever_the_order_of_the_pool():
    pool = list(POOL)
    for sample_id in IDS[:20]:
        first = propose_negative(sample_id, '', 'Paris', pool=pool)
        random.Random(sample_id).shuffle(pool)
        assert propose_negative(sample_id, '', 'Paris', pool=pool) == first
    assert len({propose_negative(i, '', 'Paris', pool=POOL).text for i in IDS}) > 1


def test_no_wrong_answer_reads_like_the_right_one():
    rng = random.Random('answers')
    answers = [str(rng.randrange(10**6)) for _ in range(100)] + [f'{rng.random() * 100:.2f}%' for _ in range(100)] + ['Yes', 'B', 'two', '½', '∞', '?']
    for answer in answers:
        made = propose_negative(f's/f#{answer}/0', '', answer, pool=POOL)
        assert isinstance(made, tuple) or tokens(made.text) != tokens(answer)


@pytest.mark.parametrize('answer', ['9' * 400, '0.' + '0' * 400 + '1', '1,' * 300 + '1', '9' * 5000])
@pytest.mark.parametrize('said', ['{}', 'There are {} dots in this picture, all of them black.'])
def test_a_number_that_no_float_holds_is_no_crash(answer, said):
    made = propose_negative('s/f#1/0', 'How many?', said.format(answer), pool=[answer, '1', '1'])
    assert isinstance(made, tuple) or made.text != said.format(answer)
