"""Is a candidate really worse than the correct answer? Rules first, then ground truth, then a model's scores, then a threshold."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from curation.answers import NEGATIONS, number_of, option_of, same_number, tokens, yes_or_no
from curation.scores import answer_logprobs, preference
from curation.synonyms import may_be_same, says_the_same
from schemas.records import Reason
from schemas.replies import Failure, Outcome, Reply

SHORT_CHARS = 10  # added to both lengths, so that '5' against 'seventeen' is no fault of length
RELAXED = 0.05  # relative: ChartQA's tolerance for a value read off a chart; a candidate within it is not surely wrong
COUNTED = 100  # whole numbers below this are counts: any other whole number is wrong
YEARS = range(1500, 2101)  # whole numbers that read as years: exact as well

# A generator that talks about its task gives the label away, or gives no answer. Seen with SmolLM2 and in published sets.
_META = re.compile(
    r"\b(incorrect|ambiguous|wrong|original|correct)\s+(answer|response|statement)\b|\b(right|unclear)\s+answer\b"
    r"|\bbased on the (question|answer)\b"
    r"|\b(as an ai|i['’]?m sorry|i can(no|['’])t|i am unable|i apologi[sz]e)\b|\bmessage is empty\b|^\W*(question|answer)\s*:",
    re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a judge found. `score`: higher is surer that the candidate is worse; a reason instead when there is none."""

    mode: str
    score: float | None
    scores: tuple[tuple[str, float], ...] = ()
    reason: Reason | None = None
    detail: str = ''


def check_candidate(
    chosen: str, candidate: str, *, question: str, kind: str, max_length_ratio: float
) -> tuple[Reason, str] | None:
    """Return the first rule against `candidate` as a rejected answer, with what was found, or None."""
    if not candidate.strip():
        return Reason.UNPARSABLE_REPLY, 'an empty answer'
    if found := _META.search(candidate):
        return Reason.BOILERPLATE_ANSWER, found[0]
    if tokens(candidate) == tokens(chosen):
        return Reason.EQUAL_ANSWER, f'both read {" ".join(tokens(chosen))!r}'[:300]
    if same_number(chosen, candidate):
        return Reason.EQUAL_NUMBER, f'both are {number_of(chosen)}'
    if says_the_same(chosen, candidate) or (kind == 'incorrect' and may_be_same(chosen, candidate)):  # a wider word is ambiguous, not wrong
        return Reason.EQUAL_ANSWER, f'{candidate[:100]!r} may say the same in other words'
    letter = option_of(chosen, question)
    if letter and letter == option_of(candidate, question):
        return Reason.SAME_OPTION, f'both name option {letter}'
    if contained(chosen, candidate) or (kind == 'incorrect' and contained(candidate, chosen)):
        return Reason.CONTAINED_ANSWER, 'one answer stands inside the other'
    ratio = length_ratio(chosen, candidate)
    if ratio > max_length_ratio:
        return Reason.LENGTH_RATIO, f'{len(chosen)} and {len(candidate)} characters, ratio {ratio:.1f} above {max_length_ratio:g}'
    return None


def contained(inner: str, outer: str) -> bool:
    """Return whether the words of `inner` stand in a row inside `outer`, and what is around them does not negate."""
    a, b = tokens(inner), tokens(outer)
    for start in range(len(b) - len(a) + 1) if a else ():
        if b[start] == a[0] and b[start:start + len(a)] == a and len(a) < len(b):
            around = set(b[:start] + b[start + len(a):])
            opposite = {'yes': 'no', 'no': 'yes'}.get(yes_or_no(inner) or '', '')
            return not NEGATIONS & around and opposite not in around
    return False


def length_ratio(one: str, other: str) -> float:
    """Return how many times longer the longer text is, in characters, with `SHORT_CHARS` added to both."""
    short, long = sorted((len(one.strip()), len(other.strip())))
    return (long + SHORT_CHARS) / (short + SHORT_CHARS)


def judge_by_truth(truth: str, candidate: str, *, question: str = '') -> Verdict:
    """Return the verdict of a program where `truth` was computed from data: score 1 if `candidate` differs from it, else NOT_WRONG."""
    detail = _right_by_truth(truth, candidate, question)
    if detail:
        return Verdict('truth', 0.0, (('wrong', 0.0),), Reason.NOT_WRONG, detail)
    return Verdict('truth', 1.0, (('wrong', 1.0),))


def _right_by_truth(truth: str, candidate: str, question: str) -> str:
    if tokens(truth) == tokens(candidate):
        return 'equal to the computed answer'
    letter = option_of(truth, question)
    if letter:
        return f'the computed option {letter}' if option_of(candidate, question) == letter else ''
    if yes_or_no(truth):
        return 'the computed yes or no' if yes_or_no(candidate) == yes_or_no(truth) else ''
    expected, found = number_of(truth), number_of(candidate)
    if expected and found:
        return 'within the tolerance of the computed value' if not differs(expected[0], found[0]) else ''
    return 'contains the computed answer' if contained(truth, candidate) else ''


def differs(truth: float, value: float) -> bool:
    """Return whether `value` is surely not `truth`: exactly for counts and years, beyond `RELAXED` for measured values."""
    whole = truth == int(truth) and value == int(value)
    if whole and (abs(truth) < COUNTED or int(truth) in YEARS):
        return truth != value
    return abs(truth - value) > RELAXED * abs(truth) * (1 + 1e-9)  # the tolerance itself belongs to the right answer


def score_outcomes(mode: str, outcomes: Sequence[Outcome], *, chosen: str, candidate: str) -> Verdict:
    """Return the verdict that the replies to `mode`'s requests amount to; a failed reply is UNPARSABLE_VERDICT, never None.

    The order of `outcomes` is that of `pipelines.chat.asking.judge_requests`.
    """
    failed = next((o for o in outcomes if isinstance(o, Failure)), None)
    if failed is not None:
        return _unparsable(mode, f'{failed.kind}: {failed.detail}')
    replies = [o for o in outcomes if isinstance(o, Reply)]
    if mode == 'likelihood':
        return score_likelihood(*replies, chosen=chosen, candidate=candidate)
    if mode == 'paper':
        return score_paper(*replies)
    return score_yes_no(*replies) if mode == 'yes_no' else score_pairwise(*replies)


def score_likelihood(chosen_reply: Reply, candidate_reply: Reply, *, chosen: str, candidate: str) -> Verdict:
    """Return the margin in nats per token by which the model finds `chosen` likelier; the margin of the sums is kept beside it."""
    a = answer_logprobs(chosen_reply.prompt_logprobs, chosen.strip())
    b = answer_logprobs(candidate_reply.prompt_logprobs, candidate.strip())
    if a is None or b is None:
        unread = chosen if a is None else candidate
        return _unparsable('likelihood', f'the last prompt tokens do not spell {unread[:200]!r}')
    scores = {
        'mean_margin': sum(a) / len(a) - sum(b) / len(b), 'sum_margin': sum(a) - sum(b),
        'chosen_sum': sum(a), 'candidate_sum': sum(b), 'chosen_tokens': float(len(a)), 'candidate_tokens': float(len(b)),
    }
    return Verdict('likelihood', scores['mean_margin'], tuple(scores.items()))


def score_yes_no(chosen_reply: Reply, candidate_reply: Reply) -> Verdict:
    """Return how much surer (nats) the model says Yes to the correct answer than to the candidate."""
    a, b = _first_preference(chosen_reply, 'Yes', 'No'), _first_preference(candidate_reply, 'Yes', 'No')
    if a is None or b is None:
        return _unparsable('yes_no', f'expected Yes or No with log-probabilities, found {chosen_reply.text!r}, {candidate_reply.text!r}')
    return Verdict('yes_no', a - b, (('margin', a - b), ('chosen_yes', a), ('candidate_yes', b)))


def score_pairwise(chosen_first: Reply, candidate_first: Reply) -> Verdict:
    """Return the mean preference (nats) for the correct answer over both orders; `decide` refuses orders that disagree."""
    first, second = _first_preference(chosen_first, 'A', 'B'), _first_preference(candidate_first, 'B', 'A')
    if first is None or second is None:
        return _unparsable('pairwise', f'expected A or B with log-probabilities, found {chosen_first.text!r}, {candidate_first.text!r}')
    margin = (first + second) / 2
    return Verdict('pairwise', margin, (('margin', margin), ('chosen_first', first), ('candidate_first', second)))


def score_paper(reply: Reply) -> Verdict:
    """Return how surely (nats; 1 or -1 without log-probabilities) the question of `prompts.paper_judgement` is answered Yes: it is wrong."""
    margin = _first_preference(reply, 'Yes', 'No')
    if margin is None:
        said = yes_or_no(reply.text)
        if said is None:
            return _unparsable('paper', f'expected Yes or No, found {reply.text[:200]!r}')
        margin = 1.0 if said == 'yes' else -1.0
    return Verdict('paper', margin, (('margin', margin),))


def decide(verdict: Verdict, *, margin: float) -> tuple[Reason, str] | None:
    """Return the reason against a candidate at this threshold, or None: it is accepted. Pure: rethresholding asks nobody."""
    if verdict.reason is not None:
        return verdict.reason, verdict.detail
    assert verdict.score is not None, 'a verdict without a reason has a score'
    orders = [value for name, value in verdict.scores if name in ('chosen_first', 'candidate_first')]
    if orders and min(orders) < 0 < max(orders):
        return Reason.ORDER_DISAGREEMENT, f'{orders[0]:.3f} with the correct answer first, {orders[1]:.3f} with it last'
    if verdict.score <= margin and verdict.mode != 'truth':
        return Reason.LOW_MARGIN, f'score {verdict.score:.4f} not above {margin:g}'
    return None


def reason_of(failure: Failure) -> Reason:
    """Return the reason under which a candidate is lost whose generator reply is a final failure."""
    known = {'length': Reason.REPLY_TOO_LONG, 'refused': Reason.REFUSED_REPLY}
    return known.get(failure.kind, Reason.UNPARSABLE_REPLY)


def _first_preference(reply: Reply, wanted: str, other: str) -> float | None:
    return preference(reply.logprobs[0], wanted, other) if reply.logprobs else None


def _unparsable(mode: str, detail: str) -> Verdict:
    return Verdict(mode, None, (), Reason.UNPARSABLE_VERDICT, detail[:500])
