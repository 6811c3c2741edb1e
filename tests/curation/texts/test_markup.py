"""What is read away of a text before it is compared, and what stays."""

import html
import json

import pytest

from curation.texts.markup import without_markup
from curation.texts.signs import signed
from curation.texts.textmatch import units

QUESTION = 'A café has 12 round tables for its guests, and every table seats four of them.\nHow many guests fit in?'
SAME = {
    'words in bold': lambda text: ' '.join(f'<b>{word}</b>' for word in text.split(' ')),
    'tags with attributes': lambda text: f'<span class="x">{text}</span>',
    'a tag inside a word': lambda text: text.replace('tables', 'ta<b>b</b>les'),
    'cells of a table': lambda text: '<table><tr><td>' + '</td><td>'.join(text.split(' ')) + '</td></tr></table>',
    'breaks for blanks': lambda text: text.replace(' ', '<br/>').replace('\n', '<br class="x">'),
    'comments': lambda text: text.replace(' ', '<!-- > --> '),
    'a quoted letter': lambda text: '\n'.join(f'> {line}' for line in text.replace(' for', '\nfor').split('\n')),
    'a word parted in a quoted letter': lambda text: text.replace('tables', 'ta-\n> bles'),
    'a comment in code': lambda text: '\n'.join(f'// {line}' for line in text.split('\n')),
    'JSON in a string': lambda text: json.dumps(text).strip('"'),
    'JSON in JSON': lambda text: json.dumps(json.dumps(text)).strip('"\\'),
    'entities': lambda text: html.escape(text).replace('é', '&eacute;'),
    'TeX faces': lambda text: ' '.join(f'\\textbf{{{word}}}' for word in text.split(' ')),
    'TeX ties': lambda text: text.replace(' tables', '~tables'),
    'control characters': lambda text: text.replace('tables', 'ta\x01bl\x7fe\x80s\0'),
    'a control character in plain ASCII': lambda text: text.replace('é', '&eacute;').replace('guests', 'gu\x1bests'),
    'a deleted object': lambda text: text.replace('guests', 'gue\ufffcsts'),
    'Arabic digits': lambda text: text.replace('12', '\u0661\u0662'),
    'a hyphen as PDF readers write it': lambda text: text.replace('guests', 'gue\u00ac\nsts'),
}


@pytest.mark.parametrize('name', SAME)
def test_a_text_in_markup_has_the_units_of_what_is_seen(name):
    assert SAME[name](QUESTION) != QUESTION
    assert units(SAME[name](QUESTION)) == units(QUESTION)
    assert signed(SAME[name](QUESTION)) == signed(QUESTION)


@pytest.mark.parametrize(('one', 'other'), [
    ('Is $a \\leq b$?', 'Is a ≤ b?'), ('3 \\times 4', '3 × 4'), ('A \\cup B', 'A ∪ B'), ('an angle of 60^\\circ', 'an angle of 60°'),
    ('x^{2} + 1', 'x² + 1'), ('\\frac{a}{b} of it', 'a/b of it'), ('x^{2} \\cdot y', 'x^2 · y'),
])  # fmt: skip
def test_a_sign_that_tex_spells_is_the_sign(one, other):
    assert signed(one) == signed(other)
    assert units(one) == units(other)


@pytest.mark.parametrize(('one', 'other'), [
    ('a vector<int> of n', 'a vector<float> of n'), ('Is a<b and c>d?', 'Is a and d?'), ('A \\cup B', 'A \\cap B'), ('\\nabla f', '\\rho f'),
    ('List<String> x', 'List<Integer> x'), ('x ~ y', 'x y'), ('~x', 'x'), ('\\theta', 'heta'), ('x\n> 5', 'x\n< 5'), ('<T> f', '<U> f'),
])  # fmt: skip
def test_what_only_looks_like_markup_tells_texts_apart(one, other):
    assert signed(one) != signed(other)


def test_a_text_without_markup_stays():
    for text in ('if a < b and c > d: x // y', '5 > 3', 'C:\\new\\table', 'http://a.org/~me', '\\foo{bar}'):
        assert without_markup(text) == text
