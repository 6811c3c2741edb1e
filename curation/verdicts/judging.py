"""Is a candidate really worse than the correct answer? Rules first, then ground truth, then a model's scores, then a threshold."""

import re
from collections.abc import Container, Sequence
from dataclasses import dataclass

from curation.answers.amounts import differs as differs
from curation.answers.comparing import Relation, compare, named_options, same_amount
from curation.answers.synonyms import may_be_same, says_the_same
from curation.answers.wording import contained, said
from curation.english.remembered import lacks
from curation.verdicts.control_tokens import neutral
from curation.verdicts.echoes import echo_of
from curation.verdicts.scores import IMPOSSIBLE, answer_logprobs, answer_tokens, deciding, preference
from schemas.own_prompt import CHOICES
from schemas.records import Reason
from schemas.replies import Failure, Outcome, Reply

SHORT_CHARS = 10  # added to both lengths, so that '5' against 'seventeen' is no fault of length

# A generator that talks about its task gives the label away, or gives no answer. Seen with SmolLM2 and in published sets.
_SIGNS = re.compile(r'[^\w\s.,;&\'’-]|\d|[²³]')  # a formula, code: there a sign makes another answer, and no word is a synonym
_META_WORDS = ('answer', 'response', 'statement', 'based on the', 'as an ai', 'sorry', 'i can', 'i am unable', 'i apologi', 'message is empty',
               'question')  # fmt: skip
_META = re.compile(
    r"\b(incorrect|ambiguous|wrong|original|correct)\s+(answer|response|statement)\b|\b(right|unclear)\s+answer\b"
    r"|\bbased on the (question|answer)\b"
    r"|\b(as an ai|i['’]?m sorry|i can(no|['’])t|i am unable|i apologi[sz]e)\b|\bmessage is empty\b|^\W*(question|answer)\s*:",
    re.IGNORECASE)


_REASONS = {
    'length': Reason.CUT_REPLY, 'refused': Reason.REFUSED_REPLY,
    'too_long': Reason.SERVER_FAILED, 'bad_picture': Reason.SERVER_FAILED, 'leaked_key': Reason.SERVER_FAILED,  # what comes between sent it back
}  # fmt: skip


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
    if not lacks(candidate, *_META_WORDS) and (found := _META.search(candidate)) and not _META.search(chosen):
        return Reason.BOILERPLATE_ANSWER, found[0]
    if echo := echo_of(candidate, chosen=chosen, question=question, kind=kind):
        return Reason.BOILERPLATE_ANSWER, f'no answer but words about one: {echo}'[:300]
    if said(candidate) == said(chosen):
        return Reason.EQUAL_ANSWER, f'both read {said(chosen)!r}'[:300]
    if same_amount(chosen, candidate):
        return Reason.EQUAL_NUMBER, f'both are {chosen.strip()}'
    alike = says_the_same(chosen, candidate) or (kind == 'incorrect' and may_be_same(chosen, candidate))  # a wider word is ambiguous, not wrong
    if alike and not _SIGNS.search(chosen + candidate):
        return Reason.EQUAL_ANSWER, f'{candidate[:100]!r} may say the same in other words'
    letters = named_options(chosen, question)
    if letters and letters == named_options(candidate, question):
        return Reason.SAME_OPTION, f'both name option {", ".join(sorted(letters))}'
    if contained(chosen, candidate) or (kind == 'incorrect' and contained(candidate, chosen)):
        return Reason.CONTAINED_ANSWER, 'one answer stands inside the other'
    ratio = length_ratio(chosen, candidate)
    if ratio > max_length_ratio:
        return Reason.LENGTH_RATIO, f'{len(chosen)} and {len(candidate)} characters, ratio {ratio:.1f} above {max_length_ratio:g}'
    return None


def length_ratio(one: str, other: str) -> float:
    """Return how many times longer the longer text is, in characters, with `SHORT_CHARS` added to both."""
    short, long = sorted((len(one.strip()), len(other.strip())))
    return (long + SHORT_CHARS) / (short + SHORT_CHARS)


def judge_by_truth(truth: str, candidate: str, *, question: str = '', known: Container[str] = (), made: bool = False) -> Verdict:
    """Return the verdict of a program where `truth` was computed from data: score 1 if `candidate` surely differs from it.

    NOT_WRONG if it says the same, CANNOT_TELL if that cannot be told by program: then a model may judge. `known`: the right answers of a closed
    set, as `said` gives them, of which another one is wrong. `made`: a rule has made the candidate, so as to be wrong.
    """
    relation, detail = compare(truth, candidate, question=question)
    if relation == Relation.UNTOLD and contained(truth, candidate):
        relation, detail = Relation.EQUAL, 'contains the computed answer'
    if relation == Relation.EQUAL:
        return Verdict('truth', 0.0, (('wrong', 0.0),), Reason.NOT_WRONG, detail)
    if relation == Relation.DIFFERS or made or said(candidate) in known and said(truth) in known:
        return Verdict('truth', 1.0, (('wrong', 1.0),))
    return Verdict('truth', None, (), Reason.CANNOT_TELL, detail)


def score_outcomes(mode: str, outcomes: Sequence[Outcome], *, chosen: str, candidate: str, choices: tuple[str, str] | None = None) -> Verdict:
    """Return the verdict that the replies to `mode`'s requests amount to; never None.

    A call that the server failed is SERVER_FAILED, a reply that is cut or refused UNPARSABLE_VERDICT.

    The order of `outcomes` is that of `pipelines.chat.asking.judge_requests`. `choices`: the two words it may say, where they are not the mode's.
    """
    failed = next((o for o in outcomes if isinstance(o, Failure)), None)
    if failed is not None and reason_of(failed) is Reason.SERVER_FAILED:
        return Verdict(mode, None, (), Reason.SERVER_FAILED, f'{failed.kind}: {failed.detail}'[:500])
    if failed is not None:
        return _unparsable(mode, f'{failed.kind}: {failed.detail}')
    replies = [o for o in outcomes if isinstance(o, Reply)]
    if mode == 'likelihood':
        return score_likelihood(*replies, chosen=chosen, candidate=candidate)
    words = choices or CHOICES[mode]
    if mode == 'paper':
        return score_paper(*replies, choices=words)
    return score_yes_no(*replies, choices=words) if mode == 'yes_no' else score_pairwise(*replies, choices=words)


def score_likelihood(chosen_reply: Reply, candidate_reply: Reply, *, chosen: str, candidate: str) -> Verdict:
    """Return the margin in nats per token by which the model finds `chosen` likelier; the margin of the sums is kept beside it."""
    a = answer_logprobs(chosen_reply.prompt_logprobs, neutral(chosen.strip()))  # as it was sent
    b = answer_logprobs(candidate_reply.prompt_logprobs, neutral(candidate.strip()))
    if a is None or b is None:
        unread = chosen if a is None else candidate
        return _unparsable('likelihood', f'the last prompt tokens do not spell {unread[:200]!r}')
    if min(*a, *b) < IMPOSSIBLE:
        return _unparsable('likelihood', 'a token of an answer has no probability')  # -9999 in vLLM's answers: it would be all of the mean
    scores = {
        'mean_margin': sum(a) / len(a) - sum(b) / len(b), 'sum_margin': sum(a) - sum(b),
        'chosen_sum': sum(a), 'candidate_sum': sum(b), 'chosen_tokens': float(len(a)), 'candidate_tokens': float(len(b)),
    }
    return Verdict('likelihood', scores['mean_margin'], tuple(scores.items()))


def score_yes_no(chosen_reply: Reply, candidate_reply: Reply, *, choices: tuple[str, str] = CHOICES['yes_no']) -> Verdict:
    """Return how much surer (nats) the model says Yes, the first of `choices`, to the correct answer than to the candidate."""
    a, b = lean(chosen_reply, *choices), lean(candidate_reply, *choices)
    if isinstance(a, str) or isinstance(b, str):
        return _unread('yes_no', choices, a, b)
    return Verdict('yes_no', a - b, (('margin', a - b), ('chosen_yes', a), ('candidate_yes', b)))


def score_pairwise(chosen_first: Reply, candidate_first: Reply, *, choices: tuple[str, str] = CHOICES['pairwise']) -> Verdict:
    """Return the mean preference (nats) for the correct answer over both orders; `decide` refuses orders that disagree."""
    first, second = lean(chosen_first, *choices), lean(candidate_first, *choices[::-1])
    if isinstance(first, str) or isinstance(second, str):
        return _unread('pairwise', choices, first, second)
    margin = (first + second) / 2
    return Verdict('pairwise', margin, (('margin', margin), ('chosen_first', first), ('candidate_first', second)))


def score_paper(reply: Reply, *, choices: tuple[str, str] = CHOICES['paper']) -> Verdict:
    """Return how surely (nats; 1 or -1 without log-probabilities) the question of `prompts.paper_judgement` is answered Yes: it is wrong."""
    margin = lean(reply, *choices)
    if isinstance(margin, str):
        word = said_choice(reply.text, choices)
        if word is None:
            return _unread('paper', choices, margin)
        margin = 1.0 if word == choices[0] else -1.0
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
    """Return the reason under which a candidate is lost whose generator reply is a final failure: the server's doing, or the model's."""
    return _REASONS.get(failure.kind, Reason.UNPARSABLE_REPLY)


def lean(reply: Reply, wanted: str, other: str) -> float | str:
    """Return the preference at the token that decides the answer, the thoughts before it left out, or in words why there is none."""
    shown = repr(reply.text[:100])
    if said_choice(reply.text, (wanted, other)) is None:
        return shown
    tokens = answer_tokens(reply.logprobs, reply.text, reply.reasoning)
    if isinstance(tokens, str):
        return f'{shown}: {tokens}'
    token = deciding(tokens)
    found = None if token is None else preference(token, wanted, other)
    return f'{shown} without a probability' if found is None else found


def said_choice(text: str, choices: Sequence[str]) -> str | None:
    """Return which of `choices` an answer begins with, quotes and markdown in front of it left out; None if none."""
    return next((word for word in choices if re.match(rf'[\W_]*{re.escape(word)}(?![^\W_])', text, re.IGNORECASE)), None)


def _unread(mode: str, choices: Sequence[str], *found: float | str) -> Verdict:
    unread = ', '.join(one for one in found if isinstance(one, str))
    return _unparsable(mode, f'expected {" or ".join(choices)} with log-probabilities, found {unread}')


def _unparsable(mode: str, detail: str) -> Verdict:
    return Verdict(mode, None, (), Reason.UNPARSABLE_VERDICT, detail[:500])
