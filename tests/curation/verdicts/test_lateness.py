"""Where two answers first differ, in words and signs, and the histogram of it."""

import pytest

from curation.verdicts.lateness import BINS, bin_names, differs_at, histogram, words_in


@pytest.mark.parametrize(
    ('chosen', 'rejected', 'place'),
    [
        ('red', 'blue', 0), ('a red car', 'a blue car', 1), ('a red car', 'a red car on the road', 3), ('x = 5', 'x = 6', 2), ('It is 5.', 'It is 6.', 2),
        ('图里有三只猫', '图里有四只猫', 3), ('ภาพสีแดง', 'ภาพสีดำ', 5), ('', 'red', 0), ('word ' * 1500 + '5', 'word ' * 1500 + '6', 1500), ('12 cm', '120 mm', 0),
        (r'\frac{1}{2}', r'\frac{1}{3}', 6), ('a  red', 'a red', 2), ('redder', 'red', 0), ('graph2', 'graph3', 0),
    ],
)  # fmt: skip
def test_the_place_is_the_number_of_words_and_signs_in_common(chosen, rejected, place):
    assert differs_at(chosen, rejected) == differs_at(rejected, chosen) == place
    assert place <= min(words_in(chosen), words_in(rejected))


def test_every_place_is_in_one_bar():
    assert histogram([0, 15, 16, 511, 512, 1023, 1024, 9999]) == [2, 1, 0, 1, 2, 2]
    assert sum(histogram(range(5000))) == 5000
    assert len(bin_names()) == len(BINS)
    assert bin_names()[-2:] == ['512-1023', '1024 or more']
