"""A text that is in no doubt, and is fine by itself, is one in which the checks find nothing."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from curation.rows.conversation import Talk
from curation.texts.checks import TextBounds, check_text, invisible_chars, is_fine
from curation.texts.doubts import doubtful

BOUNDS = TextBounds(max_question_chars=60, max_answer_chars=400, min_answer_chars=2, boilerplate=True, max_invisible_chars=0)
PIECES = st.sampled_from([
    'It seems', 'IT LOOKS LIKE ', 'it appears that', ' your message', ' is empty', '\u017feems ', 'I cannot see ', 'Sorry', '"As an AI', 'a', 'b ', ' ', '\n', '\t', '\x00', '\x0c', '\x7f',
    '\x85', '\xa0', '\u200b', 'é', '漢', '<', '>', '.', 'the cat sat on ', 'a b c d ', 'a b c d\n', 'red house ', 'x' * 9, 'No image was given',
])  # fmt: skip
TEXTS = st.lists(PIECES, max_size=7).map(''.join)
LOOPS = st.builds(lambda before, unit, n, after: before + unit * n + after, TEXTS, TEXTS, st.integers(1, 24), TEXTS)
RUNS = st.builds(lambda run, others: ''.join(' '.join(run) + between for between in others),
                 st.lists(st.sampled_from(['a', 'b', 'the', 'them', 'dog']), min_size=4, max_size=4), st.lists(st.sampled_from([' ', '\n\n', ' p q r s ', ' t\n']), min_size=3, max_size=9))


@settings(max_examples=150)
@given(st.lists(TEXTS | LOOPS | RUNS, min_size=2, max_size=8), st.booleans())
@example(['Why?', 'a b c d ' * 6 + 'a'], False)
@example(['Why?', 'one two three four and so on ' * 6 + 'on'], False)
@example(['Why?', ('one two three four five six seven eight ' * 6)[:-1]], False)
@example(['<image>', 'yes'], False)
@example(['S', 'Q', 'It seems that your message is empty.'], True)
def test_what_is_in_no_doubt_has_nothing_that_a_check_finds(texts, system):
    texts = texts[: len(texts) // 2 * 2]
    talk = Talk((['You are kind.'] if system else []) + texts, [], int(system))
    if not doubtful(talk.texts) and is_fine(talk.texts, talk.n_before, BOUNDS):
        assert check_text(talk.turns(), BOUNDS) is None
        assert not invisible_chars(talk.turns())


def test_ordinary_texts_are_in_no_doubt_and_the_place_of_one_that_is_is_told():
    fine = ['<image>\nWhat is on the left of the red house?', 'A dog.\n\nIt is brown, and looks away. It sits on the left of the red house, in the sun.'] * 3
    assert doubtful(fine) == set()
    assert is_fine(fine, 0, TextBounds(8000, 8000, 1, True, None))
    odd = {2: 'tab\there', 5: 'café', 7: 'It appears so', 8: 'so it goes ' * 9, 11: 'so'}
    assert doubtful([odd.get(i, fine[i % 6]) for i in range(12)]) == {2, 5, 7, 8}
    assert doubtful([]) == set()


@pytest.mark.parametrize('texts', [['', 'yes'], ['<image>', 'yes'], ['q' * 9000, 'yes'], ['Q', ''], ['Q', ' yes'], ['Q', 'no image was given'], ['Q', 'ab' * 40], ['Q', 'y' * 9000]])
def test_what_single_texts_may_be_rejected_for_is_not_fine(texts):
    assert not is_fine(texts, 0, TextBounds(8000, 8000, 1, True, None))
