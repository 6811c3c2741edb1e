"""A benchmark's question in other words is found by its numbers, content words and answer; one of its template with other numbers never is."""

import pytest

from curation.texts.rewording import Rewording, number_of_word, reworded

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
