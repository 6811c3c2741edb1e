"""A run that is watched: a look at the validation split every so many steps, the best checkpoint named, an end where nothing gets better."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from model.training.best import best_of, looks_since_best
from model.training.checkpoint import BEST, checkpoint_at, name_best
from model.training.page import PAGE, Question, publish_page
from model.training.runlog import RunLog
from model.training.stepper import Stepper
from model.training.validation import SameAnswer, can_reply, refuse_unscorable, validate
from model.training.validation_rows import name_rows
from schemas.errors import UserError


class Watch:
    """The looks of one run; without `validate_every` it never looks and never ends a run."""

    def __init__(self, stepper: Stepper, rows: Sequence[dict], log: RunLog, same: SameAnswer):
        """`rows`: of the validation split; raises UserError where none of them can be scored."""
        settings = stepper.settings
        self.stepper, self.rows, self.log, self.same = stepper, rows, log, same
        self.every, self.by, self.patience = settings.validate_every, settings.best_by, settings.early_stop
        self.of, self.lines = name_rows(rows), []
        if not self.every:
            return
        refuse_unscorable(stepper, rows)
        if self.by == 'exact_match' and not can_reply(stepper):
            raise UserError('best_by: expected loss or accuracy where weights are spread over processes, which cannot reply, found exact_match')
        self.lines = stepper.processes.gather(self.looks_before())

    def looks_before(self) -> list[dict[str, Any]]:
        """The looks at these rows before this call, on the process that writes; `best` names the best of them whose checkpoint is still there."""
        looks = [look for look in self.log.read_looks() if look.get('of') == self.of]
        while (best := best_of(looks, self.by)) and not (folder := checkpoint_at(self.log.out, best['step'])).is_dir():
            looks.remove(best)
        if best:
            name_best(folder)
        return looks

    def look(self, step: int, max_steps: int) -> dict[str, Any]:
        """Figures `val_...` for the step's record, {} where no look is due at this step; keeps them with the replies."""
        if not self.every or (step % self.every and step != max_steps):
            return {}
        found, shown = validate(self.stepper, self.rows, self.same)
        found = {name: value if value is None or math.isfinite(value) else None for name, value in found.items()}
        line = {'step': step, 'of': self.of, **found, 'generations': [asdict(one) for one in shown]}
        self.lines.append(line)
        pictures = {row['triple_id']: [image['bytes'] for image in row['images'] or []] for row in self.rows}
        self.log.look(line, [(one, pictures[one.row]) for one in shown])
        return {f'val_{name}': value for name, value in found.items()}

    def is_best(self, step: int) -> bool:
        """Whether this step's look was better than all before it."""
        best = best_of(self.lines, self.by)
        return best is not None and best['step'] == step

    def is_over(self) -> bool:
        """Whether `early_stop` looks in a row were no better than the best one."""
        return bool(self.patience) and looks_since_best(self.lines, self.by) >= self.patience

    def publish(self) -> None:
        """Writes the page of curves and replies beside the log, from the main process."""
        if self.stepper.processes.is_main:
            questions = [Question(row['triple_id'], tuple(image['bytes'] for image in row['images'] or [])) for row in self.shown_rows()]
            publish_page(self.log.out, questions, self.lines, best_by=self.by if self.every else '')

    def shown_rows(self) -> Sequence[dict]:
        """The rows whose replies were kept at the last look."""
        shown = [one['row'] for one in self.lines[-1]['generations']] if self.lines else []
        by_name = {row['triple_id']: row for row in self.rows}
        return [by_name[name] for name in shown if name in by_name]

    def tell(self) -> None:
        """Says which look was the best, and why a run ended early."""
        best, out = best_of(self.lines, self.by), self.log.out
        if best is None:
            return
        figure = f'{self.by} {best[self.by]:.4g} on {best["rows"]} validation rows'
        self.log.say(f'{out / BEST}: step {best["step"]}, {figure}; {out / PAGE} shows the run')
        if self.is_over():
            n = looks_since_best(self.lines, self.by)
            self.log.say(f'stopped early: no better {self.by} in {n} looks since step {best["step"]}; to go on, raise early_stop or set it to 0')
