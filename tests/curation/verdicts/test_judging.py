"""Rules, ground truth, scores and the decision: every outcome with its reason."""

import pytest

from curation.verdicts.judging import Verdict, check_candidate, contained, decide, differs, judge_by_truth, length_ratio, reason_of, score_outcomes
from curation.verdicts.scores import answer_logprobs, preference
from schemas.records import Reason
from schemas.replies import FINAL_KINDS, Failure, Reply, TokenLogprob

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


@pytest.mark.parametrize(
    ('chosen', 'candidate'),
    [
        ('5 > 3', '5 != 3'), ('C#', 'C++'), ('C', 'C++'), ('10²', '102'), ('x + a', 'x − a'), ('x', 'x + a'), ('|x| = 2', 'x = 2'), ('p ∧ q', 'p ∨ q'),
        ('A ∪ B', 'A ∩ B'), ('AB || CD', 'AB ⊥ CD'), ('😀', '🎉'), ('↑', '↓'), ('5!', '5'), ('5', '-5'), ('3', '3:00'), ('if x:\n    y\nz', 'if x:\n    y\n    z'),
        ('f(x)', 'f[x]'), ('(0, 1)', '[0, 1]'), ("f'(x)", 'f(x)'), ('1.5', '15'), ('a ≤ b', 'a < b'), ('12 cm', '12 kg'), ('$5', '€5'), ('H2O', 'H₂O₂'),
    ],
)
def test_answers_that_differ_in_a_sign_are_two_answers(chosen, candidate):
    for one, other in ((chosen, candidate), (candidate, chosen)):
        assert check_candidate(one, other, question='', kind='incorrect', max_length_ratio=10) is None
        verdict = judge_by_truth(one, other)
        assert verdict.reason in (None, Reason.CANNOT_TELL)


@pytest.mark.parametrize(
    ('chosen', 'candidate'),
    [('Yes.', 'yes'), ('Yes', '**Yes**'), ('red', '"Red."'), ('x − a', 'x - a'), ('a  b', 'a b'), ('café', 'café'), ('the dog', 'dog'), ('`C#`', 'c#'), ('soft­ware', 'software')],
)
def test_case_final_punctuation_quotes_and_marks_of_bold_make_no_other_answer(chosen, candidate):
    found = check_candidate(chosen, candidate, question='', kind='incorrect', max_length_ratio=10)
    assert found is not None
    assert found[0] is Reason.EQUAL_ANSWER


@pytest.mark.parametrize(('chosen', 'candidate'), [('12 cm', '120 mm'), ('1/2', '0.5'), ('50%', '0.5'), ('25', 'twenty-five'), ('3e5', '3×10^5'), ('1,200', '1200.0')])
def test_the_same_amount_in_another_notation_is_no_candidate_whoever_judges(chosen, candidate):
    assert check_candidate(chosen, candidate, question='', kind='incorrect', max_length_ratio=10)[0] is Reason.EQUAL_NUMBER


ECHOES = [
    'incorrect', 'Wrong', 'wrong.', 'Ambiguous', 'unclear', 'N/A', 'n/a', 'The answer is incorrect', 'The answer is wrong.', 'Incorrect answer', 'an ambiguous answer', 'This is wrong',
    '[incorrect]', '<wrong answer>', '**Incorrect**', 'wrong answer: ', 'Wrong answer: 270', 'Incorrect: blue', 'Wrong - no: 5', 'Answer (wrong): 5', '(incorrect) 270',
    'It is ambiguous', 'not clear', 'unknown', 'I don’t know', 'placeholder', 'your answer here', 'Too vague', 'Incorrect answer: 268', 'How many bars are there?',
    'How many bars are there? Five', '“wrong”', 'Ambiguous: some bars', 'rejected: 5', 'wrong or ambiguous', 'incorrect/ambiguous', 'The answer is clearly wrong because there are five', '错误', 'falsch',
]  # fmt: skip


@pytest.mark.parametrize('candidate', ECHOES)
def test_a_word_of_the_task_or_the_question_again_is_no_answer(candidate):
    found = check_candidate('268', candidate, question='How many bars are there?', kind='incorrect', max_length_ratio=10)
    assert found is not None
    assert found[0] is Reason.BOILERPLATE_ANSWER
    assert found[1]


@pytest.mark.parametrize(
    ('chosen', 'candidate', 'question', 'kind'),
    [
        ('Correct', 'Incorrect', 'Is the sum right?', 'incorrect'), ('correct', 'wrong', 'Is it correct or wrong?', 'incorrect'), ('clear', 'ambiguous', 'Is it clear or ambiguous?', 'incorrect'),
        ('right', 'left', 'Where is it?', 'incorrect'), ('正确', '错误', '这个说法对吗?', 'incorrect'), ('clear', 'unclear', 'Is the sky clear or unclear?', 'incorrect'), ('left', 'right', 'Where is it?', 'incorrect'), ('True', 'False', 'Is it so?', 'incorrect'),
        ('a wrong turn', 'a false start', 'What is it?', 'incorrect'), ('a red bridge', 'It depends', 'What is it?', 'ambiguous'), ('blue', 'Red', 'Red?', 'incorrect'),
        ('No: it is blue', 'No: it is red', 'Which colour is it?', 'incorrect'), ('the wrong way', 'the right way', 'Which way?', 'incorrect'),
    ],
)
def test_such_a_word_is_an_answer_where_it_is_asked_for(chosen, candidate, question, kind):
    assert check_candidate(chosen, candidate, question=question, kind=kind, max_length_ratio=10) is None


@pytest.mark.parametrize(
    ('truth', 'candidate', 'known', 'made', 'reason'),
    [
        ('Yes', 'Correct.', (), False, Reason.NOT_WRONG), ('Yes', 'Correct.', (), True, Reason.NOT_WRONG), ('gray', 'grey', ('gray', 'grey'), True, Reason.NOT_WRONG),
        ('Honda', 'Toyota', (), False, Reason.CANNOT_TELL), ('Honda', 'Toyota', ('honda', 'toyota'), False, None), ('Honda', 'Toyota', (), True, None),
        ('Honda', 'a car', ('honda', 'toyota'), False, Reason.CANNOT_TELL), ('3:00 PM', '4 pm', (), False, None), ('puppy', 'dog', (), False, Reason.CANNOT_TELL),
    ],
)
def test_what_a_program_cannot_tell_is_wrong_only_by_construction_or_in_a_closed_set(truth, candidate, known, made, reason):
    verdict = judge_by_truth(truth, candidate, known=known, made=made)
    assert verdict.reason is reason
    assert (decide(verdict, margin=0) is None) is (reason is None)


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
        ('likelihood', [reply(), reply()]), ('likelihood', [reply(prompt=[('red', -1.0)]), reply(prompt=[('blue', -9999.0)])]), ('likelihood', [reply(prompt=[('red', -1.0)]), reply(prompt=[('green', -1.0)])]),
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
    kinds = {kind: reason_of(Failure('k', kind, '', False)) for kind in sorted(FINAL_KINDS)}
    assert kinds == {
        'bad_picture': Reason.SERVER_FAILED, 'leaked_key': Reason.SERVER_FAILED, 'length': Reason.CUT_REPLY, 'refused': Reason.REFUSED_REPLY,
        'too_long': Reason.SERVER_FAILED,
    }  # fmt: skip


@pytest.mark.parametrize(('kind', 'reason'), [
    ('too_long', Reason.SERVER_FAILED), ('bad_picture', Reason.SERVER_FAILED), ('leaked_key', Reason.SERVER_FAILED),
    ('refused', Reason.UNPARSABLE_VERDICT), ('length', Reason.UNPARSABLE_VERDICT),
])
def test_a_judgement_that_the_server_failed_is_told_from_one_that_cannot_be_read(kind, reason):
    verdict = score_outcomes('yes_no', [Failure('k', kind, 'HTTP 400: its words', False)] * 2, chosen='a', candidate='b')
    assert (verdict.reason, verdict.score, verdict.detail) == (reason, None, f'{kind}: HTTP 400: its words')
