"""Answers that may say the same are neither drawn as wrong ones nor made."""

import pytest

from curation.answers.synonyms import _PARENTS, _above, may_be_same
from curation.english.attributes import ATTRIBUTES
from curation.negatives.propose import propose_negative

SAME = [
    ('gray', 'grey'), ('sofa', 'couch'), ('TV', 'television'), ('dog', 'dogs'), ('a dog', 'Dog'), ('color', 'colour'), ('bike', 'bicycle'),
    ('photo', 'picture'), ('kid', 'child'), ('kids', 'children'), ('airplane', 'plane'), ('aeroplane', 'airplane'), ('cell phone', 'mobile phone'),
    ('3', 'three'), ('3 dogs', 'three dogs'), ('NYC', 'New York City'), ('U.S.A.', 'United States'), ('UK', 'United Kingdom'), ('hotdog', 'hot dog'),
    ('T-shirt', 't shirt'), ('doughnuts', 'donut'), ('red and white', 'white and red'), ('organise', 'organize'), ('theatre', 'theater'),
    ('traveller', 'traveler'), ('tyre', 'tire'), ('sitting', 'seated'), ('truck', 'lorry'), ('trash can', 'garbage can'), ('left side', 'left'),
    ('on the left', 'left'), ('noon', '12 pm'), ('none', '0'), ('men', 'man'), ('grey cat', 'gray cats'), ('women', 'woman'), ('outside', 'outdoors'),
    ('dog', 'animal'), ('puppy', 'dog'), ('man', 'person'), ('girl', 'child'), ('car', 'vehicle'), ('suv', 'vehicle'), ('rose', 'flower'),
    ('poodle', 'animal'), ('apple', 'fruit'), ('brown dog', 'brown animal'), ('square', 'rectangle'), ('navy', 'blue'), ('football', 'soccer'), ('1st', 'first'),
]
DIFFERENT = [
    ('dog', 'cat'), ('red', 'blue'), ('man', 'woman'), ('boy', 'girl'), ('left', 'right'), ('yes', 'no'), ('car', 'bus'), ('3', '4'), ('Paris', 'London'),
    ('one', 'two'), ('circle', 'square'), ('day', 'night'), ('apple', 'orange'), ('large', 'small'), ('north', 'south'), ('wood', 'metal'), ('A', 'B'),
    ('red car', 'blue car'), ('March', 'May'), ('in', 'on'), ('brown dog', 'brown cat'), ('x', 'y'), ('', 'red'), ('300, 400', '400, 300'), ('man bites dog', 'dog bites man'), ('sit', 'stand'),
]  # fmt: skip


@pytest.mark.parametrize(('one', 'other'), SAME)
def test_the_same_in_other_words_or_a_wider_word_may_be_right_too(one, other):
    assert may_be_same(one, other)
    assert may_be_same(other, one)


@pytest.mark.parametrize(('one', 'other'), DIFFERENT)
def test_other_things_are_not_the_same(one, other):
    assert not may_be_same(one, other)
    assert not may_be_same(other, one)


@pytest.mark.parametrize(('one', 'other'), SAME)
def test_what_may_be_right_is_not_drawn(one, other):
    pool = [other] * 5 + ['zebra crossing', 'elevator shaft'] * 5
    made = propose_negative('s/f#1/0', 'What is it?', one, pool=pool)
    assert isinstance(made, tuple) or not may_be_same(made.text, one)


def test_attributes_that_exclude_each_other_are_not_taken_for_the_same():
    close = {frozenset(pair) for pair in (('teal', 'blue'), ('teal', 'green'), ('rectangle', 'square'))}
    found = {frozenset((a, b)) for words in ATTRIBUTES for a in words for b in words if a < b and may_be_same(a, b)}
    assert found == close


def test_no_word_is_wider_than_itself():
    assert [name for name in _PARENTS if name in _above(name)] == []
