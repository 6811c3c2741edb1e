"""Options that a question names in words: the wrong answer is one of them."""

from collections import Counter

import pytest

from curation.answers.kinds import options_of
from curation.answers.options import named_options
from curation.negatives.propose import propose_negative
from tests.growth import assert_in_proportion

POOL = ['zebra', 'banana', 'inflation', 'two men', '12', 'dusk'] * 3


@pytest.mark.parametrize(('question', 'answer', 'others'), [
    ('Is the relation linear or nonlinear?', 'linear', {'nonlinear'}), ('Is the relation linear or nonlinear?', 'nonlinear', {'linear'}),
    ('What is the relation? Choose from linear, nonlinear', 'Linear', {'Nonlinear'}), ('What is it? Options: linear, nonlinear', 'linear', {'nonlinear'}),
    ('What is it? (linear, nonlinear)', 'linear', {'nonlinear'}), ('Choices: linear / nonlinear / neither', 'linear', {'nonlinear', 'neither'}),
    ('Answer with one of: low | medium | high', 'low', {'medium', 'high'}), ('Select one: ["cat", "dog", "cow"]', 'dog', {'cat', 'cow'}),
    ("The possible answers are 'cat', 'dog' and 'cow'.", 'cow', {'cat', 'dog'}), ('Is it so? Answer yes, no or maybe.', 'maybe', {'yes', 'no'}),
    ('Which?\n- red\n- blue\n- green', 'blue', {'red', 'green'}), ('Which? 1. red 2. blue 3. green', 'red', {'blue', 'green'}),
    ('Which? (1) red (2) blue', 'red', {'blue'}), ('(a) cat (b) dog (c) cow', 'dog', {'cat', 'cow'}), ('Which?\na) cat\nb) dog', 'cat', {'dog'}),
    ('Which? A. cat B. dog', 'dog', {'cat'}), ('Which? A) cat; B) dog', 'cat', {'dog'}), ('A. 300, 400;B. 400, 300', '300, 400', {'400, 300'}),
    ('A、苹果 B、香蕉', '香蕉', {'苹果'}), ('它是红色还是蓝色?', '红色', {'蓝色'}), ('Is the line solid, dashed, or dotted?', 'dashed', {'solid', 'dotted'}),
    ('Is there a shortage or a surplus at $5?', 'shortage', {'surplus'}), ('Is there a shortage or a surplus?', 'A surplus.', {'A shortage.'}),
    ('Is this a hot dog or a pizza?', 'pizza', {'hot dog'}), ('Is the man sitting or standing on the left?', 'standing', {'sitting'}),
    ('Which is larger, the cat or the dog?', 'the cat', {'the dog'}), ('Which colour is it, red, blue or green?', 'red', {'blue', 'green'}),
    ('How many are there, 3, 4 or 5?', '4', {'3', '5'}), ('Is it true/false?', 'true', {'false'}),
])  # fmt: skip
def test_the_wrong_answer_is_another_option(question, answer, others):
    assert {propose_negative(f's/f#{i}/0', question, answer, pool=POOL).text for i in range(60)} == others


@pytest.mark.parametrize(('question', 'answer'), [
    ('Is it a cat?', 'cat'), ('How fast is it in km/h or mph?', '5'), ('What does the man or woman hold?', 'a ball'), ('', 'red'),
    ('Is it red or blue?', 'green'), ('Options: red, blue', 'green'), ('Options: red, red', 'red'),
])  # fmt: skip
def test_an_answer_that_is_no_option_has_none(question, answer):
    assert named_options(question, answer) == []


def test_options_that_say_the_same_are_no_wrong_answers():
    made = {propose_negative(f's/f#{i}/0', 'Choose from sofa, couch, chair', 'couch').text for i in range(30)}
    assert made == {'chair'}


def test_options_are_wrong_as_often_as_they_are_right():
    question = 'Is the relation linear or nonlinear, or neither? Choose from linear, nonlinear, neither.'
    answers = ['linear'] * 60 + ['nonlinear'] * 30 + ['neither'] * 30
    wrong = Counter(propose_negative(f's/f#{i}/0', question, answer, pool=answers).text for i, answer in enumerate(answers))
    assert abs(wrong['linear'] - 60) < 20
    assert abs(wrong['neither'] - 30) < 15


def test_letters_in_brackets_and_small_letters_are_options():
    assert options_of('(a) cat (b) dog') == {'A': 'cat', 'B': 'dog'}
    assert options_of('Which?\na) cat\nb) dog') == {'A': 'cat', 'B': 'dog'}
    assert options_of('A. 300, 400;B. 400, 300') == {'A': '300, 400', 'B': '400, 300'}
    assert options_of('See b) and d) there') == {}


@pytest.mark.parametrize('piece', [' or', ',', 'a or b ', '(', '[', '1. ', 'options ', '- ', 'choose from ', '\n', 'a/', 'or, '])
def test_hostile_questions_take_no_longer_than_their_length(piece):
    assert_in_proportion(lambda text: named_options(text, 'b'), piece)
