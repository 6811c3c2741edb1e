"""English that agrees: articles, plurals, and which texts are English at all."""

import pytest

from curation.english.grammar import article_for, counted_noun, is_english, plural, replaced, single_noun, singular


@pytest.mark.parametrize('words', ['hour', 'honest', 'heir', 'orange', 'apple', 'umbrella', 'unimportant', 'uninteresting', '8', '80', '11', '18', 'even', 'old'])
def test_an_stands_before_what_is_spoken_with_a_vowel(words):
    assert article_for(words) == 'an'


@pytest.mark.parametrize('words', ['university', 'uniform', 'unicorn', 'used', 'usual', 'European', 'one', 'once', 'red', 'hat', '9', '10', '110', 'utensil'])
def test_a_stands_before_what_is_spoken_with_a_consonant(words):
    assert article_for(words) == 'a'


@pytest.mark.parametrize(
    ('text', 'old', 'new', 'expected'),
    [
        ('An orange suit', 'orange', 'pink', 'A pink suit'), ('in an orange suit', 'orange', 'pink', 'in a pink suit'),
        ('a red car', 'red', 'orange', 'an orange car'), ('It is an 8-inch pizza', '8', '9', 'It is a 9-inch pizza'),
        ('the orange suit', 'orange', 'pink', 'the pink suit'), ('vitamin-a red pill', 'red', 'orange', 'vitamin-a orange pill'),
        ('a "red" car', 'red', 'orange', 'an "orange" car'), ('orange', 'orange', 'pink', 'pink'),
    ],
)
def test_the_article_before_a_changed_word_fits(text, old, new, expected):
    at = text.index(old)
    assert replaced(text, at, at + len(old), new) == expected


@pytest.mark.parametrize(
    ('one', 'many'),
    [('dog', 'dogs'), ('box', 'boxes'), ('bus', 'buses'), ('dish', 'dishes'), ('lady', 'ladies'), ('boy', 'boys'), ('man', 'men'), ('child', 'children'),
     ('person', 'people'), ('knife', 'knives'), ('sheep', 'sheep'), ('foot', 'feet'), ('tomato', 'tomatoes'), ('cookie', 'cookies'), ('horse', 'horses')],
)  # fmt: skip
def test_singular_and_plural(one, many):
    assert singular(many) == one
    assert plural(one) == many
    assert plural(many) == many


@pytest.mark.parametrize('word', ['glass', 'this', 'bus', 'has', 'gas', 'various', 'is', 'red'])
def test_a_word_that_is_no_plural_stays(word):
    assert singular(word) == word


@pytest.mark.parametrize(
    ('text', 'number', 'expected'),
    [('two large dogs', 'two', ('dogs', True)), ('1 dog, red', '1', ('dog', False)), ('one of them', 'one', None), ('3 cm', '3', None),
     ('at 5, dogs', '5', None), ('four hundred people', 'four', ('people', True)), ('two', 'two', None), ('10 %', '10', None)],
)  # fmt: skip
def test_the_noun_that_a_number_counts(text, number, expected):
    found = counted_noun(text, text.index(number) + len(number))
    assert (found and (text[found[0]:found[1]], found[2])) == expected


@pytest.mark.parametrize(
    ('text', 'expected'),
    [('1 dog', 'dog'), ('1 red apple is left', 'apple'), ('1 dog runs', None), ('1 fire truck', None), ('1 of', None), ('1 cm', None), ('1 apple left.', 'apple')],
)
def test_one_counts_a_noun_only_where_that_is_sure(text, expected):
    found = single_noun(text, 1)
    assert (found and text[slice(*found)]) == expected


@pytest.mark.parametrize('text', ['A red car.', 'The man is old and tall.', 'red car', 'Two boats lie on an open sea.', 'I see a woman, right?'])
def test_english_is_known_by_its_small_words(text):
    assert is_english(text)


@pytest.mark.parametrize(
    'text', ['Un homme porte une chemise orange.', 'Was ist das? Ein alter Mann mit Hut.', 'Een man staat even stil bij de open deur van het huis.',
             '一个人穿着红色的衣服', 'Das rote Auto steht in der Garage und ist alt.', 'La rosa es orange y la casa es de color negative', 'Красный круг'])  # fmt: skip
def test_other_languages_are_not_english(text):
    assert not is_english(text)
