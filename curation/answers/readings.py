"""What a short answer can be read as: an amount, a date, a time, a place in an order."""

from functools import lru_cache

from curation.answers.amounts import MAX_CHARS as AMOUNT_CHARS
from curation.answers.amounts import Amount, amount_of
from curation.answers.lists import BRACKETS
from curation.answers.moments import Date, dates_of, times_of
from curation.answers.number_words import ordinal_of, roman_of


def same_place(a: tuple[int, bool], b: tuple[int, bool]) -> bool | None:
    """Return whether two places in an order are the same, None where one may be no place but a letter."""
    if a[0] != b[0]:
        return False if a[1] or b[1] else None
    return True if a[1] and b[1] else None


@lru_cache(maxsize=16_384)
def values_of(text: str) -> tuple[Amount | None, tuple[Date, ...], frozenset[int], tuple[int, bool] | None]:
    """Return the amount, the date, the time and the place in an order that a text names; of a place whether it is surely one: V may be a letter."""
    if len(text) > AMOUNT_CHARS or not any(char.isalnum() or char == 'π' for char in text):
        return None, (), frozenset(), None
    low = ' '.join(text.casefold().split())
    nth = ordinal_of(low)
    amount = amount_of(text) if nth is None and not (text[0] in BRACKETS and ',' in text) else None
    place = None if nth is None else (nth, True)
    if nth is None and amount is None and (numeral := roman_of(text)) is not None:
        place = numeral, len(text) > 1
    elif amount is not None and not amount.dimension and len(amount.values) == 1 and amount.values[0] == int(amount.values[0]):
        place = int(amount.values[0]), True
    return amount, dates_of(low), times_of(low), place
