"""The learning rate of every step of a run, and the step at which the preference loss joins; a longer --max-steps changes nothing of either."""

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

from model.training.settings import OF_SCHEDULE, TrainSettings, as_json, differences, with_new
from schemas.errors import UserError

DECAY_SHARE = 0.2  # of schedule_steps, where decay_steps is not set; as in arXiv 2405.18392


@dataclass(frozen=True, slots=True)
class Schedule:
    """Warm-up, then constant or cosine, then perhaps a decay. Before the end of all this and after it: the rate at that end."""

    kind: str  # constant or cosine, between warm-up and decay
    peak: float
    final: float
    warmup: int  # steps
    end: int  # steps after which a cosine has come to `final`
    decay_start: int | None = None  # steps before the decay; None: there is none
    decay_steps: int = 1
    po_from: int = 0  # steps before the preference loss joins
    before: dict[str, Any] | None = None  # the schedule that the decay broke off, where it is another one than this without its decay

    def rate(self, done: int) -> float:
        """The learning rate of the step that `done` steps precede."""
        if self.decay_start is not None and done >= self.decay_start:
            share = min((done - self.decay_start) / self.decay_steps, 1)
            return self.final + (1 - share) * (self.plain(self.decay_start) - self.final)
        return self.plain(done)

    def plain(self, done: int) -> float:
        """The same without the decay."""
        if self.before is not None:
            return Schedule(**self.before).rate(done)
        if done < self.warmup:
            return self.peak * (done + 1) / self.warmup
        if self.kind == 'constant':
            return self.peak
        share = 0.5 * (1 + math.cos(math.pi * min((done - self.warmup) / max(self.end - self.warmup, 1), 1)))
        return self.final + share * (self.peak - self.final)

    def describe(self, steps: int) -> str:
        """The schedule of a run of so many steps in a few words."""
        parts = [f'warm-up of {self.warmup} steps'] if self.warmup else []
        parts.append(f'cosine {self.peak:g} to {self.final:g} over {self.end} steps' if self.kind == 'cosine' else f'constant {self.peak:g}')
        if self.decay_start is not None:
            parts.append(f'from step {self.decay_start} on down to {self.final:g} in {self.decay_steps}')
        over = self.end if self.decay_start is None else self.decay_start + self.decay_steps
        if self.po_from > 0:
            parts.append(f'preference loss from step {self.po_from} on' if self.po_from < steps else 'no preference loss in these steps')
        if steps > over and self.rate(over) == self.final:
            parts.append(f'{self.final:g} for the {steps - over} steps after that')
        return ', '.join(parts)


def make_schedule(settings: TrainSettings, steps: int, *, warmup: int | None = None) -> Schedule:
    """The schedule of these settings; `steps` is its length where they do not say one, `warmup` what a run has warmed up for already."""
    end = settings.schedule_steps or steps
    warmup = round(settings.warmup_ratio * end) if warmup is None else warmup
    length = settings.decay_steps or math.ceil(DECAY_SHARE * end)
    start = settings.decay_start
    if start is None and settings.schedule == 'wsd':
        start = end - length
    if start is not None and start < warmup:
        raise UserError(
            f'decay_start: expected the decay to begin after the {warmup} steps of warm-up, found it at step {start} for {length} steps; '
            'set decay_start, decay_steps, warmup_ratio or schedule_steps'
        )
    kind = 'cosine' if settings.schedule == 'cosine' else 'constant'
    po_from = round(settings.po_start * end) if settings.stage == 1 and settings.po_weight else 0
    return Schedule(kind, settings.learning_rate, settings.final_learning_rate, warmup, end, start, length, po_from)


def resumed_schedule(settings: TrainSettings, before: Schedule, was: dict[str, Any], done: int) -> tuple[Schedule, list[str]]:
    """The schedule of a run that has taken `done` steps under `before` and the settings `was`, and why it cannot go on under `settings`.

    It can where the learning rate of every step that was taken stays: a longer horizon of a stable phase, a decay that begins now.
    """
    was, now = ({name: values.get(name) for name in OF_SCHEDULE} for values in (with_new(was), as_json(settings)))
    warmup = before.warmup if was['warmup_ratio'] == now['warmup_ratio'] else None  # of the steps it was a share of then
    schedule = replace(make_schedule(settings, before.end, warmup=warmup), po_from=before.po_from)
    if not differences(was, {name: now[name] for name in ('schedule', 'learning_rate', 'warmup_ratio')}):
        if settings.decay_start == before.decay_start:
            schedule = replace(schedule, before=before.before)
        elif settings.decay_start == done and before.decay_start is not None:  # a decay that has begun gives way to another one
            schedule = replace(schedule, before=asdict(before))
    for step in range(done if schedule != before else 0):
        if schedule.rate(step) != before.rate(step):
            was['schedule_steps'], now['schedule_steps'] = before.end, schedule.end
            rates = f'learning rate of step {step + 1}: {before.rate(step):g} before, {schedule.rate(step):g} now'
            return schedule, [*differences(was, now), rates]
    return schedule, []
