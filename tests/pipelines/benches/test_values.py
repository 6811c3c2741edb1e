"""What published cells mean: answers and options in the forms that benchmarks really have."""

import math

import pytest

from pipelines.benches.layouts.values import choose, options_of, split_lettered, text, texts


@pytest.mark.parametrize(('cell', 'found'), [
    (None, ()), (math.nan, ()), ('', ()), ('  ', ()), ([], ()), ([None], ()),
    ('None', ('None',)),  # a text that someone wrote
    ('The east bridge', ('The east bridge',)),
    (['The east bridge', 'East bridge'], ('The east bridge', 'East bridge')),
    ("['a', 'b']", ('a', 'b')), ('["a", "b"]', ('a', 'b')), ("['5', 6]", ('5', '6')),
    ('[1, 2', ('[1, 2',)), ('[x]', ('[x]',)), ('[[1, 2], [3]]', ('[[1, 2], [3]]',)),  # no list of answers
    (3, ('3',)), (0, ('0',)), (2.5, ('2.5',)), (3.0, ('3', '3.0')), (-1, ('-1',)),
    (True, ('True', 'Yes')), (False, ('False', 'No')),
    ({'text': ['Denver', 'Denver Broncos'], 'answer_start': [1, 1]}, ('Denver', 'Denver Broncos')),  # SQuAD
    ({'value': 'Sinclair', 'aliases': ['Sinclair', 'Harry Lewis'], 'type': 'x'}, ('Sinclair', 'Harry Lewis')),  # TriviaQA
    ([{'answer': 'net', 'answer_confidence': 'yes', 'answer_id': 1}, {'answer': 'nets', 'answer_id': 2}], ('net', 'nets')),  # VQA
    ({'x': 1}, ('{"x": 1}',)),
])
def test_an_answer_is_every_text_that_is_accepted(cell, found):
    assert texts(cell) == found
    assert text(cell) == (found[0] if found else '')


@pytest.mark.parametrize(('cell', 'options'), [
    (None, ()), ('', ()), ([], ()),
    (['red', 'blue'], ('red', 'blue')), ([1, 3.0, True], ('1', '3', 'True')), (['red', None, 'blue', None], ('red', '', 'blue')),
    (['A. red', 'B. blue'], ('red', 'blue')), (['(a) red', '(b) blue'], ('red', 'blue')), (['A)21', 'B)21.5'], ('21', '21.5')),
    (['A', 'B', 'C'], ('A', 'B', 'C')), (['A. Smith', 'C. Jones'], ('A. Smith', 'C. Jones')),
    ({'A': 'red', 'B': 'blue', 'C': None}, ('red', 'blue')), ({'B': 'blue', 'A': 'red'}, ('red', 'blue')),
    ({'text': ['red', 'blue'], 'label': ['A', 'B']}, ('red', 'blue')),  # ARC, CommonsenseQA
    ([{'label': 'A', 'text': 'red'}, {'label': 'B', 'text': 'blue'}], ('red', 'blue')),
    ("['red', 'blue']", ('red', 'blue')), ('{"A": "red", "B": "blue"}', ('red', 'blue')),  # MMMU prints its lists
    ('A. 300, 400;B. 400, 300', ('300, 400', '400, 300')), ('(A) x (B) y', ('x', 'y')), ('A: 1\nB: 2\nC: 3', ('1', '2', '3')),
    ('a ) 38 , b ) 27.675 , c ) 30', ('38', '27.675', '30')),  # MathQA
    ('(a) Open (b) Closed', ('Open', 'Closed')),  # MMVP
    ('A. 3; B. 9; C. 27; D. 30; E. No correct answer', ('3', '9', '27', '30', 'No correct answer')),  # We-Math
    ('red\nblue', ('red', 'blue')), ('linear, nonlinear', ('linear', 'nonlinear')), ('red', ('red',)),
])
def test_options_are_texts_without_letters(cell, options):
    assert options_of(cell) == options


@pytest.mark.parametrize(('said', 'options', 'letter'), [
    ('B', ('x', 'y'), 'B'), ('b', ('x', 'y'), 'B'), ('(B)', ('x', 'y'), 'B'), ('B.', ('x', 'y'), 'B'), ('Option B', ('x', 'y'), 'B'), ('B. y', ('x', 'y'), 'B'),
    ('y', ('x', 'y'), 'B'), ('Y.', ('x', 'y'), 'B'), (1, ('x', 'y'), 'B'), (0, ('x', 'y'), 'A'), ('1', ('x', 'y'), 'B'), (2, ('x', 'y'), 'B'), (1.0, ('x', 'y'), 'B'),
    (3, ('1', '3'), 'B'), ('3', ('1', '3'), 'B'), (2, ('4', '2', '1'), 'C'), ('2', ('4', '2', '1'), 'B'), (1, ('10', '20'), 'B'),
    (True, ('No', 'Yes'), 'B'), (['y'], ('x', 'y'), 'B'), (['D', 'B'], ('x', 'y'), 'B'),
    (None, ('x', 'y'), ''), ('z', ('x', 'y'), ''), ('C', ('x', 'y'), ''), (7, ('x', 'y'), ''), ('x', ('x', 'x'), ''),
])
def test_an_answer_names_an_option_by_its_letter_its_index_or_its_text(said, options, letter):
    assert choose(said, options) == letter


def test_a_number_among_numbers_is_one_of_them():
    assert (choose(2, ('4', '2', '1'), of_numbers=True), choose(0, ('4', '2', '1'), of_numbers=True)) == ('B', 'A')


def test_options_in_a_question_are_told_from_it():
    assert split_lettered('Find x.\nChoices:\nA:1\nB:2') == ('Find x.\nChoices:', ('1', '2'))
    assert split_lettered('Who is A. Smith?') == ('Who is A. Smith?', ())
