"""A wrong answer is one of the options offered, of the right one's form, and well formed."""

import re

import pytest

from curation.negatives.distractors import may_be_right
from curation.negatives.propose import Negative, propose_negative
from curation.negatives.soundness import is_sound

IDS = [f'sample {i}' for i in range(40)]
POOL = ['couch', 'red', 'surplus', '\\sqrt{3}', '\\boxed{5}', 'www.itc.com', '7:25 P.M.', 'linear', 'John Smith', '12 cm'] * 3


def wrong(question, answer, pool=POOL):
    made = (propose_negative(i, question, answer, pool=pool) for i in IDS)
    return {one.text for one in made if isinstance(one, Negative)}


@pytest.mark.parametrize(('question', 'answer', 'others'), [
    ('Is the relation linear, nonlinear?', 'linear', {'nonlinear'}), ('Is the relation linear, nonlinear?', 'nonlinear', {'linear'}),
    ('Choose: linear, nonlinear', 'linear', {'nonlinear'}), ('What is it?\nlinear, nonlinear', 'linear', {'nonlinear'}),
    ('Which of these: surplus, shortage', 'surplus', {'shortage'}), ('Select the type. rising; falling; flat', 'flat', {'rising', 'falling'}),
    ('What is the trend? rising / falling', 'rising', {'falling'}), ('rising, falling or flat', 'falling', {'rising', 'flat'}),
    ('Options: 5:25 P.M., 5:40 P.M., 6:00 A.M.\nWhen does it end?', '5:40 P.M.', {'5:25 P.M.', '6:00 A.M.'}),
    ('Is it (a) up (b) down?', '(a) up', {'(b) down'}), ('Is it (a) up (b) down?', 'up', {'down'}), ('Is it (a) up (b) down?', 'a', {'b'}),
    ('Is it A) up, B) down or C) left?', 'B) down', {'A) up', 'C) left'}), ('Is it A) up, B) down or C) left?', 'C) left', {'A) up', 'B) down'}),
    ('Options: (0) Georgia (1) Ohio (2) Maine', '(1)', {'(0)', '(2)'}), ('Which?\n1. Georgia\n2. Ohio', '2. Ohio', {'1. Georgia'}),
    ('Which? (1) Georgia (2) Ohio', '2', {'1'}),
])  # fmt: skip
def test_of_options_that_a_question_lists_the_others_are_wrong_and_nothing_else(question, answer, others):
    assert wrong(question, answer) == others


@pytest.mark.parametrize(('answer', 'form'), [
    ('\\boxed{(-1, 2)}', r'\\boxed\{\(-\d, \d\)\}'), ('y = 2x + 3', r'y = [3-9]x \+ 3'), ('故答案为：60°', r'故答案为：\d+°'), ('9:15 A.M.', r'\d+:\d\d [AP]\.M\.'),
    ('(202) 555-0131', r'\(\d{3}\) 555-0131'), ('10-20', r'\d+-\d+'), ('1990s', r'\d{3}0s'), ('192.168.0.1', r'192\.168\.0\.\d+'), ('v1.2.3', r'v1\.2\.\d+'),
    ('$10^{-3}$', r'\$10\^\{-\d\}\$'), ('the 5th of May', r'the \d(?:st|nd|rd|th) of May'), ('[1, 3)', r'\[2, 3\)'), ('3/4', r'3/[57]|1/4'),
    ('**B**', r'\*\*[ACD]\*\*'), ('Between 10 and 20 people.', r'Between 10 and [345]0 people\.'),
    ('3:2', r'3:[45]'), ('O(n^2)', r'O\(n\^[2-9]\)'), ('Page 3 of 5', r'Page 3 of \d'),
])  # fmt: skip
def test_a_figure_stays_of_its_form(answer, form):
    made = wrong('Which one?', answer)
    assert made
    assert [text for text in made if not re.fullmatch(form, text)] == []


def test_what_the_pool_holds_is_written_as_it_stands_there():
    assert wrong('Which?', 'TV', ['couch', 'dog', 'www.itc.com', '\\pi']) == {'couch', 'dog', 'www.itc.com', '\\pi'}
    assert wrong('Who?', 'John', ['www.itc.com', 'R.J. Reynolds', 'couch']) == {'www.itc.com', 'R.J. Reynolds', 'Couch'}


@pytest.mark.parametrize(('answer', 'allowed'), [
    ('No, there are no white chairs.', {'Yes, there are white chairs.'}), ('No, there is a dog but there are no cats.', set()),
    ('Not all of the windows are closed.', set()), ('There are no red cars on the wide road.', {'There are red cars on the wide road.',
     'There are no red cars on the narrow road.'}),
    ('Yes, she can.', {'No, she cannot.'}), ('Yes, I can see it.', {'No, I cannot see it.'}),
])  # fmt: skip
def test_where_a_sentence_denies_another_word_is_not_surely_wrong(answer, allowed):
    assert wrong('Do you see any?', answer, []) <= allowed


def test_no_white_is_light_and_no_child_is_large():
    assert not {text for text in wrong('Describe it.', 'The wall behind the bed is painted light blue.') if 'white' in text or 'black' in text}
    assert not {text for text in wrong('Describe it.', 'A woman sits with a small child on a bench.') if 'large' in text}


@pytest.mark.parametrize(('old', 'new'), [
    ('\\frac{3}{4}', '\\frac{6}{4}'), ('\\frac{3}{4}', '\\frac{3}{4'), ('3/4', '3/3'), ('3/4', '3/2'), ('2\\sqrt{3}', '1\\sqrt{3}'), ('2x', '1x'), ('x^2', 'x^1'),
    ('10-20', '30-20'), ('3:2', '3:3'), ('$5$', '$6'), ('0x1F', '1x1F'), ('10.0.0.1', '10.0.0.400'), ('\\frac{3\\sqrt{2}}{2}', '\\frac{4\\sqrt{2}}{2}'),
    ('sqrt(3)', 'sqrt(4)'), ('\\sqrt{3}', '\\sqrt{9}'), ('2^n', '1^n'), ('1, 4 and 9', '4, 4 and 9'),
])  # fmt: skip
def test_a_form_that_the_right_answer_does_not_have_is_not_sound(old, new):
    assert is_sound(old, old)
    assert not is_sound(new, old)


@pytest.mark.parametrize(('old', 'new'), [
    ('12/8', '12/6'), ('5/4', '7/4'), ('3/4', '1/4'), ('20-10', '30-10'), ('03/12/1998', '03/12/2002'), ('12:30', '10:30'), ('1 km', '2 km'), ('5', '1'),
    ('{a', '{b'),
])  # fmt: skip
def test_a_form_that_it_has_is(old, new):
    assert is_sound(new, old)


@pytest.mark.parametrize(('one', 'other'), [
    ('No positive integer solutions', 'No integer solutions'), ('Such a sequence is not possible', 'The sequence does not exist'),
    ('100 (i.e., all numbers)', '100 (i.e., all values)'), ('There are no such values', 'None of them has no real roots; no such number'),
])  # fmt: skip
def test_two_ways_to_say_that_nothing_exists_or_to_gloss_a_number_are_not_wrong_for_each_other(one, other):
    assert may_be_right(one, other)
    assert wrong('What is it?', f'The answer is: {one}', [f'The answer is: {other}'] * 5) == set()


def test_an_answer_that_says_the_same_twice_does_not_change_one_half_of_it():
    assert wrong('How likely?', 'The answer is: 5/14, or approximately 35.7%', []) == set()
    assert wrong('How many?', '2*C(10, 5), or equivalently 504', []) == set()
    glossed = ['The answer is: 900 (i.e., all values)', 'The answer is: 100 (i.e., all values)'] * 4
    assert wrong('How many?', 'The answer is: 100 (i.e., all values)', glossed) == {'The answer is: 900 (i.e., all values)'}


def test_what_denies_a_thing_and_what_names_one_exclude_each_other():
    assert not may_be_right('Infinitely many solutions', 'No integer solutions')
    assert not may_be_right('No parking', 'No smoking')


def test_of_a_sentence_that_concludes_the_conclusion_changes():
    assert wrong('What is it?', 'The graph is a straight line, so the function is linear.', []) == {'The graph is a straight line, so the function is not linear.'}
    made = wrong('Is it scarce?', 'The quantity demanded is greater than the quantity supplied, so there is a shortage.', [])
    assert made == {'The quantity demanded is greater than the quantity supplied, so there is not a shortage.'}


@pytest.mark.parametrize('answer', ['1. Open the left door.', '12 noon', 'Two thirds', 'The answer is 12 cm, or 0.12 m.'])
def test_a_number_that_is_no_figure_of_its_own_is_left(answer):
    assert wrong('Which?', answer, []) <= {'1. Open the right door.'}


def test_a_solution_that_denies_or_glosses_on_its_way_changes_in_its_final_answer():
    steps = 'The cube roots (i.e., the three roots) show that such an x does not exist in the set of whole numbers, and so on. ' * 2
    assert wrong('Is it?', f'{steps}\nThe answer is: No', []) == {f'{steps}\nThe answer is: Yes'}
