"""The numbers of a text: spelled ones as a whole, and small ones in words may stand in one text alone."""

import pytest

from curation.texts.numbers_told import digits_that_tell, numbers_told
from curation.texts.textmatch import units


@pytest.mark.parametrize(('text', 'told'), [
    ('one hundred and twenty-four stickers', [124]), ('twenty-one and 21', [21, 21]), ('sixty new ones', [60]), ('two of one hundred', [2, 100]),
    ('one of them', []), ('a dozen eggs', []), ('1,260 pens for 2,50 euros', [1260, 2.5]), ('1.5 cm at 18:00', [1.5, 18, 0]), ('$7^{50}$', [7, 50]),
    ('nineteen ninety', [19, 90]), ('three quarters of 80', [0.75, 80]), ('', []),
])  # fmt: skip
def test_numbers_in_order(text, told):
    assert [float(number) for number in numbers_told(units(text)).told] == told


@pytest.mark.parametrize(('one', 'other', 'same'), [
    ('two painters need 12 days, 3 need', 'a pair needs 12 days, 3 need', True), ('two painters, 12 days, 3', 'five painters, 12 days, 3', False),
    ('2 painters, 12 days, 3', 'painters, 12 days, 3', False), ('seven trays, 53 sold', '53 sold of 7', True), ('sixty trees', 'trees', False),
    ('two and two and two and two of 9', 'of 9', False),
])  # fmt: skip
def test_small_numbers_in_words_may_be_missing_in_one_text(one, other, same):
    ours, theirs = numbers_told(units(one)), numbers_told(units(other))
    assert ours.same(theirs) is theirs.same(ours) is same


def test_zeros_at_the_end_tell_little():
    assert digits_that_tell(numbers_told(['200', '50', '217', '0', '1.5']).told) == 1 + 1 + 3 + 0 + 1
