"""Plain text read as a whole column says what is said of it text by text; what is not plain is told."""

import itertools

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.texts.plain import Column
from curation.texts.textmatch import strict, units
from tests.curation.text_pairs import ALTERNATIVES, BASES

PIECES = [*'abzAZ09.,-_/#&<>\\~ \n\t\r\x00\x1c\x7f:;?!"\'()[]{}$^*=+|', '<image>', '<image', 'image>', '<image 1>', '&amp;', '&#x41;', '//', '-\n', ']]>',
          '<b>', '\u00ad', 'e\u0301', 'é', '字', '\u200b', '\u00a0', '\u2028', '\x85', '🎉', *'‘’“”—…•°·×–', '1.5', '-2', '1,000']  # fmt: skip
TEXTS = st.lists(st.text(max_size=8) | st.lists(st.sampled_from(PIECES), max_size=8).map(''.join), max_size=4)


def said(texts: list[str]) -> list[tuple[bool, list[str] | None]]:
    """Return of each text whether it is its own strict form, and its units where it is plain; checked against what is said text by text."""
    column = Column(pa.array(texts, pa.string()))
    found = column.units()
    words, told = iter([found.distinct[code] for code in found.codes.tolist()]), []
    columns = (*column.strict(), found.plain, found.lengths)
    for text, sure, marked, plain, n in zip(texts, *(of.tolist() for of in columns), strict=True):
        assert not sure or strict(text) == text, text
        assert marked == ('<image>' in text), text
        of_text = list(itertools.islice(words, n)) if plain else None
        assert n == 0 or plain
        assert of_text is None or of_text == units(text.replace('<image>', ' ')), text
        told.append((sure, of_text))
    assert list(words) == []
    return told


@settings(max_examples=60)
@given(TEXTS)
def test_a_column_says_what_is_said_of_each_text(texts: list[str]):
    said(texts)


def test_texts_that_differ_in_one_sign_are_read_as_they_are_alone():
    texts = [text for some in ALTERNATIVES.values() for text in (some.split() if isinstance(some, str) else some)]
    said([*texts, *BASES, *map(' '.join, itertools.pairwise(texts)), *map(''.join, itertools.pairwise(texts))])


@pytest.mark.parametrize('char', ['\x00', '\x1b', '\x7f', '\x85', 'é', '–', '\u3000', '\u200b', '\u2028', '字', '\U0001f389', '~', '\\'])
def test_one_sign_that_may_be_read_as_another_makes_its_text_no_plain_one_and_no_other(char: str):
    assert [of is not None for _, of in said(['a b', f'a{char}b', 'a b', char, ''])] == [True, False, True, False, True]


@pytest.mark.parametrize(('text', 'units'), [
    ('What is 3.5 + 1,000 - -2?', ['what', 'is', '3.5', '1,000', '-2']), ('<image>\nA well-known U.S. "road", p. 5-7', ['a', 'well', 'known', 'u', 's', 'road', 'p', '5', '7']),
    ('R & D at http://a.org/b.\n\n- one\n- two', ['r', 'd', 'at', 'http', 'a', 'org', 'b', 'one', 'two']), ('', []), (' \n', []),
    ('It’s “3.5” m—no, 20° … ×2', ['it', 's', '3.5', 'm', 'no', '20', '2']),
])  # fmt: skip
def test_plain_text_is_read_as_a_column(text: str, units: list[str]):
    assert said([text])[0][1] == units


@pytest.mark.parametrize('text', ['a &amp; b', 'a<b', 'exam-\nple', '<image 1>', '// a', 'a > b', 'x~y', '\\frac12', '&#65;'])
def test_what_a_rule_may_read_is_left_to_it(text: str):
    assert said([text])[0][1] is None


def test_prose_is_its_own_strict_form():
    assert [sure for sure, _ in said(['One line.', 'Two\nlines.', ' led', 'ends ', 'ends\n', 'two  blanks', 'a \nb', 'a\tb', 'a\r\nb', 'é', '', '<image>\na'])] == [
        True, True, *[False] * 9, True]  # fmt: skip
