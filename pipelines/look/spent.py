"""What the calls of a working folder cost, by step and model, read from its ledger; and how long the steps took that made them."""

from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from pipelines.engine.clean import is_work
from pipelines.engine.place import name_of, work_of
from pipelines.engine.progress import FOLDER, note_of, read_progress
from pipelines.replies.ledger import TOKENS_PER_PRICE, Ledger, Spend
from schemas.errors import UserError
from schemas.json_text import print_json
from schemas.recipe import Budget
from schemas.snapshot import did_you_mean, open_snapshot, sealed_in
from schemas.telling import length_of, print_table

UNSAID = '(not said)'  # a step that an earlier version asked for
COLUMNS = ('step', 'model', 'revision', 'requests', 'without a reply', 'prompt tokens', 'completion tokens', 'money')
Prices = dict[tuple[str, str], tuple[float, float]]


def tell_spent(out: Path, work: Path | None, *, as_json: bool = False) -> None:
    """Print what the calls of a build cost; raises UserError where there is no working folder that could tell."""
    found = spent_in(out, work)
    if as_json:
        print_json(found)
        return
    print_table(_table(found))
    for step in found['steps']:
        calls = f', {step["calls"]:,} call(s) answered' if step['calls'] else ''
        print(f'{step["step"]}: {length_of(step["seconds"])}, {step["rows"]:,} row(s){calls}')


def spent_in(out: Path, work: Path | None = None) -> dict[str, Any]:
    """Return the same as docs/json.md describes it: `lines` of step and model, the `total`, and what each of the `steps` took."""
    out = out.resolve()
    work = (work or work_of(out)).resolve()
    if not is_work(work):
        raise UserError(f'{work}: expected the working folder of a build, found none; name the --out of `phantom build`, and with --work its working '
                        f'folder if that lies elsewhere. What a sealed build cost says `phantom show {out}`, too{did_you_mean(out)}')
    said = read_progress(note_of(work, out, 0))
    prices = _prices(work, out, said)
    ledger = work / 'ledger'
    spent = Ledger(ledger, Budget()).by_step() if ledger.is_dir() else {}
    lines = [_line(step, model, revision, spend, prices) for (step, model, revision), spend in spent.items()]
    took = [{'step': step, **{name: of[name] for name in ('seconds', 'rows', 'calls')}} for step, of in _took(work, out).items()]
    return {'build': str(out), 'work': str(work), 'lines': lines, 'total': _total(lines), 'steps': took}


def _took(work: Path, out: Path) -> dict[str, dict[str, Any]]:
    """Return what each step took, over all processes of the build: rows and calls together, of the seconds the longest."""
    found: dict[str, dict[str, Any]] = {}
    for path in sorted((work / FOLDER).glob(f'{name_of(work, out)}-*.json')):
        for step, of in read_progress(path).get('took', {}).items():
            before = found.get(step, {'seconds': 0.0, 'rows': 0, 'calls': 0})
            longest = {name: max(before[name], of[name]) for name in ('seconds', 'calls')}  # each process counts the calls of all
            found[step] = {**longest, 'rows': before['rows'] + of['rows']}
    return found


def _prices(work: Path, out: Path, said: dict[str, Any]) -> Prices:
    """Return what each model costs, as the recipe of the last run said, else that of a sealed snapshot; {} where nobody says."""
    listed = list(said.get('about', {}).get('models', {}).values())
    if not listed:
        recipes = [open_snapshot(path).manifest.get('recipe', {}) for path in sealed_in(out)]
        listed = [model for recipe in recipes for model in recipe.get('models', {}).values()]
    return {(model['model'], model['revision']): (model['price_prompt'], model['price_completion']) for model in listed}


def _line(step: str, model: str, revision: str, spend: Spend, prices: Prices) -> dict[str, Any]:
    price = prices.get((model, revision))
    money = None if price is None else (spend.prompt_tokens * price[0] + spend.completion_tokens * price[1]) / TOKENS_PER_PRICE
    about = {'step': step, 'model': model, 'revision': revision, 'requests': spend.requests, 'tries': spend.tries}
    return {**about, 'prompt_tokens': spend.prompt_tokens, 'completion_tokens': spend.completion_tokens, 'money': money}


def _total(lines: list[dict[str, Any]]) -> dict[str, Any]:
    summed = {name: sum(line[name] for line in lines) for name in ('requests', 'tries', 'prompt_tokens', 'completion_tokens')}
    known = [line['money'] for line in lines if line['money'] is not None]
    return {**summed, 'money': sum(known) if len(known) == len(lines) else None}


def _table(found: dict[str, Any]) -> Table:
    table = Table(title=f'what the calls cost of all builds in {escape(found["work"])}', title_justify='left')
    for name in COLUMNS:
        table.add_column(name, justify='left' if name in COLUMNS[:3] else 'right')
    for line in [*found['lines'], {'step': 'all', 'model': '', 'revision': '', **found['total']}]:
        numbers = (f'{line[name]:,}' for name in ('requests', 'tries', 'prompt_tokens', 'completion_tokens'))
        money = 'unknown' if line['money'] is None else f'{line["money"]:,.4f}'
        table.add_row(escape(line['step'] or UNSAID), escape(line['model']), escape(line['revision']), *numbers, money)
    return table
