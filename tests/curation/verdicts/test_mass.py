"""Which texts are too many of a source's wrong answers."""

import numpy as np
import pytest

from curation.verdicts.mass import FROM, has_few_others, mass_texts

INCORRECT, WRONG, NO, RED = 1, 2, 3, 4


def keys(*parts):
    """Return (key, how often) as keys, and other keys, each once, for what is left."""
    some = [key for key, n in parts for _ in range(n)]
    return np.array(some, np.uint64)


def others(n, first=100):
    return [(first + i, 1) for i in range(n)]


def test_texts_that_make_up_more_than_a_fifth_are_found_the_most_frequent_first():
    assert mass_texts(keys((INCORRECT, 20), (WRONG, 10), *others(3)), keys(*others(33, 500))) == [INCORRECT, WRONG]
    assert mass_texts(keys((INCORRECT, 16), (WRONG, 14), *others(20)), keys(*others(50, 500))) == [INCORRECT, WRONG]


def test_a_fifth_is_not_more_than_a_fifth():
    assert mass_texts(keys((INCORRECT, 10), *others(40)), keys()) == []
    assert mass_texts(keys((INCORRECT, 11), *others(40)), keys()) == [INCORRECT]


def test_what_is_left_is_looked_at_again_until_no_text_is_too_much_of_it():
    """10 of 70 are a seventh; of the 30 that are left without the 40, a third."""
    assert mass_texts(keys((INCORRECT, 40), (WRONG, 10), *others(20)), keys()) == [INCORRECT, WRONG]


def test_of_few_answers_none_is_a_mass():
    assert mass_texts(keys((INCORRECT, FROM - 1)), keys()) == []
    assert mass_texts(keys((INCORRECT, FROM)), keys()) == [INCORRECT]


def test_a_text_that_is_right_often_enough_is_no_mass():
    wrong = keys((NO, 40), *others(10))
    assert mass_texts(wrong, keys((NO, 2), *others(48, 500))) == []
    assert mass_texts(wrong, keys((NO, 1), *others(49, 500))) == [NO]


def test_a_closed_set_of_eight_is_no_mass():
    colours = keys(*((colour, 10) for colour in range(8)))
    assert mass_texts(colours, colours) == []


def test_spared_texts_stay_and_count():
    assert mass_texts(keys((NO, 40), (RED, 9), *others(1)), keys(), frozenset({NO})) == []


def test_the_order_of_rows_does_not_matter():
    some = keys((INCORRECT, 12), (WRONG, 12), *others(10))
    assert mass_texts(some[::-1].copy(), keys()) == mass_texts(some, keys()) == [INCORRECT, WRONG]


@pytest.mark.parametrize(
    ('text', 'few'), [('No.', True), ('yes', True), ('False', True), ('B', True), ('(c)', True), ('Option D', True), ('incorrect', False), ('red', False), ('5', False), ('unclear', False)]
)
def test_yes_no_and_letters_have_few_others(text, few):
    assert has_few_others(text) is few
