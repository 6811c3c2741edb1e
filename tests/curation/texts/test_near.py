"""Which texts are nearly the same, and what tells two apart that share nearly all their words."""

import pytest

from curation.texts.near import alike, jaccard, runs_of, shingles, words_of

LONG = ('In the picture a man in a dark coat stands beside the old stone bridge and looks at the river while two children feed the ducks near the left bank '
        'of the water, as the sun sets behind the hills. What is the man doing?')  # fmt: skip


def near(one: tuple[str, str], other: tuple[str, str]) -> bool:
    """Return whether two samples (question, answer) would be one cluster at 0.85."""
    a, b = ([{'role': 'user', 'text': question}, {'role': 'assistant', 'text': answer}] for question, answer in (one, other))
    return words_of(a).telling == words_of(b).telling and alike(runs_of(a), runs_of(b), 0.85) >= 0.85


@pytest.mark.parametrize('other', [
    (LONG.upper(), 'He looks at the river.'), (LONG.replace(',', ' ;'), 'He looks at the river'), (LONG.replace('old stone bridge', 'stone bridge'), 'He looks at the river.'),
    (f'{LONG} Please answer.', 'he looks at the river'), (LONG.replace('In the picture', 'In this picture'), 'He looks at the river.'),
    (f'<image>\n{LONG}', 'He looks at the river.'),
])  # fmt: skip
def test_other_wording_is_near(other):
    assert near((LONG, 'He looks at the river.'), other)


@pytest.mark.parametrize('other', [
    (LONG.replace('two children', 'three children'), 'He looks at the river.'), (LONG, 'He feeds the ducks.'), (LONG.replace('left', 'right'), 'He looks at the river.'),
    (LONG.replace('stands', 'does not stand'), 'He looks at the river.'), (LONG.replace('hills', 'Alps'), 'He looks at the river.'),
    (LONG.replace('dark', 'x > 3'), 'He looks at the river.'), ('What is it?', 'A man.'),
])  # fmt: skip
def test_what_differs_in_a_number_a_side_a_name_a_sign_or_the_answer_is_not(other):
    assert not near((LONG, 'He looks at the river.'), other)


@pytest.mark.parametrize(('one', 'other'), [('3 + 4', '3 - 4'), ('x > 3', 'x < 3'), ('f(x)', 'f(y)'), ('Is it?', 'Is it not?'), ('a 2', 'a 3'), ('10²', '102')])
def test_signs_and_numbers_tell_texts_apart(one, other):
    assert not near((one, 'Yes'), (other, 'Yes'))
    assert near((one, 'Yes'), (one, 'yes.'))


def test_runs_of_words():
    assert shingles([]) == set()
    assert shingles(['a', 'b']) == {'a b'}
    assert shingles(list('abcd')) == {'a b c', 'b c d'}
    assert jaccard(set(), set()) == 0.0
    assert jaccard({'a', 'b'}, {'b', 'c'}) == pytest.approx(1 / 3)
