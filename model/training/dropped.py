"""How many rows a run may leave out unasked before it ends with an error."""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from model.training.checkpoint import TrainState
from model.training.data import Drop
from model.training.settings import TrainSettings

ASKED = frozenset({'KIND', 'SOURCE', 'SCORE', 'DUPLICATE_CHOSEN'})  # reasons that settings name: what they leave out is no fault of the rows


def counted(before: Mapping[str, int] | None, drops: Iterable[Drop]) -> dict[str, int]:
    """Rows left out by reason, with those of one more step."""
    return dict(Counter(before or {}) + Counter(drop.reason for drop in drops))


def dropped_fault(state: TrainState, settings: TrainSettings, *, total: int, out: Path) -> str | None:
    """Why a run ends with an error here, None where it may go on or end well: nothing to train on, or too much left out.

    total: rows of the snapshot. It is told as soon as no row that is still to come could make it good again.
    """
    dropped = state.dropped or {}
    reasons = ', '.join(f'{reason} {count:,}' for reason, count in sorted(dropped.items(), key=lambda pair: -pair[1]))
    over = state.position >= total or state.step == state.max_steps
    if state.position and over and not state.rows_trained:
        return (
            f'snapshot: expected rows to train on, found all {min(state.position, total):,} left out ({reasons}); '
            f'{out / "drops.jsonl"} says why of each; nothing was learned and no checkpoint made'
        )
    planned = max(state.max_steps, state.step) * settings.batch_rows
    asked = sum(count for reason, count in dropped.items() if reason in ASKED)
    unasked = sum(dropped.values()) - asked
    if unasked <= settings.max_dropped * (planned - asked):
        return None
    share = unasked / (state.position - asked)
    kept = f'the checkpoint of step {state.step} is kept: ' if state.rows_trained else ''
    go_on = f', or --set max_dropped={min(share + 0.05, 1):.2g} and the same command goes on' if kept else ''
    return (
        f'rows: expected at most {settings.max_dropped:.1%} left out (max_dropped), found {unasked:,} of {state.position - asked:,}, {share:.1%} '
        f'({reasons}); {out / "drops.jsonl"} says why of each; {kept}mend the snapshot or the settings and start anew in another --out{go_on}'
    )
