"""Two judges, or one judge with two prompts, side by side on the cases that both were asked about; and what to make of it."""

import math
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from curation.calibration.compared import LEAST, Comparison, Figure, Pair, SharedCase, compare_cases
from pipelines.look.audit import refuse_no_file
from pipelines.look.judged_cases import Cases, Spent, labelled_cases, labels_of, planted_cases, spent_on, weights_of
from pipelines.snapshot.own_prompts import own_prompts
from schemas.errors import UserError
from schemas.publish import publish_json
from schemas.snapshot import Snapshot, open_snapshot
from schemas.telling import print_table

CASES = {'planted': 'planted cases (their truth is known)', 'labelled': 'candidates that people have labelled'}


@dataclass(frozen=True, slots=True)
class Beside:
    """Two judges on the cases of one kind: `n` that both have, `only` that one alone has."""

    kind: str  # planted | labelled
    n: int
    only: tuple[int, int]
    found: tuple[Comparison, ...]  # by source, the last one over all


@dataclass(frozen=True, slots=True)
class Compared:
    """Two snapshots' judges by name, the prompts they brought, what a verdict takes, and how they did."""

    snapshots: tuple[str, str]
    judges: tuple[str, str]
    prompts: tuple[str, str]
    spent: tuple[Spent, Spent]
    beside: tuple[Beside, ...]
    talked_over: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0))  # of each judge: answers that got the verdict they ask for, and all such


def compare_judges(a: Path, b: Path, labels: Path | None = None) -> Compared:
    """Return the judges of two sealed triples on their shared planted cases, and with a labelled CSV of either on those candidates.

    Raises UserError where a snapshot holds no planted cases, where both share none, and for a CSV that cannot be used.
    """
    both = open_snapshot(a, 'triples'), open_snapshot(b, 'triples')
    (of_a, rows_a), (of_b, rows_b) = map(planted_cases, both)
    shared = sorted(of_a.keys() & of_b.keys())
    if not shared:
        raise UserError(f'{a} and {b}: expected planted cases that both judges were asked about, found {len(of_a)} and {len(of_b)}, none in common; '
                        'they are the same where both builds have the same sources and mix')
    spent = spent_on(both[0], [rows_a[key] for key in shared]), spent_on(both[1], [rows_b[key] for key in shared])
    beside = [_beside('planted', of_a, of_b)]
    if labels is not None:
        drawn_from, given = labels_of(labels, both)
        weights = weights_of(drawn_from, given)
        beside.append(_beside('labelled', *(labelled_cases(snapshot, given, weights) for snapshot in both)))
    judges = both[0].manifest['calibration']['judge'], both[1].manifest['calibration']['judge']
    return Compared((both[0].snapshot_id, both[1].snapshot_id), judges, (_prompt_of(both[0]), _prompt_of(both[1])), spent, tuple(beside),
                    (_talked_over(both[0]), _talked_over(both[1])))  # fmt: skip


def _talked_over(snapshot: Snapshot) -> tuple[int, int]:
    rates = [told['injected'] for told in snapshot.manifest['calibration'].get('reports', ()) if told.get('injected')]
    return sum(rate['hits'] for rate in rates), sum(rate['total'] for rate in rates)


def _prompt_of(snapshot: Snapshot) -> str:
    recipe = snapshot.manifest['recipe']
    own = [f'{named.file}, text {named.digest}' for named in own_prompts(recipe) if named.use == 'judge']
    return own[0] if own else f'ours of mode {recipe["judge"]["mode"]}'


def _beside(kind: str, a: Cases, b: Cases) -> Beside:
    shared = sorted(a.keys() & b.keys())
    cases = [
        SharedCase('\0'.join(key), a[key].sample_id, a[key].source, a[key].good, (a[key].score, b[key].score), (a[key].accepts, b[key].accepts),
                   a[key].weight)
        for key in shared
    ]  # fmt: skip
    return Beside(kind, len(shared), (len(a) - len(shared), len(b) - len(shared)), tuple(compare_cases(cases)))


def print_compared(compared: Compared, out: Path | None) -> None:
    """Print both judges side by side and which is better; with `out` write it as JSON, too; raises UserError where no file can lie there."""
    refuse_no_file(out)
    for name, judge, prompt in zip('AB', compared.judges, compared.prompts, strict=True):
        print(f'{name}: {judge} (prompt: {prompt})')
    if any(total for _, total in compared.talked_over):
        told = ', '.join(f'{name} {hits} of {total}' for name, (hits, total) in zip('AB', compared.talked_over, strict=True))
        print(f'planted answers that ask for a verdict and got it: {told}')
    for beside in compared.beside:
        print_table(_table(beside, compared.spent if beside.kind == 'planted' else None))
        if len(beside.found) > 1:
            print_table(_by_source(beside))
        print(verdict_on(beside))
    if out is not None:
        better = {beside.kind: beside.found[-1].better if beside.found else '' for beside in compared.beside}
        publish_json(out, {**asdict(compared), 'better': better})


def verdict_on(beside: Beside) -> str:
    """Return the sentence on which judge tells good from bad better, or that these cases cannot show it."""
    which = f'on the {beside.kind} cases'
    if not beside.found:
        return f'{which}: none that both judges were asked about'
    whole = beside.found[-1]
    if min(whole.good, whole.bad) < LEAST or math.isnan(whole.auc.difference.value):
        return f'{which}: too few that both have scored ({whole.good} good, {whole.bad} bad) to say which judge is better'
    apart = whole.auc.difference
    if not whole.better:
        more = 'more cases may (calibration.min_cases)' if beside.kind == 'planted' else 'more labels may'
        return f'{which}: no difference that these {beside.n} cases can show (AUC of B - A: {_signed(apart)}); {more}'
    higher = apart if whole.better == 'b' else Figure(-apart.value, -apart.high, -apart.low)
    return f'{which}: {whole.better.upper()} is better, its AUC is {higher.value:.3f} higher ({higher.low:.3f} to {higher.high:.3f})'


def _table(beside: Beside, spent: tuple[Spent, Spent] | None) -> Table:
    only = ', '.join(f'{n} only {name} has' for n, name in zip(beside.only, 'AB', strict=True))
    title = f'{beside.n:,} {CASES[beside.kind]} that both judges were asked about ({only}); 95 % intervals'
    table = Table(title=title, title_justify='left')
    for name in ('', 'A', 'B', 'B - A'):
        table.add_column(name, justify='right' if name else 'left')
    if beside.found:
        whole = beside.found[-1]
        table.add_row('AUC (1 perfect, 0.5 chance)', *_row(whole.auc))
        table.add_row(f'of {whole.bad:,} bad refused', *_row(whole.caught, percent=True))
        table.add_row(f'of {whole.good:,} good refused', *_row(whole.lost, percent=True))
        table.add_row('without a score', *(f'{n:,}' for n in whole.unread), '')
        table.add_row('same decision', '', '', _percent(whole.agree))
    for name in ('requests', 'prompt_tokens', 'completion_tokens', 'money') if spent else ():
        values = [getattr(one, name) for one in spent or ()]
        if any(value is not None for value in values):
            times = f'x {values[1] / values[0]:.2f}' if all(values) else ''
            table.add_row(f'{name.replace("_", " ")} a verdict', *('?' if value is None else f'{value:,.4g}' for value in values), times)
    return table


def _by_source(beside: Beside) -> Table:
    table = Table(title='AUC by source', title_justify='left')
    for name in ('source', 'good', 'bad', 'A', 'B', 'B - A', ''):
        table.add_column(name, justify='left' if name in ('source', '') else 'right')
    for line in beside.found:
        better = f'{line.better.upper()} is better' if line.better else ''
        table.add_row(escape(line.source), f'{line.good:,}', f'{line.bad:,}', *_row(line.auc), better)
    return table


def _row(pair: Pair, *, percent: bool = False) -> tuple[str, str, str]:
    shown = _percent if percent else _plain
    return shown(pair.a), shown(pair.b), _signed(pair.difference, percent=percent)


def _plain(figure: Figure) -> str:
    return '' if math.isnan(figure.value) else f'{figure.value:.3f} ({figure.low:.3f} to {figure.high:.3f})'


def _percent(figure: Figure) -> str:
    return '' if math.isnan(figure.value) else f'{figure.value:.0%} ({figure.low:.0%} to {figure.high:.0%})'


def _signed(figure: Figure, *, percent: bool = False) -> str:
    if math.isnan(figure.value):
        return ''
    if percent:
        return f'{figure.value:+.0%} ({figure.low:+.0%} to {figure.high:+.0%})'
    return f'{figure.value:+.3f} ({figure.low:+.3f} to {figure.high:+.3f})'
