"""The preview as a page and as a table: rendered prompts, replies, verdicts, and the projected cost. One file, no script."""

import json
from collections.abc import Sequence

from rich.filesize import decimal
from rich.markup import escape
from rich.table import Table

from pipelines.look.cost import Answered, Cost, Projection, Seen
from pipelines.look.pages import render
from pipelines.snapshot.inline_picture import inline_picture
from pipelines.snapshot.mix_rows import mix_rows
from schemas.recipe import Recipe
from schemas.replies import Failure
from schemas.telling import print_table

HEADS = ('source', 'samples', 'previewed', 'requests', 'generate', 'judge', 'calibrate', 'prompt tokens', 'reply tokens', 'money', 'triples',
         'disk')  # fmt: skip


def preview_page(recipe: Recipe, seen: Sequence[Seen], mix: Sequence[str], found: Projection) -> str:
    """Return the HTML of a preview."""
    lines, samples = [_cells(cost) for cost in found.lines], [_sample(sample, mix) for sample in seen]
    return render('preview.html', name=recipe.name, heads=HEADS, lines=lines, notes=_notes(found), samples=samples)


def _sample(sample: Seen, mix: Sequence[str]) -> dict:
    """Return what the page shows of a sample: its row, its pictures, and what became of each candidate."""
    row = next(mix_rows(mix[sample.pick['file']], [sample.pick['row']], pixels=True))
    calls = {a.request.key: _call(a) for a in sample.answered}
    tried = [*(_candidate(sample, *pair) for pair in sample.judged), *map(_lost, sample.lost)]
    tried = [{**one, 'calls': [calls[key] for key in one['keys'] if key in calls]} for one in tried]
    return {'row': row, 'pictures': [inline_picture(data) for _, data in row.images], 'tried': tried}


def _candidate(sample: Seen, candidate: dict, verdict: dict) -> dict:
    kept = sample.accepts(verdict)
    why = verdict['reason'] or ('' if kept else f'not above the margin {sample.margin:g}')
    score = '' if verdict['score'] is None else f', score {verdict["score"]:.4g}'
    said = f'{"accepted" if kept else "refused"} by {verdict["judge"]}{score} {why} {verdict["detail"]}'
    title = f'candidate, {candidate["generator"]}, {candidate["kind"]}'
    return {'kept': kept, 'texts': [(title, candidate['rejected']), ('verdict', said)], 'keys': [candidate['reply_key'], *verdict['reply_keys']]}


def _lost(lost: dict) -> dict:
    key = json.loads(lost['content']).get('reply_key')
    return {'kept': False, 'texts': [('no candidate', f'{lost["reason"]}: {lost["detail"]}')], 'keys': [key]}


def _call(answered: Answered) -> dict:
    outcome = answered.outcome
    end = f'{outcome.kind}: {outcome.detail}' if isinstance(outcome, Failure) else outcome.finish_reason
    about = f'{answered.purpose}: {answered.model}, {outcome.prompt_tokens} + {outcome.completion_tokens} tokens, {end}'
    asked = [(message['role'], _rendered(message['content'])) for message in json.loads(answered.request.body)['messages']]
    return {'about': about, 'texts': [*asked, ('reply', outcome.text)]}


def _rendered(content: str | list) -> str:
    if isinstance(content, str):
        return content
    return '\n'.join(part['text'] if part['type'] == 'text' else f'[picture {part["image_url"]["url"][:23]}]' for part in content)


def _cells(cost: Cost) -> tuple[str, ...]:
    numbers = (cost.samples, cost.previewed, cost.requests, cost.generate, cost.judge, cost.calibrate, cost.prompt_tokens, cost.completion_tokens)
    disk = decimal(round(cost.triple_bytes + cost.reply_bytes))
    return (cost.source, *(f'{number:,.0f}' for number in numbers), f'{cost.money:,.2f}', f'{cost.triples:,.0f}', disk)


def _notes(found: Projection) -> str:
    notes = (
        f'The mix takes {decimal(found.mix_bytes)}; snapshots share their files with the working folder where both are on one disk, and take twice '
        'as much where they are not. Calibration and exact numbers are upper bounds. What this preview asked is stored: the build does not ask it '
        'again.'
    )
    notes += ''.join(f' {told}.' for told in found.over_budget)
    return notes + (f' No sample of {", ".join(found.unseen)} was previewed: counted like the others; take a larger -n.' if found.unseen else '')


def print_projection(found: Projection) -> None:
    """Print the projected cost by source."""
    table = Table(title=f'the whole build, projected from {found.total.previewed} sample(s)', title_justify='left')
    for name in HEADS:
        table.add_column(name, justify='left' if name == 'source' else 'right')
    for cost in found.lines:
        if cost is found.total:
            table.add_section()
        table.add_row(*map(escape, _cells(cost)))
    print_table(table, columns=160)
    print(_notes(found))
