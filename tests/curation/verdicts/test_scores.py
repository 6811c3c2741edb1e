"""Which token of a judge's reply decides, and what its probability says."""

import math

import pytest

from curation.verdicts.judging import said_choice, score_outcomes
from curation.verdicts.scores import answer_tokens, deciding, preference
from schemas.records import Reason
from schemas.replies import Reply, TokenLogprob
from tests.growth import assert_in_proportion

THOUGHTS = 'No? The sky is blue. Yes'


def token(text: str, yes: float = -0.1, no: float = -3.1) -> TokenLogprob:
    return TokenLogprob(text, -0.1, (('Yes', yes), ('No', no)))


def tokens(*texts: str) -> tuple[TokenLogprob, ...]:
    """Return tokens whose alternatives say No, but for the last one that says a word: what another one is read from is seen."""
    last = max(n for n, text in enumerate(texts) if any(c.isalnum() for c in text) and not text.startswith('<'))
    return tuple(token(text) if n == last else token(text, -9.0, -0.2) for n, text in enumerate(texts))


def reply(listed: tuple[TokenLogprob, ...], text: str = 'Yes', thoughts: str = '') -> Reply:
    return Reply('k', 'm', 'r', text, 'stop', 1, 1, listed, reasoning=thoughts)


@pytest.mark.parametrize(
    ('listed', 'text', 'thoughts'),
    [
        (('Yes',), 'Yes', ''), (('\n', 'Yes'), 'Yes', ''), (('\n\n', ' ', 'Yes'), '\n\n Yes', ''), (('Yes', '<|im_end|>'), 'Yes', ''), (('Yes', '</s>', ''), 'Yes', ''),
        (('', 'Yes'), 'Yes', ''), (('▁Yes',), 'Yes', ''), (('Ċ', 'ĠYes'), 'Yes', ''), (('<0x0A>', 'Yes'), 'Yes', ''), (('**', 'Yes', '**'), '**Yes**', ''),
        (('"', 'Yes', '"'), '"Yes"', ''), (('"Yes', '".'), '"Yes".', ''), (('Yes.',), 'Yes.', ''),
        (('<think>', 'No', '? The sky is', ' blue', '. Yes', '</think>', '\n\n', 'Yes'), 'Yes', THOUGHTS),  # SGLang: all that was generated
        (('No', '? The sky is', ' blue', '. Yes', '</think>', 'Yes', '<|im_end|>'), 'Yes', THOUGHTS),
        (('<|START_THINKING|>', 'No', '<|END_THINKING|>', 'Yes'), 'Yes', 'No'), (('<|begin_of_thought|>', 'No', '<|end_of_thought|>', 'Yes'), 'Yes', 'No'),
        (('No', '? The sky is', ' blue', '. Yes', 'Yes'), 'Yes', THOUGHTS),  # the marks are special tokens and dropped
        (('[THINK]', 'No', '[/THINK]', 'Yes'), 'Yes', ''), (('◁think▷', 'No', '◁/', 'think▷', 'Yes'), 'Yes', 'No'),  # thoughts that are hidden
        (('<|channel|>', 'analysis', '<|message|>', 'No', '<|end|>', '<|start|>', 'assistant', '<|channel|>', 'final', '<|message|>', 'Yes'), 'Yes', 'No'),
        (('analysis', 'No', 'assistant', 'final', 'Yes'), 'Yes', 'No'), (('<think>', 'No', '</', 'think', '>', 'Yes'), 'Yes', 'No'),
        (('<think>', 'No', '</think>', '<answer>', 'Yes', '</answer>'), 'Yes', 'No'), (('</think>', 'Yes'), 'Yes', ''),
    ],
)  # fmt: skip
def test_the_token_of_the_answer_decides_and_none_before_it(listed, text, thoughts):
    verdict = score_outcomes('paper', [reply(tokens(*listed), text, thoughts)], chosen='a', candidate='b')
    assert verdict.score == pytest.approx(3.0)


@pytest.mark.parametrize(
    ('listed', 'thoughts', 'inside'),
    [
        (('No', '? The sky is', ' blue', '. Yes'), THOUGHTS, True),  # the thoughts alone, whose last word is the answer's
        (('<think>', 'Yes'), 'Yes', True), (('<|channel|>', 'analysis', '<|message|>', 'Yes'), 'Yes', True), (('[THINK]', 'Yes'), 'Yes', True),
        (('<think>', 'No', '? The'), THOUGHTS, True), (('<think>', 'No'), '', False), (('No', ', I', ' mean', ' Yes'), '', False), (('?',), '', False),
    ],
)  # fmt: skip
def test_a_list_that_does_not_hold_the_answers_token_is_unread_by_name(listed, thoughts, inside):
    listed = tuple(token(text) for text in listed)
    for mode in ('yes_no', 'pairwise'):
        verdict = score_outcomes(mode, [reply(listed, 'Yes' if mode == 'yes_no' else 'A', thoughts)] * 2, chosen='a', candidate='b')
        assert (verdict.score, verdict.reason) == (None, Reason.UNPARSABLE_VERDICT)
        assert "do not hold the answer's token" in verdict.detail
        assert ('start inside the thoughts' in verdict.detail) is inside
    assert score_outcomes('paper', [reply(listed, 'Yes', thoughts)], chosen='a', candidate='b').score == 1.0  # the word itself is read


def test_an_answer_in_pieces_is_read_at_the_first_of_them():
    listed = (TokenLogprob('\n', -0.1, (('\n', -0.1),)), TokenLogprob('Y', -0.1, (('Y', -0.1), ('N', -2.1))), TokenLogprob('es', 0.0, (('es', 0.0),)))
    assert score_outcomes('yes_no', [reply(listed), reply(listed)], chosen='a', candidate='b').scores[1][1] == pytest.approx(2.0)


def test_letters_are_read_with_the_signs_around_them():
    def letter(a: float, b: float, shown: str) -> Reply:
        return reply((TokenLogprob(shown, max(a, b), (('"A', a), (' B)', b), ('A cat', -0.01))),), shown.strip())

    verdict = score_outcomes('pairwise', [letter(-0.5, -1.5, '"A'), letter(-2.0, -1.0, ' B)')], chosen='a', candidate='b')
    assert verdict.score == pytest.approx(1.0)


@pytest.mark.parametrize(('text', 'said'), [('Yes', 'Yes'), ('**yes**', 'Yes'), (' "No."', 'No'), ('No, since', 'No'), ('Not', None), ('Perhaps yes', None),
                                            ('', None), ('Yesterday', None), ('Okay, so No', None)])
def test_what_an_answer_says_is_its_first_word(text, said):
    assert said_choice(text, ('Yes', 'No')) == said


def test_an_answer_that_says_neither_word_is_unread_though_its_list_holds_both():
    verdict = score_outcomes('yes_no', [reply((token('Okay'), token(', so')), 'Okay, so')] * 2, chosen='a', candidate='b')
    assert (verdict.reason, 'Okay, so' in verdict.detail) == (Reason.UNPARSABLE_VERDICT, True)


@pytest.mark.parametrize(
    ('listed', 'expected'),
    [
        # P(No) is at most 1 - 0.9: log(0.9 / 0.1)
        (TokenLogprob('Yes', math.log(0.9)), math.log(9)), (TokenLogprob('Yes', math.log(0.9), (('Yes', math.log(0.9)),)), math.log(9)),
        (TokenLogprob('Yes', math.log(0.9), (('Yes', math.log(0.9)), ('No', -9999.0))), math.log(9)),
        (TokenLogprob('Yes', math.log(0.4)), 0.0),  # another one may have as much
        (TokenLogprob('Yes', math.log(0.7), (('Yes', math.log(0.7)), ('x', math.log(0.001)))), math.log(700)),  # less than everything listed
        (TokenLogprob('Yes', 0.0), math.log(1e6)),
        (TokenLogprob('Yes', math.log(0.3), (('x', math.log(0.6)), ('No', math.log(0.1)))), math.log(3)),  # the token itself is not among the top ones
        (TokenLogprob('Yes', -9999.0), None), (TokenLogprob('?', -0.1), None), (TokenLogprob('Yes', -9999.0, (('No', -9999.0),)), None),
    ],
)  # fmt: skip
def test_a_word_that_is_not_listed_has_a_bound_and_what_has_no_probability_has_no_preference(listed, expected):
    found = preference(listed, 'Yes', 'No')
    assert found == (None if expected is None else pytest.approx(expected, abs=1e-5))
    assert (preference(listed, 'No', 'Yes') is None) is (expected is None)


def test_a_score_is_refused_where_a_token_has_no_probability():
    verdict = score_outcomes('yes_no', [reply((TokenLogprob('Yes', -9999.0),))] * 2, chosen='a', candidate='b')
    assert verdict.reason is Reason.UNPARSABLE_VERDICT
    assert score_outcomes('yes_no', [reply(())] * 2, chosen='a', candidate='b').detail.count('without log-probabilities') == 2


def test_long_lists_are_read_in_time_proportional_to_their_length():
    def read(text: str):
        return deciding(answer_tokens([token(c) for c in text], 'Yes', text[:-3]))

    assert_in_proportion(read, 'No ', end='Yes')
