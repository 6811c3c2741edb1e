"""Results as `phantom eval` left them in a folder, read again: to be compared with others'."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.evaluation.intervals import difference_intervals
from model.evaluation.rules import BENCHES
from model.evaluation.score_file import Part, read_object
from model.evaluation.scores import Metrics, Scored, mathverse_grades, mean_grade, ratio_of_marks
from schemas.errors import UserError

# How the grades of a judge are summed up, as pipelines/benches/judge_sums.py does it.
GRADED: dict[str, Metrics] = {
    'mm-vet': mean_grade,
    'mm-vet-v2': mean_grade,
    'mathvista': mean_grade,
    'mathverse': mathverse_grades,
    'llava-w': ratio_of_marks,
}


@dataclass(frozen=True, slots=True)
class Difference:
    """Our figures minus another checkpoint's, over the items that both answered."""

    items: int
    values: dict[str, float]
    intervals: dict[str, tuple[float, float]]


def metrics_of(bench: str) -> Metrics:
    """How a benchmark's stored items are summed up."""
    return GRADED.get(bench) or BENCHES[bench].metrics


def load_scored(bench: str, folder: Path) -> list[Scored]:
    """The items of a folder with what was made of the replies, of a judged benchmark those that have a grade; none where files are missing."""
    lines = read_lines(folder / 'items.jsonl', Line)
    if bench not in GRADED:
        return [Scored(line['item'], line['reply'], line['found'], line['right']) for line in lines]
    grades = {line['item_id']: line for line in read_lines(folder / 'judged.jsonl', Grade) if line['score'] is not None}
    graded = [(line, grades[line['item']['item_id']]) for line in lines if line['item']['item_id'] in grades]
    return [Scored(line['item'], line['reply'], grade['found'], float(grade['score'])) for line, grade in graded]


class Item(Part):
    """What of an item the figures are made of."""

    item_id: str
    question: str
    answer: str
    meta: dict[str, Any]
    pictures: list[str] = []


class Line(Part):
    """A line of items.jsonl."""

    item: Item
    reply: str
    found: Any
    right: bool | float


class Grade(Part):
    """A line of judged.jsonl."""

    item_id: str
    found: Any
    score: float | None


def read_lines(path: Path, form: type[Part]) -> list[dict]:
    """The lines of a JSONL file, none where there is no file; raises UserError for anything else."""
    if not path.is_file():
        return []
    try:
        return [read_object(line, form) for line in path.read_text('utf-8').split('\n') if line]
    except (ValueError, RecursionError) as e:
        raise UserError(f'{path}: expected the lines of `phantom eval`, found: {e}; evaluate again') from e


def difference_of(bench: str, ours: Path, theirs: Path) -> Difference | None:
    """Our figures minus theirs over the items that both folders hold, with paired intervals; None where there are none, or no figure of them.

    Raises UserError for items of which the benchmark's figures cannot be made: their files are not as they were written.
    """
    a, b = ({one.item['item_id']: one for one in load_scored(bench, folder)} for folder in (ours, theirs))
    both = sorted(name for name in a.keys() & b.keys() if same_question(a[name].item, b[name].item))
    if not both:
        return None
    metrics = metrics_of(bench)
    us, them = [a[name] for name in both], [b[name] for name in both]
    try:
        first, second = metrics(us), metrics(them)
        values = {name: value - second[name] for name, value in first.items() if name in second}
        return Difference(len(both), values, difference_intervals(bench, us, them, metrics)) if values else None
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as e:
        raise UserError(f'{ours}, {theirs}: expected items as `phantom eval` writes them for {bench}, found: {e!r}; evaluate again') from e


def same_question(one: dict, other: dict) -> bool:
    """Whether two items of one id are the same question: a benchmark may have been published twice. Older results do not name their pictures."""
    pictures = [item['pictures'] for item in (one, other) if 'pictures' in item]
    alike = all(one.get(name) == other.get(name) for name in ('question', 'options', 'answer'))
    return alike and (len(pictures) < 2 or pictures[0] == pictures[1])
