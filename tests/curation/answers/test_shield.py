"""Code, formulas, addresses and tags are hidden from every rule; prose is not."""


import pytest

from curation.answers.shield import SHIELD, is_code, shielded, structure_shielded
from tests.growth import assert_in_proportion


@pytest.mark.parametrize('hidden', [
    '$\\triangle ABC$', '\\triangle', '\\(x + 1\\)', '\\[x = 2\\]', '$$a \\ne b$$', '\\begin{align} x &= 3 \\end{align}', '\\boxed{12}', '`red`',
    '```python\nred = 3\n```', 'https://images.example.org/left/red_12.png', 'www.red-circle.com/left', 'red.left@blue.com', '![red](left.png)',
    '<img src="red/left.png">', '<image>', '/home/me/red/left.txt', 'C:\\red\\left.png', 'photos/red/left.jpg', 'left.png', 'np.zeros(3)', 'is_red',
    '--left=3', 'foo(left)', 'example.org/right', 'isRed', 'data:image/png;base64,redleft==', '~/red/left.txt', '<code>red = 3</code>',
])  # fmt: skip
def test_what_no_rule_may_touch_is_hidden(hidden):
    text = f'The red dog {hidden} is on the left.'
    seen = shielded(text)
    assert len(seen) == len(text)
    assert seen.replace(SHIELD, '').split() == ['The', 'red', 'dog', 'is', 'on', 'the', 'left.']


@pytest.mark.parametrize('text', [
    'It costs $5 or $6, and the red one $7.', 'A man/woman crosses 3/4 of the road and/or the bridge.', 'Mr. Red said: no. It is 5.5 cm.',
    'He (the man) is old; she [the woman] is not.', 'x = 3 so the red one', 'A red-hot stove.', 'Well... the left one!', 'At 10:30 a train leaves.',
])  # fmt: skip
def test_prose_is_not_hidden(text):
    assert shielded(text) == text


def test_only_the_commands_of_a_formula_are_hidden_from_final_answers():
    seen = structure_shielded('So $\\frac{3}{4}$ of \\boxed{12} in https://a.org/12')
    assert [part for part in seen.replace(SHIELD, ' ').split() if any(map(str.isdigit, part))] == ['{3}{4}$', '{12}']


@pytest.mark.parametrize(('text', 'expected'), [
    ('def f(x):\n    return x + 1', True), ('for (i = 0; i < 3; i++) {\n  left += 1;\n}', True), ('SELECT red\nFROM left\nWHERE x = 3', True),
    ('x = 3\ny = 4\nx + y = 7', False), ('We return the book to the library.', False), ('First, import the rice.\nThen cook it.', False),
    ('', False), ('import numpy as np\nx = np.ones(3)\nprint(x)', True),
])  # fmt: skip
def test_programs_are_known_and_equations_are_no_program(text, expected):
    assert is_code(text) is expected


@pytest.mark.parametrize('piece', ['$', '\\', '`', '<a', '![', '/a', 'a.', 'a@', '\\(', '{', 'a_', '(', '```', 'a/b', '--a', 'x[', 'http://'])
def test_hostile_text_takes_no_longer_than_its_length(piece):
    assert_in_proportion(lambda text: (shielded(text), structure_shielded(text)), piece)
