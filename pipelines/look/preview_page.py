"""The preview as a page and as a table: rendered prompts, replies, verdicts, and the projected cost. One file, no script."""

import html
import json
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pipelines.look.cost import Answered, Cost, Projection, Seen
from pipelines.snapshot.inline_picture import inline_picture
from pipelines.snapshot.mix_rows import MixRow, mix_rows
from schemas.recipe import Recipe
from schemas.replies import Failure

STYLE = """
:root { color-scheme: light dark } body { font: 15px/1.5 system-ui, sans-serif; max-width: 64rem; margin: 0 auto; padding: 1rem }
section { border: 1px solid #8886; border-radius: 8px; padding: .8rem 1rem; margin: 1rem 0 }
img { max-width: 100%; max-height: 40vh; border: 1px solid #8886 }
.who { color: #667085; font-size: 12px; display: block } .text { white-space: pre-wrap; overflow-wrap: anywhere }
.call { border-left: 3px solid #2f5bd0; padding-left: .8rem; margin: .6rem 0 }
.kept { border-left-color: #13773d } .lost { border-left-color: #b3261e }
table { border-collapse: collapse } td, th { padding: .15rem .8rem .15rem 0; text-align: right } td:first-child, th:first-child { text-align: left }
"""
HEADS = ('source', 'samples', 'previewed', 'requests', 'generate', 'judge', 'calibrate', 'prompt tokens', 'reply tokens', 'money', 'triples',
         'disk')  # fmt: skip


def preview_page(recipe: Recipe, seen: Sequence[Seen], mix: tuple[str, ...], found: Projection) -> str:
    """Return the HTML of a preview; every text in it is escaped."""
    head = ''.join(f'<th>{name}</th>' for name in HEADS)
    lines = ''.join('<tr>' + ''.join(f'<td>{_escaped(cell)}</td>' for cell in _cells(cost)) + '</tr>' for cost in found.lines)
    sections = ''.join(_section(sample, mix) for sample in seen)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>phantom preview</title>'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; style-src \'unsafe-inline\'">'
        f'<style>{STYLE}</style></head><body><h1>{_escaped(recipe.name)}: preview of {len(seen)} sample(s)</h1><h2>the whole build, projected</h2>'
        f'<table><tr>{head}</tr>{lines}</table><p>{_escaped(_notes(found))}</p>{sections}</body></html>'
    )


def _section(sample: Seen, mix: tuple[str, ...]) -> str:
    row = next(mix_rows(mix[sample.pick['file']], [sample.pick['row']], pixels=True))
    calls = {a.request.key: a for a in sample.answered}
    shown = ''.join(_candidate(sample, pair, calls) for pair in sample.judged) + ''.join(_lost(lost, calls) for lost in sample.lost)
    return f'<section><span class="who">{_escaped(row.sample_id)}</span>{_asked(row)}{shown}</section>'


def _asked(row: MixRow) -> str:
    pictures = ''.join(f'<img alt="" src="{inline_picture(data)}">' for _, data in row.images)
    return pictures + ''.join(_block(turn.role, turn.text) for turn in row.turns) + _block('right answer', row.answer)


def _candidate(sample: Seen, pair: tuple[dict, dict], calls: dict[str, Answered]) -> str:
    candidate, verdict = pair
    kept = sample.accepts(verdict)
    why = verdict['reason'] or ('' if kept else f'not above the margin {sample.margin:g}')
    score = '' if verdict['score'] is None else f', score {verdict["score"]:.4g}'
    said = f'{"accepted" if kept else "refused"} by {verdict["judge"]}{score} {why} {verdict["detail"]}'
    asked = ''.join(_call(calls.get(key)) for key in [candidate['reply_key'], *verdict['reply_keys']])
    title = f'candidate, {candidate["generator"]}, {candidate["kind"]}'
    return f'<div class="call {"kept" if kept else "lost"}">{_block(title, candidate["rejected"])}{_block("verdict", said)}{asked}</div>'


def _lost(lost: dict, calls: dict[str, Answered]) -> str:
    asked = _call(calls.get(json.loads(lost['content']).get('reply_key')))
    return f'<div class="call lost">{_block("no candidate", lost["reason"] + ": " + lost["detail"])}{asked}</div>'


def _call(answered: Answered | None) -> str:
    if answered is None:
        return ''
    outcome = answered.outcome
    end = f'{outcome.kind}: {outcome.detail}' if isinstance(outcome, Failure) else outcome.finish_reason
    messages = json.loads(answered.request.body)['messages']
    prompt = ''.join(_block(message['role'], _rendered(message['content'])) for message in messages)
    about = f'{answered.purpose}: {answered.model}, {outcome.prompt_tokens} + {outcome.completion_tokens} tokens, {end}'
    return f'<details><summary>{_escaped(about)}</summary>{prompt}{_block("reply", outcome.text)}</details>'


def _rendered(content: str | list) -> str:
    if isinstance(content, str):
        return content
    return '\n'.join(part['text'] if part['type'] == 'text' else f'[picture {part["image_url"]["url"][:23]}]' for part in content)


def _block(who: str, text: str) -> str:
    return f'<span class="who">{_escaped(who)}</span><div class="text">{_escaped(text)}</div>'


def _escaped(text: object) -> str:
    return html.escape(str(text), quote=True)


def _cells(cost: Cost) -> tuple[str, ...]:
    numbers = (cost.samples, cost.previewed, cost.requests, cost.generate, cost.judge, cost.calibrate, cost.prompt_tokens, cost.completion_tokens)
    disk = _size(cost.triple_bytes + cost.reply_bytes)
    return (cost.source, *(f'{number:,.0f}' for number in numbers), f'{cost.money:,.2f}', f'{cost.triples:,.0f}', disk)


def _size(n_bytes: float) -> str:
    return f'{n_bytes / 1e9:,.2f} GB' if n_bytes >= 1e9 else f'{n_bytes / 1e6:,.1f} MB'


def _notes(found: Projection) -> str:
    notes = (
        f'The mix takes {_size(found.mix_bytes)}; snapshots share their files with the working folder where both are on one disk, and take twice as '
        'much where they are not. Calibration and exact numbers are upper bounds. What this preview asked is stored: the build does not ask it again.'
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
    Console(width=None if sys.stdout.isatty() else 160).print(table)
    print(_notes(found))
