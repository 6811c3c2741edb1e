import textwrap

import pytest

from curation.texts.signs import bare, holds, plain, share, signed

DIFFERENT = [
    ('Is 5 > 3?', 'Is 5 != 3?'), ('p ∧ q', 'p ∨ q'), ('A ∪ B', 'A ∩ B'), ('10²', '102'), ('C#', 'C++'), ('|x| = 2', 'x = 2'), ('AB || CD', 'AB ⊥ CD'),
    ('x + a', 'x − a'), ('x - a', 'x a'), ('😀', '🎉'), ('↑', '↓'), ('5!', '5'), ('Is n! even', 'Is n even'), ("f'(x)", 'f(x)'), ('(a+b)c', 'a+(bc)'),
    ('[0,1)', '(0,1)'), ('3:4', '3 4'), ('a/b', 'a b'), ('50%', '50'), ('$5', '£5'), ('$5', '5'), ('x^2', 'x2'), ('¬p', 'p'), ('x ≤ 3', 'x < 3'),
    ('2-3', '2 3'), ('-5', '5'), ('Na+', 'Na'), ('&gt; 3', '&lt; 3'), ('5 °C', '5 °F'), ('5 kg', '5 g'), ('a & b', 'a | b'), ('a && b', 'a & b'),
    ('√2', '2'), ('∃x', '∀x'), ('x == 1', 'x = 1'), ('2**3', '2*3'), ('x<sup>2</sup>', 'x2'), ('3 - 2 cm', '3 + 2 cm'),
]  # fmt: skip
SAME = [
    ('thirty-six cm', 'thirty six cm'), ('$x^2$', 'x^2'), ('x²', 'x^2'), ('What "is" it?', 'What is it'), ('**bold** word', 'bold word'),
    ('3 × 4', '3 * 4'), ('a != b', 'a ≠ b'), ('We sold, it.', 'We sold it'), ('&nbsp;what', 'what'), ('&amp;gt; 3', '> 3'), ('\\frac{1}{2}', '1/2'),
    ('It cost $5.', 'it cost $5'), ('- one item', 'one item'), ('## Task', 'Task'), ('10-year-old', '10 year old'), ('x-axis', 'x axis'), ('Look!', 'look'),
    ('(in cm) it', 'in cm it'), ('(A) red', 'A red'), ('x − 2', 'x - 2'), ('hyphen-\nated word', 'hyphenated word'), ('soft\u00adhyphen', 'softhyphen'),
]  # fmt: skip


@pytest.mark.parametrize(('one', 'other'), DIFFERENT)
def test_what_differs_in_a_sign_differs(one: str, other: str):
    assert signed(one) != signed(other)


@pytest.mark.parametrize(('one', 'other'), SAME)
def test_what_prose_and_layout_set_between_words_is_no_sign(one: str, other: str):
    assert signed(one) == signed(other)


def test_signs_stand_among_the_words_and_can_be_left_out():
    assert plain(signed('Is 5 > 3?')) == ['is', '5', '3']
    assert len(signed('Is 5 > 3?')) == 4
    assert plain(['sign', 'signal', 'signz']) == ['sign', 'signal', 'signz']


def test_the_share_counts_runs_of_n_units():
    assert share(['a', 'b', 'c', 'd'], ['x', 'a', 'b', 'c', 'y'], 2) == pytest.approx(2 / 3)
    assert share(['a'], ['b', 'a'], 8) == 1.0
    assert share([], ['a'], 8) == share(['a', 'b'], ['a'], 8) == 0.0


@pytest.mark.parametrize(('ours', 'theirs', 'expected'), [
    ('The answer is 42.', '42', 1.0), ('The answer is 421.', '42', 0.0), ('It costs 72 dollars', '$72', 1.0), ('so x = 3', 'x = 3', 1.0),
    ('so x < 3', 'x > 3', 0.0), ('that is 102', '10²', 0.0), ('🎉', '😀', 0.0), ('Joy: 😀', '😀', 1.0), ('half of it, 50', '50%', 1.0), ('it is 2', '-2', 0.0),
])  # fmt: skip
def test_an_answer_is_held_where_its_words_and_its_operators_are(ours: str, theirs: str, expected: float):
    assert holds(signed(ours), signed(theirs), 8, 0.8) == expected


def test_short_texts_are_equal_but_for_case_quotes_and_punctuation_at_their_ends():
    for other in ('what  is "p" here', 'What is \u201cp\u201d here ?', 'What\nis "P" h\u00adere?!', '<image>\nWhat is "p"&nbsp;here.'):
        assert bare(other) == bare('What is "p" here?'), other
    for other in ('What is *p here?', 'What is (p) here?', 'What is p; here?', 'What is `p` here?', 'What is p, here?', 'What is _p here?'):
        assert bare(other) != bare('What is p here?'), other


def test_code_that_is_indented_otherwise_is_other_code():
    loop = 'for i in x:\n    f(i)\n    g()'
    assert signed(loop) != signed('for i in x:\n    f(i)\ng()')
    for same in (loop.replace('    ', '\t'), loop.replace('    ', '  '), textwrap.indent(loop, '    '), loop.replace('\n', '\r\n')):
        assert signed(same) == signed(loop)
    assert signed('A line that is\n    broken here') == signed('A line that is broken here')
