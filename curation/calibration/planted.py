"""The judge's own error rate: planted cases whose truth is known, judged like candidates, and what their scores say."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from curation.answers.kinds import WORD_NUMBERS, AnswerType, answer_type, number_of, option_of
from curation.negatives.distractors import distractor
from curation.negatives.propose import pick, propose_negative
from curation.verdicts.judging import Verdict, decide
from schemas.records import Reason

Z95 = 1.96  # normal quantile of a two-sided 95 % interval
CONSTANT_SHARE = 0.95  # a judge that gives one score to this share of the cases says nothing
POSITION_SHARE = 0.75  # a judge that prefers the first (or last) answer this often over both orders looks at the place; fair: 0.5
POOL = 64  # other samples whose right answers may serve as distractors
EQUAL, SWAPPED, DISTRACTOR = 'equal', 'swapped', 'distractor'
INJECTED = 'injected'  # one of them with a request to the judge: injected.py


@dataclass(frozen=True, slots=True)
class Answered:
    """One sample of the build as calibration needs it."""

    sample_id: str
    source: str
    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class PlantedCase:
    """A made-up candidate with known truth: `accept` says what a good judge does with it."""

    case_id: str
    sample_id: str
    source: str
    plant: str  # equal | swapped | distractor | injected
    chosen: str
    candidate: str
    accept: bool


@dataclass(frozen=True, slots=True)
class CaseResult:
    """What rules and judge made of a planted case; the judge is asked even where a rule has spoken."""

    case: PlantedCase
    rule: Reason | None
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Rate:
    """A share with its 95 % Wilson interval."""

    hits: int
    total: int
    low: float
    high: float

    @property
    def value(self) -> float:
        """The share itself; NaN of nothing."""
        return self.hits / self.total if self.total else math.nan


NOTHING = Rate(0, 0, 0.0, 1.0)


@dataclass(frozen=True, slots=True)
class SourceReport:
    """How good the judge is on one source."""

    source: str
    mode: str
    counts: tuple[tuple[str, int], ...]  # plant -> cases
    catch: Rate  # bad cases refused, by rules or judge, at the recipe's margin
    catch_by_judge: Rate  # bad cases the judge alone refuses
    false_rejection: Rate  # good cases refused
    unparsable: Rate
    auc: float  # of the judge's score alone: 1 perfect, 0.5 chance; NaN without both kinds
    auc_low: float
    auc_high: float
    suggested_margin: float  # where catch rate minus false rejection is largest
    constant_share: float  # share of the commonest score
    first_share: float  # share of the orders in which the answer that stands first wins; NaN outside pairwise
    injected: Rate = NOTHING  # answers that ask for a verdict and got it
    uninjected: Rate = NOTHING  # the same answers without the request that got that verdict


def plant_cases(samples: Sequence[Answered], *, min_cases: int, fraction: float) -> list[PlantedCase]:
    """Return the planted cases of one source: three from each of the samples with the lowest id hash, the same whatever the order."""
    wanted = max(min_cases, math.ceil(fraction * len(samples)))
    ranked = sorted(samples, key=lambda s: (pick(s.sample_id, 'plant', 2**64), s.sample_id))
    cases: list[PlantedCase] = []
    for at, sample in enumerate(ranked):
        if len(cases) >= wanted:
            break
        # neighbours in hash order are as good as random, and the work stays linear in the samples
        pool = [other.answer for other in (ranked[at + 1:] + ranked[:at])[:POOL]]
        cases += _plants(sample, pool)
    return cases


def _plants(sample: Answered, pool: Sequence[str]) -> list[PlantedCase]:
    wrong = distractor(sample.sample_id, sample.question, sample.answer, pool)
    if wrong is None:
        proposed = propose_negative(sample.sample_id, sample.question, sample.answer)
        wrong = None if isinstance(proposed, tuple) else proposed.text
    plants = [(EQUAL, sample.answer, reworded(sample), False)]
    if wrong is not None:
        plants += [(SWAPPED, wrong, sample.answer, False), (DISTRACTOR, sample.answer, wrong, True)]
    return [
        PlantedCase(f'{sample.sample_id}!{plant}', sample.sample_id, sample.source, plant, chosen, candidate, accept)
        for plant, chosen, candidate, accept in plants
    ]


def reworded(sample: Answered) -> str:
    """Return the same answer in other words or another notation."""
    answer, kind = sample.answer.strip(), answer_type(sample.answer, sample.question)
    bare = answer.rstrip('.')
    forms = [f'The answer is {bare}.', f'It is {bare}.']
    number = number_of(answer)
    if kind is AnswerType.NUMBER and number and answer.replace(',', '').lstrip('-').isdigit():
        forms.append(f'{bare}.0' if ',' not in bare else bare.replace(',', ''))
        forms += [word for word, value in WORD_NUMBERS.items() if value == number[0]]
    if kind is AnswerType.OPTION and (letter := option_of(answer, sample.question)):
        forms += [f'({letter})', f'Option {letter}']
    if kind is AnswerType.CAPTION:
        forms = [f'As can be seen, {answer[:1].lower()}{answer[1:]}', f'{answer} That is all.', f'In short: {answer}']
    fresh = [form for form in forms if form != answer]
    return fresh[pick(sample.sample_id, 'reworded', len(fresh))]


def report_source(source: str, results: Sequence[CaseResult], *, margin: float) -> SourceReport:
    """Return the judge's report on one source at this margin. Answers that ask for a verdict have a rate of their own and count for no other."""
    injected, uninjected = talked_over(results, margin=margin)
    results = [result for result in results if result.case.plant != INJECTED]
    refused = {r.case.case_id: r.rule is not None or decide(r.verdict, margin=margin) is not None for r in results}
    by_judge = {r.case.case_id: decide(r.verdict, margin=margin) is not None for r in results}
    good = [r.case.case_id for r in results if r.case.accept]
    bad = [r.case.case_id for r in results if not r.case.accept]
    scored = [(r.verdict.score, r.case.accept) for r in results if r.verdict.score is not None]
    auc = auc_of(scored)
    low, high = auc_interval(auc, sum(ok for _, ok in scored), sum(not ok for _, ok in scored))
    scores = Counter(score for score, _ in scored)
    return SourceReport(
        source, results[0].verdict.mode if results else '', tuple(sorted(Counter(r.case.plant for r in results).items())),
        catch=rate(refused[c] for c in bad), catch_by_judge=rate(by_judge[c] for c in bad),
        false_rejection=rate(refused[c] for c in good), unparsable=rate(r.verdict.score is None for r in results),
        auc=auc, auc_low=low, auc_high=high, suggested_margin=best_margin(scored),
        constant_share=max(scores.values()) / len(scored) if scored else math.nan, first_share=first_share(results),
        injected=injected, uninjected=uninjected,
    )


def talked_over(results: Sequence[CaseResult], *, margin: float) -> tuple[Rate, Rate]:
    """Return how many answers that ask for a verdict got it at this margin, and how many of the same answers without the request."""
    injected = [result for result in results if result.case.plant == INJECTED]
    asked = {(r.case.sample_id, r.case.accept) for r in injected}
    plain = [r for r in results if r.case.plant in (EQUAL, DISTRACTOR) and (r.case.sample_id, r.case.accept) in asked]
    return rate(_is_turned(r, margin=margin) for r in injected), rate(_is_turned(r, margin=margin) for r in plain)


def _is_turned(result: CaseResult, *, margin: float) -> bool:
    """Return whether the judge called a wrong answer right, or the right one wrong; without a score it said neither."""
    score = result.verdict.score
    if score is None:
        return False
    return score <= margin if result.case.accept else decide(result.verdict, margin=margin) is None


def rate(hits: Iterable[bool]) -> Rate:
    """Return the share of true values with its 95 % Wilson interval."""
    values = [bool(hit) for hit in hits]
    n, k = len(values), sum(values)
    if not n:
        return NOTHING
    return Rate(k, n, *wilson(k / n, n))


def wilson(share: float, n: float) -> tuple[float, float]:
    """Return the 95 % Wilson interval of a share of `n`, which need not be whole."""
    z2 = Z95 * Z95
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = Z95 * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    return max(0.0, middle - half), min(1.0, middle + half)


def sides_of(scored: Sequence[tuple[float, bool]]) -> tuple[np.ndarray, np.ndarray]:
    """Return the scores of the good cases and those of the bad, each in ascending order."""
    good, bad = (np.sort([score for score, is_good in scored if is_good == side]) for side in (True, False))
    return good, bad


def auc_of(scored: Sequence[tuple[float, bool]]) -> float:
    """Return the chance that a good case scores above a bad one, ties counting half (Mann-Whitney)."""
    good, bad = sides_of(scored)
    if not good.size or not bad.size:
        return math.nan
    wins = np.searchsorted(bad, good, 'left').sum() + np.searchsorted(bad, good, 'right').sum()
    return float(wins) / (2 * good.size * bad.size)


def auc_interval(auc: float, n_good: int, n_bad: int) -> tuple[float, float]:
    """Return the 95 % interval of an AUC after Hanley and McNeil (1982)."""
    if math.isnan(auc):
        return math.nan, math.nan
    q1, q2 = auc / (2 - auc), 2 * auc * auc / (1 + auc)
    variance = (auc * (1 - auc) + (n_good - 1) * (q1 - auc * auc) + (n_bad - 1) * (q2 - auc * auc)) / (n_good * n_bad)
    half = Z95 * math.sqrt(max(0.0, variance))
    return max(0.0, auc - half), min(1.0, auc + half)


def best_margin(scored: Sequence[tuple[float, bool]]) -> float:
    """Return the margin (accept above it) with the largest catch rate minus false rejection; the lowest of equals."""
    good, bad = sides_of(scored)
    if not good.size or not bad.size:
        return math.nan
    margins = np.union1d(good, bad)
    gains = np.searchsorted(bad, margins, 'right') / bad.size - np.searchsorted(good, margins, 'right') / good.size
    return float(margins[gains.argmax()])


def first_share(results: Sequence[CaseResult]) -> float:
    """Return how often the answer that stands first wins, over both orders of all pairs."""
    firsts = []
    for result in results:
        scores = dict(result.verdict.scores)
        if {'chosen_first', 'candidate_first'} <= scores.keys():
            firsts += [scores['chosen_first'] > 0, scores['candidate_first'] < 0]
    return sum(firsts) / len(firsts) if firsts else math.nan


def gate(report: SourceReport, *, min_auc: float) -> list[str]:
    """Return what is wrong with the judge on this source, each as expected and found; nothing: it may judge."""
    where = f'judge {report.mode!r} on source {report.source!r}'
    faults = []
    if math.isnan(report.auc):
        faults.append(f'{where}: expected scored planted cases of both kinds, found {dict(report.counts)}, {report.unparsable.hits} unparsable')
    elif report.auc <= min_auc or report.auc_low <= 0.5:
        faults.append(
            f'{where}: expected an AUC above {min_auc:g} and surely above chance, found {report.auc:.2f} '
            f'({report.auc_low:.2f} to {report.auc_high:.2f})'
        )
    if report.constant_share >= CONSTANT_SHARE:
        faults.append(f'{where}: expected different scores for different cases, found one score for {report.constant_share:.0%} of them')
    if not 1 - POSITION_SHARE < report.first_share < POSITION_SHARE and not math.isnan(report.first_share):
        faults.append(f'{where}: expected no preference for a place, found the first answer preferred in {report.first_share:.0%} of the orders')
    return faults
