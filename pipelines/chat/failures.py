"""Calls that failed for good: counted by way in each shard of the steps that ask, and too many of them keep a build from being sealed."""

from collections import Counter
from collections.abc import Iterable, Mapping

from curation.verdicts.judging import reason_of
from pipelines.chat.remedies import told
from pipelines.chat.server_words import same_way
from pipelines.engine.tables import Table
from schemas.errors import PendingWork
from schemas.recipe import Recipe
from schemas.records import Reason
from schemas.replies import Failure, Outcome

SPARED = 1  # call: no share can be told by a single one; the first of 24 would stop a build, being 4 %
SHOWN_WAYS = 5
CALLS, FAILED = 'calls', 'failed'  # how the keys of a shard's counts begin: calls/WHO, failed/WHO/STATUS AND WORDS
JUDGE, SECOND = 'judge', 'judge.second'


def generator(number: int) -> str:
    """Return how the calls of a recipe's n-th generator are counted."""
    return f'generate[{number}]'


def count_calls(counts: Counter[str], who: str, outcomes: Iterable[Outcome]) -> None:
    """Count the calls that `who` made in a shard, and those of them that the server failed for good, by way.

    What the model did (a reply that was cut, or refused) has reasons of its own in the books and is no failure here.
    """
    examples: dict[str, str] = {}
    for outcome in {outcome.key: outcome for outcome in outcomes}.values():
        counts[f'{CALLS}/{who}'] += 1
        if isinstance(outcome, Failure) and not outcome.retryable and reason_of(outcome) is Reason.SERVER_FAILED:
            said = told(outcome)
            counts[f'{FAILED}/{who}/{examples.setdefault(same_way(said), said)}'] += 1


def allowed(recipe: Recipe) -> dict[str, float]:
    """Return the share of failed calls that each generator and judge of a recipe may have."""
    found = {generator(number): one.max_failed for number, one in enumerate(recipe.generate)}
    found[JUDGE] = recipe.judge.max_failed
    return found | ({SECOND: recipe.judge.second.max_failed} if recipe.judge.second else {})


def refuse_failed(table: Table, shares: Mapping[str, float]) -> None:
    """Raise PendingWork where more calls of a finished table failed for good than `shares` allow; SPARED of them always may, unless a share is 0."""
    counts = table.counts()
    faults = [fault for who, share in shares.items() if (fault := _fault(counts, who, share))]
    if faults:
        raise PendingWork('\n'.join([
            *(f'{table.label}: {fault}' for fault in faults),
            f'nothing is sealed, every reply is kept. Once that is mended, `phantom replies forget {table.path.parents[1]}/replies --failures` has '
            'these calls made again by the next run of this command; or add --give-up to seal without them, or raise max_failed',
        ]))  # fmt: skip


def _fault(counts: Mapping[str, int], who: str, share: float) -> str:
    calls, about = counts.get(f'{CALLS}/{who}', 0), f'{FAILED}/{who}/'
    ways: Counter[str] = Counter()
    examples: dict[str, str] = {}
    for key, n in sorted(counts.items()):
        if key.startswith(about):
            said = key.removeprefix(about)
            examples.setdefault(same_way(said), said)
            ways[same_way(said)] += n
    failed = ways.total()
    if failed <= max(share * calls, SPARED if share else 0):
        return ''
    shown = [f'    {n} x {examples[way]}' for way, n in ways.most_common(SHOWN_WAYS)]
    return '\n'.join([f'{failed} of {calls} call(s) of {who} failed for good, expected at most {share:.3g} of them (max_failed)', *shown])
