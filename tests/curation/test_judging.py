"""Rules, ground truth, scores and the decision: every outcome with its reason."""

import pytest

from curation.judging import Verdict, check_candidate, contained, decide, differs, judge_by_truth, length_ratio, reason_of, score_outcomes
from curation.scores import answer_logprobs, preference
from schemas.records import Reason
from schemas.replies import Failure, Reply, TokenLogprob

OPTIONS = 'Which one?\nA. cat\nB. hot dog\nC. cow'


@pytest.mark.parametrize(
    ('chosen', 'candidate', 'question', 'reason'),
    [
        ('red', 'blue', '', None), ('red', '', '', Reason.UNPARSABLE_REPLY), ('red', 'The Red.', '', Reason.EQUAL_ANSWER),
        ('5', 'five', '', Reason.EQUAL_NUMBER), ('5', '6', '', None), ('B', 'hot dog', OPTIONS, Reason.SAME_OPTION), ('B', 'cat', OPTIONS, None),
        ('a red car', 'a red car on the road', '', Reason.CONTAINED_ANSWER), ('a red car on the road', 'car', '', Reason.CONTAINED_ANSWER),
        ('red', 'not red', '', None), ('yes', 'no', '', None), ('no', 'Yes, there is no dog', '', None),
        ('268', 'The incorrect answer is 270', '', Reason.BOILERPLATE_ANSWER), ('268', "I'm sorry, I cannot see", '', Reason.BOILERPLATE_ANSWER),
        ('268', 'Question: how many', '', Reason.BOILERPLATE_ANSWER), ('268', 'The right answer is 270', '', Reason.BOILERPLATE_ANSWER),
        ('268', 'Based on the question, 270', '', Reason.BOILERPLATE_ANSWER), ('268', 'An unclear answer', '', Reason.BOILERPLATE_ANSWER),
        ('turn right', 'turn left', '', None), ('red', 'x ' * 200, '', Reason.LENGTH_RATIO),
        ('5', 'approximately three hundred calories', '', None),
    ],
)
def test_rules_give_their_reason_or_let_pass(chosen, candidate, question, reason):
    found = check_candidate(chosen, candidate, question=question, kind='incorrect', max_length_ratio=10)
    assert (found[0] if found else None) is reason
    assert found is None or found[1]


def test_an_ambiguous_candidate_may_be_a_vaguer_part_of_the_answer():
    assert check_candidate('a red car on the road', 'a car on the road', question='', kind='ambiguous', max_length_ratio=10) is None
    assert contained('red car', 'the big red car')
    assert not contained('red car', 'red car')


def test_the_right_answer_in_other_words_is_no_wrong_one_and_a_wider_word_only_an_ambiguous_one():
    for chosen, candidate in (('sofa', 'couch'), ('gray', 'grey'), ('TV', 'a television'), ('dog', 'dogs'), ('NYC', 'New York City')):
        for kind in ('incorrect', 'ambiguous'):
            assert check_candidate(chosen, candidate, question='', kind=kind, max_length_ratio=10)[0] is Reason.EQUAL_ANSWER
    assert check_candidate('dog', 'animal', question='', kind='incorrect', max_length_ratio=10)[0] is Reason.EQUAL_ANSWER
    assert check_candidate('dog', 'animal', question='', kind='ambiguous', max_length_ratio=10) is None


def test_length_ratio_is_symmetric_and_kind_to_short_answers():
    """(9 + 10) / (1 + 10) = 1.727"""
    assert length_ratio('5', 'seventeen') == length_ratio('seventeen', '5') == pytest.approx(19 / 11)


@pytest.mark.parametrize(
    ('truth', 'candidate', 'question', 'wrong'),
    [
        ('7', '8', '', True), ('7', 'seven', '', False), ('1984', '1985', '', True), ('1234.5', '1240', '', False), ('1234.5', '1300', '', True),
        ('250', '255', '', False), ('250', '270', '', True), ('yes', 'no', '', True), ('yes', 'Yes, it is', '', False), ('red', 'blue', '', True),
        ('red', 'a red circle', '', False), ('B', 'hot dog', OPTIONS, False), ('B', 'A', OPTIONS, True), ('0', '1', '', True), ('teal', 'not teal', '', True),
    ],
)
def test_a_program_judges_computed_answers(truth, candidate, question, wrong):
    verdict = judge_by_truth(truth, candidate, question=question)
    assert verdict.score == float(wrong)
    assert verdict.reason is (None if wrong else Reason.NOT_WRONG)
    assert (decide(verdict, margin=5.0) is None) is wrong


def test_a_value_at_the_tolerance_is_not_surely_wrong():
    assert not differs(200.5, 200.5 * 1.05)
    assert differs(200.5, 200.5 * 1.0501)


def spelled(*tokens: str) -> list[TokenLogprob]:
    return [TokenLogprob(token, -float(n + 1)) for n, token in enumerate(tokens)]


@pytest.mark.parametrize(
    ('tokens', 'answer', 'expected'),
    [
        (('ant', '\n', 'Par', 'is', ' it'), 'Paris it', [-3, -4, -5]),
        (('\n', '', '', '🎉', ' x'), '🎉 x', [-2, -3, -4, -5]),  # parts of a character belong to it, as vLLM 0.32 shows them
        (('\n', '\ufffd', '\ufffd', '🎉'), '🎉', [-2, -3, -4]),
        (('\n', 'a', '\ufffd', ' b'), 'a\ufffd b', [-2, -3, -4]),  # a broken character in the answer itself
        (('▁', ': Paris',), 'Paris', [-2]),  # the first token also holds the template's end
        (('\n', 'Pa', 'ris', '\n'), 'Paris', [-2, -3, -4]),
        (('\n', 'Pa', 'ris'), 'Berlin', None), (('is',), 'Paris', None), ((), 'Paris', None), (('\n', 'ﬁ', 'ne'), 'fine', [-2, -3]),
    ],
)
def test_the_answers_tokens_are_found_from_the_end_of_the_prompt(tokens, answer, expected):
    assert answer_logprobs(spelled(*tokens), answer) == expected


def test_preference_sums_the_tokens_that_begin_each_word():
    """P(yes) = .5 + .1, P(no) = .2: log(.6 / .2)."""
    token = TokenLogprob('Yes', -0.69, (('Yes', -0.6931472), (' y', -2.3025851), ('No', -1.6094379), ('Maybe', -3.0), ('x', -9999.0)))
    assert preference(token, 'Yes', 'No') == pytest.approx(1.0986123, abs=1e-6)
    assert preference(token, 'No', 'Yes') == pytest.approx(-1.0986123, abs=1e-6)
    assert preference(TokenLogprob('?', -1.0, (('?', -1.0),)), 'Yes', 'No') is None
    assert preference(TokenLogprob('Yes', -0.1, (('Yes', -0.1), ('No', -9999.0))), 'Yes', 'No') == pytest.approx(0)


def reply(text: str = '', *, prompt=(), top=()) -> Reply:
    generated = (TokenLogprob(text, -0.1, tuple(top)),) if top else ()
    return Reply('k', 'm', 'r', text, 'stop', 1, 1, generated, tuple(TokenLogprob(t, p) for t, p in prompt))


def said(yes: float, no: float, names=('Yes', 'No')) -> Reply:
    return reply(names[0] if yes > no else names[1], top=[(names[0], yes), (names[1], no)])


def test_likelihood_is_the_margin_in_nats_per_token_with_the_sums_beside_it():
    verdict = score_outcomes('likelihood', [
        reply(prompt=[('\n', -9.0), ('red', -0.5), (' car', -1.5)]), reply(prompt=[('\n', -9.0), ('blue', -4.0)])
    ], chosen='red car', candidate='blue')
    assert verdict.score == pytest.approx(-1.0 + 4.0)
    assert dict(verdict.scores) == {
        'mean_margin': 3.0, 'sum_margin': 2.0, 'chosen_sum': -2.0, 'candidate_sum': -4.0, 'chosen_tokens': 2.0, 'candidate_tokens': 1.0
    }


def test_yes_no_compares_the_two_answers():
    verdict = score_outcomes('yes_no', [said(-0.1, -2.1), said(-1.5, -0.5)], chosen='a', candidate='b')
    assert verdict.score == pytest.approx(2.0 + 1.0)


def test_pairwise_averages_both_orders_and_refuses_their_disagreement():
    ab = ('A', 'B')
    agree = score_outcomes('pairwise', [said(-0.5, -1.5, ab), said(-2.0, -1.0, ab)], chosen='a', candidate='b')
    assert agree.score == pytest.approx(1.0)
    assert decide(agree, margin=0) is None
    biased = score_outcomes('pairwise', [said(-0.1, -4.1, ab), said(-0.5, -1.5, ab)], chosen='a', candidate='b')
    assert biased.score == pytest.approx(1.5)
    assert decide(biased, margin=0)[0] is Reason.ORDER_DISAGREEMENT


def test_the_paper_mode_reads_a_bare_word_too():
    assert score_outcomes('paper', [said(-0.1, -2.1)], chosen='a', candidate='b').score == pytest.approx(2.0)
    assert score_outcomes('paper', [reply('Yes.')], chosen='a', candidate='b').score == 1.0
    assert score_outcomes('paper', [reply('No')], chosen='a', candidate='b').score == -1.0


@pytest.mark.parametrize(
    ('mode', 'outcomes'),
    [
        ('likelihood', [reply(), reply()]), ('likelihood', [reply(prompt=[('red', -1.0)]), reply(prompt=[('green', -1.0)])]),
        ('yes_no', [reply('Yes'), reply('No')]), ('pairwise', [reply('?', top=[('?', -0.1)])] * 2), ('paper', [reply('Perhaps')]),
        ('paper', [Failure('k', 'length', 'no end', False)]), ('likelihood', [reply(prompt=[('red', -1.0)]), Failure('k', 'rejected', 'HTTP 400', False)]),
    ],
)
def test_a_judge_that_cannot_be_read_is_a_reason_never_none(mode, outcomes):
    verdict = score_outcomes(mode, outcomes, chosen='red', candidate='blue')
    assert (verdict.score, verdict.reason) == (None, Reason.UNPARSABLE_VERDICT)
    assert verdict.detail
    assert decide(verdict, margin=-100)[0] is Reason.UNPARSABLE_VERDICT


@pytest.mark.parametrize(('score', 'margin', 'accepted'), [(0.3, 0.2, True), (0.2, 0.2, False), (0.1, 0.2, False), (-1.0, -2.0, True)])
def test_a_candidate_is_kept_only_above_the_margin(score, margin, accepted):
    found = decide(Verdict('likelihood', score), margin=margin)
    assert (found is None) is accepted
    assert accepted or found[0] is Reason.LOW_MARGIN


def test_final_failures_of_the_generator_have_their_reasons():
    kinds = {kind: reason_of(Failure('k', kind, '', False)) for kind in ('length', 'refused', 'malformed', 'rejected')}
    assert kinds == {
        'length': Reason.REPLY_TOO_LONG, 'refused': Reason.REFUSED_REPLY, 'malformed': Reason.UNPARSABLE_REPLY, 'rejected': Reason.UNPARSABLE_REPLY
    }
