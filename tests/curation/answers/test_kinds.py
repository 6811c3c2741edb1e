"""When two answers say the same."""


import pytest

from curation.answers.kinds import AnswerType, answer_type, number_of, option_of, options_of, same_number, tokens, yes_or_no
from tests.growth import assert_in_proportion

OPTIONS = 'Which one?\nA. cat\nB. hot dog\nC. cow'


@pytest.mark.parametrize(
    ('one', 'other'),
    [('The red car.', 'a Red car'), ('1,000', '1000'), ('Ｃａｆé', 'café'), ('"yes"', 'Yes!'), ('(3)', '3'), ('x  = 2', 'x = 2'), ('−5', '-5')],
)
def test_case_marks_articles_and_separators_do_not_count(one, other):
    assert tokens(one) == tokens(other)


@pytest.mark.parametrize(
    ('one', 'other'),
    [('x > 3', 'x < 3'), ('-5', '5'), ('3.14', '314'), ('2/3', '23'), ('C++', 'C'), ('50%', '50'), ('the', 'a'), ('1,2', '12'), ('№', '')],
)
def test_signs_that_mean_something_count(one, other):
    assert tokens(one) != tokens(other)


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        ('7', (7, '')), ('1,200 cm', (1200, 'cm')), ('$3.5 million', (3.5e6, '')), ('3/4', (0.75, '')), ('12%', (0.12, '')),
        ('seven', (7, '')), ('Seven apples', (7, 'apples')), ('about 5.', (5, '')), ('-2.5', (-2.5, '')), ('.5', (0.5, '')),
        ('5 m', (5, 'm')), ('1/0', None), ('2 or 3', None), ('red', None), ('', None), ('1.2.3', None), ('12 monkeys ate', None),
    ],
)
def test_numbers_are_read_in_the_notations_people_use(text, expected):
    assert number_of(text) == (pytest.approx(expected[0]), expected[1]) if expected else number_of(text) is None


@pytest.mark.parametrize(
    ('one', 'other', 'same'),
    [
        ('5', 'five', True), ('1,000', '1000.0', True), ('50%', '0.5', True), ('3/4', '0.75', True), ('5', '5 apples', True),
        ('5 cm', '5 mm', False), ('5', '6', False), ('5', 'red', False), ('0', '0.0', True), ('0.1', '0.10000000000000001', True),
    ],
)
def test_equal_numbers_are_found_across_notations(one, other, same):
    assert same_number(one, other) is same is same_number(other, one)


def test_options_are_read_from_the_question():
    assert options_of(OPTIONS) == {'A': 'cat', 'B': 'hot dog', 'C': 'cow'}
    assert options_of('Choices: (A) 3 cm (B) 4 cm') == {'A': '3 cm', 'B': '4 cm'}
    assert options_of('A. Einstein was born where?') == {}


@pytest.mark.parametrize(
    ('answer', 'question', 'letter'),
    [
        ('B', OPTIONS, 'B'), ('(b)', OPTIONS, 'B'), ('B. hot dog', OPTIONS, 'B'), ('The answer is B', OPTIONS, 'B'), ('hot dog', OPTIONS, 'B'),
        ('Hot Dog.', OPTIONS, 'B'), ('D', OPTIONS, None), ('dog', OPTIONS, None), ('C', 'Which?', 'C'), ('A cat', 'What?', None), ('', OPTIONS, None),
    ],
)
def test_an_option_is_named_by_letter_or_by_text(answer, question, letter):
    assert option_of(answer, question) == letter


@pytest.mark.parametrize(
    ('answer', 'kind'),
    [
        ('Yes', 'yes_no'), ('no.', 'yes_no'), ('B', 'option'), ('1984', 'date'), ('12 March 1999', 'date'), ('2020-01-05', 'date'), ('42', 'number'),
        ('3.5 cm', 'number'), ('New York', 'entity'), ('A dog runs over the green grass.', 'caption'), ('teal', 'entity'),
        ('No, the man who stands there is not tall.', 'caption'),
    ],
)
def test_answers_are_typed_by_how_they_read(answer, kind):
    assert answer_type(answer) == AnswerType(kind)


def test_yes_and_no_are_read_from_the_first_word():
    assert [yes_or_no(t) for t in ('Yes, it is', 'NO', 'nobody', '', 'the yes')] == ['yes', 'no', None, None, 'yes']


@pytest.mark.parametrize('piece', [' ', '\n', '(', '.', 'A) ', 'A)', '1,', '-', '$ ', 'the ', 'not ', 'A. x\n', '1 jan '])
def test_hostile_text_takes_no_longer_than_its_length(piece):
    def read(text):
        return options_of(text), option_of(text, text), number_of(text), answer_type(text, text), yes_or_no(text)

    assert_in_proportion(read, piece, end='x')
