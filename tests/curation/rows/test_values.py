"""What a value says as text, and what it is in a `columns` source."""

from datetime import date, timedelta
from decimal import Decimal

import pytest

from curation.rows.fields import ignored_fields
from curation.rows.formats import Conversation, Fault, parse
from curation.rows.values import read_options, value_text
from curation.texts.checks import TextBounds, check_text
from schemas.recipe import Source
from schemas.records import Reason, Turn

BOUNDS = TextBounds(max_question_chars=1000, max_answer_chars=1000, min_answer_chars=1, boilerplate=True, max_invisible_chars=None)


@pytest.mark.parametrize(('value', 'text'), [
    (24, '24'), (24.0, '24.0'), (2.25, '2.25'), (-3, '-3'), (0, '0'), (1e-7, '1e-07'), (Decimal('1.50'), '1.50'), (True, 'True'), (False, 'False'),
    ('x', 'x'), (None, ''), ('', ''), ([], ''), ([None], ''), (['D', 'd'], 'D'), ([24], '24'), (['a', 'a'], 'a'), ([None, 'b'], 'b'), ([1, 2.5], '[1, 2.5]'),
    ([True, False], 'True'), (date(2020, 5, 1), '2020-05-01')])
def test_a_value_is_written_as_it_stands_in_the_data(value, text):
    assert value_text(value) == text


@pytest.mark.parametrize('value', [float('nan'), float('inf'), 10 ** 200, 'half \ud83d', {'a': 1}, b'x', [[1], [2]], timedelta(1), [1.0] * 5000,
                                   [{'answer': 'x'}]])
def test_what_is_no_value_to_learn_is_rejected(value):
    with pytest.raises((TypeError, ValueError)):
        value_text(value)
    assert parse({'q': 'x', 'a': value}, 'columns', {'question': 'q', 'answer': 'a'}).reason == Reason.RECORD_MALFORMED


def test_a_number_of_thousands_of_digits_is_rejected():
    assert parse({'q': 'x', 'a': 10 ** 5000}, 'columns', {'question': 'q', 'answer': 'a'}).reason == Reason.RECORD_MALFORMED


def ask(row, **columns):
    return parse(row, 'columns', {'question': 'q', 'answer': 'a', **columns})


def said(row, **columns):
    found = ask(row, **columns)
    assert isinstance(found, Conversation), found
    return [turn.text for turn in found.turns]


@pytest.mark.parametrize('row', [{'q': 'Why?', 'a': None}, {'q': 'Why?', 'a': []}, {'q': 'Why?', 'a': [None]}, {'q': 'Why?', 'a': ' '}])
def test_a_missing_answer_is_empty_and_never_the_word_none(row):
    assert check_text(ask(row).turns, BOUNDS)[0] == Reason.EMPTY_ANSWER
    instruction = parse({'instruction': row['q'], 'output': row['a']}, 'instruction')
    assert check_text(instruction.turns, BOUNDS)[0] == Reason.EMPTY_ANSWER
    mathvision = parse({'question': 'How wide?', 'image': '0.png', 'answer': row['a'], 'solution': 'Add both sides.'}, 'mathvision')
    assert check_text(mathvision.turns, BOUNDS)[0] == Reason.EMPTY_ANSWER


def test_a_missing_question_is_empty():
    assert check_text(ask({'q': None, 'a': 'x'}).turns, BOUNDS)[0] == Reason.EMPTY_QUESTION
    assert said({'q': 12, 'a': 'x'}) == ['12', 'x']


def test_a_dotted_path_reaches_into_structs_and_lists_of_them():
    assert said({'q': 'Why?', 'meta': {'answer': {'value': 7}}}, answer='meta.answer.value') == ['Why?', '7']
    assert said({'q': 'Why?', 'answers': [{'answer': 'net'}, {'answer': 'nets'}]}, answer='answers.answer') == ['Why?', 'net']
    assert said({'q': 'Why?', 'a.b': 'dotted', 'a': {'b': 'x'}}, answer='a.b') == ['Why?', 'dotted']
    assert check_text(ask({'q': 'Why?', 'meta': None}, answer='meta.answer').turns, BOUNDS)[0] == Reason.EMPTY_ANSWER
    missing = ask({'q': 'Why?', 'meta': {'x': 1}}, answer='meta.answer')
    assert isinstance(missing, Fault)
    assert 'meta.answer' in missing.detail


@pytest.mark.parametrize(('options', 'listed'), [
    (['red', 'blue'], 'A. red\nB. blue'), ([1, 2.5], 'A. 1\nB. 2.5'), ({'A': 'red', 'B': 'blue', 'C': None}, 'A. red\nB. blue'),
    ({'text': ['red', 'blue'], 'label': ['1', '2']}, '1. red\n2. blue'), ("['red', 'blue']", 'A. red\nB. blue'), ('(A) red (B) blue', '(A) red (B) blue')])
def test_options_stand_below_the_question(options, listed):
    assert said({'q': 'Which?', 'a': 'red', 'o': options}, options='o') == [f'Which?\n{listed}', 'red']


@pytest.mark.parametrize(('answer', 'text'), [(1, 'B'), ('1', 'B'), ('B', 'B'), ('blue', 'blue'), (0, 'A'), (['C', 'c'], 'C')])
def test_an_answer_that_is_a_number_becomes_the_letter_of_its_option(answer, text):
    assert said({'q': 'Which?', 'a': answer, 'o': ['red', 'blue', 'green']}, options='o')[1] == text


def test_an_answer_that_is_an_option_stays_and_one_beyond_the_options_is_rejected():
    assert said({'q': 'How many?', 'a': '2', 'o': ['1', '2', '3']}, options='o')[1] == '2'
    assert said({'q': 'How many?', 'a': 2, 'o': [1, 2, 3]}, options='o')[1] == '2'
    assert said({'q': 'How many?', 'a': 2, 'o': [1.0, 2.0, 3.0]}, options='o')[1] == '2.0'
    assert said({'q': 'Which?', 'a': '2', 'o': {'text': ['red', 'blue'], 'label': ['1', '2']}}, options='o')[1] == '2'
    assert 'from 0 to 1' in ask({'q': 'Which?', 'a': 2, 'o': ['red', 'blue']}, options='o').detail
    assert said({'q': 'Which?', 'a': '2', 'o': None}, options='o') == ['Which?', '2']
    assert read_options(None) == {}
    assert ask({'q': 'Which?', 'a': 'x', 'o': {'half \ud83d': 'x'}}, options='o').reason == Reason.RECORD_MALFORMED


@pytest.mark.parametrize(('answer', 'options', 'text'), [(1, ['4', '8', '1', '0'], 'B'), (1.0, ['red', 'blue'], 'B'), ([1], ['red', 'blue'], 'B'), (1, 'A. red\nB. blue', 'B'),
                                                        (1, '(A) 4 (B) 1', 'B'), (7, 'red or blue', '7')])
def test_a_number_counts_options_that_are_texts_even_of_digits_and_as_a_float(answer, options, text):
    assert said({'q': 'Which?', 'a': answer, 'o': options}, options='o')[1] == text


@pytest.mark.parametrize('answer', [-1, 2, 2.0, '9' * 30, [0, 1]])
def test_a_number_that_counts_no_option_is_rejected(answer):
    assert 'from 0 to 1' in ask({'q': 'Which?', 'a': answer, 'o': ['red', 'blue']}, options='o').detail


@pytest.mark.parametrize(('options', 'listed'), [
    (['A)21', 'B)22'], 'A. 21\nB. 22'), (['(a) x', '(b) y'], 'A. x\nB. y'), (['B. x', 'A. y'], 'A. B. x\nB. A. y'), (['x', 'y', None], 'A. x\nB. y'), (['x', 'y', '', ''], 'A. x\nB. y'),
    ([{'label': 'A', 'text': 'x'}, {'label': 'B', 'text': 'y'}], 'A. x\nB. y'), ([{'1': 'x'}, {'2': 'y'}], '1. x\n2. y')])
def test_options_in_every_published_shape_stand_below_the_question_once_lettered(options, listed):
    assert said({'q': 'Which?', 'a': 'x', 'o': options}, options='o')[0] == f'Which?\n{listed}'


@pytest.mark.parametrize('options', [[['x', 'y'], ['z', 'u']], [{'label': 'A', 'text': 'x'}, {'label': 'A', 'text': 'y'}], [{'a': 1, 'b': 2}], [{'bytes': 'x'}], {'A': ['x', 'y']}])
def test_options_of_which_one_would_be_lost_are_rejected(options):
    assert ask({'q': 'Which?', 'a': 'x', 'o': options}, options='o').reason == Reason.RECORD_MALFORMED


def test_options_may_stand_in_a_column_each():
    row = {'q': 'Which?', 'a': 1, 'opa': 'red', 'opb': 'blue', 'opc': None}
    assert said(row, options=['opa', 'opb', 'opc']) == said(row, options='opa, opb, opc') == ['Which?\nA. red\nB. blue', 'B']


@pytest.mark.parametrize(('format', 'row'), [
    ('columns', {'q': ['x', 'y'], 'a': ['1', '2']}), ('instruction', {'instruction': ['x', 'y'], 'output': ['1', '2']}),
    ('instruction', {'instruction': 'x', 'input': ['y', 'z'], 'output': '1'}), ('mathvision', {'question': ['x', 'y'], 'answer': '1', 'image': '1.png'}),
    ('mathvision', {'question': 'x', 'options': [['y', 'z']], 'answer': '1', 'image': '1.png'})])
def test_a_list_as_a_question_never_becomes_its_first_element(format, row):
    fault = parse(row, format, {'question': 'q', 'answer': 'a'} if format == 'columns' else None)
    assert fault.reason == Reason.RECORD_MALFORMED
    assert 'a list of 2' in fault.detail


@pytest.mark.parametrize(('answers', 'more'), [(['x', 'y'], True), (['x', 1], True), ([True, False], True), ([None, 'x', 'x'], False), ([1, 2], False), (['x'], False)])
def test_accepted_answers_beside_the_first_are_counted_whatever_they_are(answers, more):
    for format, row, name in (('columns', {'q': 'Which?', 'a': answers}, 'a[1:]'), ('instruction', {'instruction': 'Which?', 'output': answers}, 'output[1:]')):
        columns = {'question': 'q', 'answer': 'a'} if format == 'columns' else {}
        source = Source(format=format, annotations=['x.json'], licence='MIT', columns=columns)
        assert (name in ignored_fields(row, source, parse(row, format, columns))) == more


@pytest.mark.parametrize(('answer', 'told'), [("['a', 'b']", True), ("{'text': ['a']}", True), ('["a"]', False), ('[1, 2]', False), ('a', False)])
def test_a_list_printed_by_python_stays_the_text_it_is_and_is_told(answer, told):
    row = {'q': 'Which?', 'a': answer}
    source = Source(format='columns', annotations=['x.csv'], licence='MIT', columns={'question': 'q', 'answer': 'a'})
    assert said(row) == ['Which?', answer]
    assert ignored_fields(row, source, ask(row)) == ({'a (printed by Python, taken as text)'} if told else set())


def test_several_image_columns_are_read_in_their_order():
    row = {'q': 'Which of <image 2> and <image 1>?', 'a': 'x', 'i1': {'bytes': b'1', 'path': None}, 'i2': {'bytes': b'2', 'path': None}, 'i3': None}
    for image in (['i1', 'i2', 'i3'], 'i1, i2, i3'):
        assert ask(row, image=image) == Conversation((Turn('user', 'Which of <image> and <image>?'), Turn('assistant', 'x')), (b'2', b'1'))
    assert said({**row, 'q': 'Same?'}, image=['i1', 'i2', 'i3'])[0] == '<image>\n<image>\nSame?'


def test_a_question_may_stand_in_several_columns():
    row = {'body': 'Ann has 3 pens.', 'q': 'How many pens has she?', 'none': None, 'a': 3.0}
    assert said(row, question=['body', 'none', 'q']) == ['Ann has 3 pens.\nHow many pens has she?', '3.0']
    assert check_text(ask(row, question=['none']).turns, BOUNDS)[0] == Reason.EMPTY_QUESTION


def test_an_answer_in_a_struct_is_told_with_the_way_to_it():
    assert 'answer.value' in ask({'q': 'Why?', 'a': {'value': 'x'}}).detail


def test_a_system_column_stands_in_front():
    assert said({'q': 'Why?', 'a': 'x', 's': 'Be brief.'}, system='s') == ['Be brief.', 'Why?', 'x']
    assert said({'q': 'Why?', 'a': 'x', 's': None}, system='s') == ['Why?', 'x']


def test_options_that_are_marks_stand_in_the_picture():
    row = {'question': 'Which piece fits? <image1>', 'options': ['<image2>', '<image3>'], 'image': '1.png', 'answer': 'B', 'solution': 'By <image1>.'}
    assert [turn.text for turn in parse(row, 'mathvision').turns] == ['<image>\nWhich piece fits?', 'By .\nThe answer is B.']


def test_a_number_counts_the_options_that_are_null_as_well():
    columns = {'question': 'q', 'answer': 'a', 'options': 'o'}
    row = {'q': 'Q?', 'o': {'A': 'w', 'B': None, 'C': 'y'}}
    assert parse(row | {'a': 2}, 'columns', columns).turns[1].text == 'C'
    assert parse(row | {'a': 1}, 'columns', columns).reason == Reason.RECORD_MALFORMED
    assert parse(row | {'a': True}, 'columns', columns).reason == Reason.RECORD_MALFORMED


def test_the_first_accepted_answer_is_one_that_says_something():
    assert parse({'q': 'Q?', 'a': ['', None, 'b']}, 'columns', {'question': 'q', 'answer': 'a'}).turns[1].text == 'b'
