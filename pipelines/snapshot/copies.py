"""How many copies of benchmark pictures were found again, of each shape: printed, in the card, in the manifest, and shown again from it."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass

from rich.table import Table

from curation.calibration.planted import wilson
from schemas.telling import tell_news, tell_table

HEAD = ('kind', 'planted', 'found', 'recall', '95 %', 'by picture alone', 'passed over', '')
ENOUGH = 8  # copies of a kind, of which fewer stop no build: one benchmark of three pictures would
CANNOT = 'too plain, too small, a text over a document'


@dataclass(frozen=True, slots=True)
class CopyRecall:
    """How many copies of one kind were found again, of how many planted; `by_picture`: without the benchmark's question beside them."""

    kind: str
    planted: int
    found: int
    by_picture: int
    passed_over: int  # pictures of which such a copy cannot be told
    least: float  # the recall asked for

    @property
    def interval(self) -> tuple[float, float]:
        """Return where the recall lies in 95 of 100 cases (Wilson)."""
        return wilson(self.found / self.planted, self.planted) if self.planted else (0.0, 1.0)

    @property
    def failed(self) -> bool:
        """Return whether the recall is surely below what is asked for."""
        return self.planted >= ENOUGH and self.is_below

    @property
    def is_below(self) -> bool:
        """Return whether the recall of what was planted is surely below what is asked for, of however few."""
        return self.planted > 0 and self.found / self.planted < self.least and self.interval[1] < self.least

    def told(self) -> str:
        """Return what is said of it: too few, too few pictures to say, or all well."""
        if not self.planted:
            return 'no picture that it can be told of'
        if self.is_below:
            return 'too few' if self.failed else f'too few; of fewer than {ENOUGH} pictures it stops nothing'
        if self.interval[0] >= self.least:
            return f'{self.least:g} reached'
        return 'too few pictures to say' if self.found / self.planted < self.least else f'{self.least:g} likely reached'


def print_copies(recalls: list[CopyRecall]) -> None:
    """Tell the recall per kind."""
    tell_table(_table(recalls))
    if passed := {recall.kind: recall.passed_over for recall in recalls if recall.passed_over}:
        told = ', '.join(f'{kind} {n}' for kind, n in passed.items())
        tell_news(f'canaries: benchmark pictures passed over, of which such a copy cannot be told ({CANNOT}): {told}')


def copies_table(told: Iterable[dict]) -> Table:
    """Return what a manifest says of them as a table."""
    return _table([CopyRecall(**{name: value for name, value in one.items() if name not in ('low', 'high')}) for one in told])


def _table(recalls: Iterable[CopyRecall]) -> Table:
    printed = Table(title='canaries: benchmark pictures in other shapes, found again', title_justify='left')
    for name in HEAD:
        printed.add_column(name, justify='left' if name in ('kind', '') else 'right')
    for recall in recalls:
        printed.add_row(*_cells(recall))
    return printed


def _cells(recall: CopyRecall) -> list[str]:
    low, high = recall.interval
    shown = (f'{recall.found / recall.planted:.2f}', f'{low:.2f} to {high:.2f}') if recall.planted else ('', '')
    return [recall.kind, str(recall.planted), str(recall.found), *shown, str(recall.by_picture), str(recall.passed_over), recall.told()]


def markdown_copies(recalls: list[CopyRecall]) -> str:
    """Return the recall per kind in Markdown, for the card; '' without pictures."""
    if not recalls:
        return ''
    rows = [f'| {" | ".join(_cells(recall))} |' for recall in recalls]
    head = (
        "Benchmark pictures in other shapes, looked for by the code that looks for copies, with the benchmark's question beside them and by picture "
        f'alone. Passed over: pictures of which such a copy cannot be told from another picture ({CANNOT}).'
    )
    return '\n'.join(['', head, '', f'| {" | ".join(HEAD)} |', '|---|--:|--:|--:|--:|--:|--:|---|', *rows])


def about_copies(recalls: list[CopyRecall]) -> list[dict]:
    """Return what the manifest says."""
    return [{**asdict(r), 'low': round(r.interval[0], 4), 'high': round(r.interval[1], 4)} for r in recalls]
