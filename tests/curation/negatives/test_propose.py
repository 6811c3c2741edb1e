"""Wrong answers by rule: wrong, alike in form, the same on every machine."""

import random
import re

import pytest

from curation.answers.kinds import answer_type, number_of, tokens
from curation.negatives.propose import Negative, propose_negative
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


COLOURS = ('red', 'blue', 'green', 'yellow', 'purple', 'pink', 'brown', 'black', 'white', 'gray', 'teal')
COUNTS = ('Three', 'Four', 'Five', 'Six', 'Seven', 'Eight', 'Nine', 'Ten')
BOATS = '{} boats lie on an open sea under clouds, one of them is {}.'


@pytest.mark.parametrize(('answer', 'allowed'), [
    ('The photo shows an astronaut in an orange suit.', {f'The photo shows an astronaut in a {colour} suit.' for colour in COLOURS}),
    ('There is an orange on the plate next to a knife.', {'There is not an orange on the plate next to a knife.'}),
    ('There is one dog sitting on the grass.', {'There is not one dog sitting on the grass.'}),
    ('A man has left his bag on the bench near the door.', {'A woman has left her bag on the bench near the door.'}),
    ('A woman even wears a hat while she rides her bicycle.', {'A man even wears a hat while he rides his bicycle.'}),
    ('He holds it with his right hand, back to the camera, under a light in the hall.',
     {'He holds it with his left hand, back to the camera, under a light in the hall.'}),
    (BOATS.format('Two', 'blue'), {BOATS.format(count, 'blue') for count in COUNTS} | {BOATS.format('Two', colour) for colour in (*COLOURS, 'orange')}),
    ('It is an 8-inch pizza.', {f'It is {a}-inch pizza.' for a in ('a 5', 'a 6', 'a 7', 'a 9', 'a 10', 'an 11')}),
    ('There are 2 people on the boat.', {f'There are {n} people on the boat.' for n in (3, 4, 5)}),
    ('There is 1 person on the boat.', {f'There are {n} people on the boat.' for n in (2, 3, 4)}),
    ('The clock shows 10:30 in the hall.', {f'The clock shows {n}:30 in the hall.' for n in range(1, 13) if n != 10}),
    ('The label says 100% cotton on it, all of it.', {f'The label says {n}% cotton on it, all of it.' for n in (50, 60, 70, 80, 90)}),
    ('The house was built in 1920 by a farmer.', {f'The house was built in {n} by a farmer.' for n in range(1911, 1930)}),
    ('Yes, there is a dog in the yard.', {'No, there is not a dog in the yard.'}), ('No, the man is not tall.', {'Yes, the man is tall.'}),
    ('Yes, it is.', {'No, it is not.'}), ('Yes, he does.', {'No, he does not.'}), ("No, he doesn't.", {'Yes, he does.'}),
    ('No, I cannot see it there.', {'Yes, I can see it there.'}), ('10:30', {f'{n}:30' for n in range(1, 13) if n != 10}),
    ('3-2', {f'{n}-2' for n in (2, 4, 5, 6, 1)}), ('12 cm^2', {f'{n} cm^2' for n in (*range(6, 12), *range(13, 19))}), ('1st', {'2nd', '3rd', '4th'}),
    ('$12$', {f'${n}$' for n in (*range(6, 12), *range(13, 19))}), ('(C) 3', {f'({a}) {n}' for a in 'ABD' for n in (2, 4, 5, 6, 1)}),
    ('Option C', {'Option A', 'Option B', 'Option D'}), ('Monday', {f'{day}day' for day in ('Tues', 'Wednes', 'Thurs', 'Fri', 'Satur', 'Sun')}),
    ('A can of soda is next to the cup of tea.', {'A can of soda is not next to the cup of tea.'}),
    ('Will Smith is smiling at the camera there.', {'Will Smith is not smiling at the camera there.'}),
    ('The man has a hat and he does it well.', {'The woman has a hat and she does it well.'}),
    ('The dog has a bone in the garden now.', {'The dog does not have a bone in the garden now.'}),
    ('1 dog', {'2 dogs', '3 dogs', '4 dogs'}), ('one dog', {f'{count.lower()} dogs' for count in ('Two', *COUNTS)}),
    ('two dogs', {f'{count.lower()} dogs' for count in COUNTS}), ('图中有3只狗在草地上玩耍,天空是蓝色的。', {f'图中有{n}只狗在草地上玩耍,天空是蓝色的。' for n in (1, 2, 4, 5, 6)}),
])  # fmt: skip
def test_a_wrong_answer_is_grammatical(answer, allowed):
    made = {propose_negative(i, 'What is there?', answer).text for i in IDS}
    assert made <= allowed
    assert len(made) >= min(len(allowed), 3)


@pytest.mark.parametrize('answer', ['There are no clouds in the sky or no boats on the sea.', 'He never wears any shoes when he is in the house.',
                                    'The path falls away on both sides of the ridge.', 'A man and a woman walk along the beach.', 'No parking'])  # fmt: skip
def test_a_sentence_that_no_rule_can_turn_is_left(answer):
    assert propose_negative(IDS[0], 'What is there?', answer)[0] is Reason.NO_NEGATIVE


def test_an_answer_in_another_script_is_no_distractor():
    assert {propose_negative(i, '这是什么?', '红色', pool=['绿色', 'banana', 'a green car', '一只猫']).text for i in IDS} == {'绿色', '一只猫'}


def test_the_only_other_answers_mean_the_same_so_there_is_none():
    for answer, pool in (('gray', ['grey']), ('sofa', ['couch', 'couches']), ('TV', ['television']), ('dog', ['dogs', 'animal'])):
        assert isinstance(propose_negative(IDS[0], 'What is it?', answer, pool=pool * 9), tuple) or answer == 'gray'
