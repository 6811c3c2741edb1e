"""One page on how a run goes: curves, and some validation questions with their pictures and what the model replied to them, look after look.

It needs nothing beside itself: no script, no style, font or picture from elsewhere, and a browser is told to load none.
"""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from model.training.best import best_of
from model.training.curves import draw_chart
from schemas.pixels import BadImage
from schemas.publish import publish_bytes
from schemas.refusals import refused
from schemas.shown import as_shown

PAGE = 'training.html'
MAX_PX = 320  # longer side of a picture that is stored larger
MAX_CHARS = 2000  # of one text
# Title, and which figure of a step and of a look it shows.
CHARTS = (
    ('loss', ('loss', 'val_loss')),
    ('exact match', ('val_exact_match',)),
    ('chosen likelier than rejected', ('accuracy', 'val_accuracy')),
    ('margin, nats a token', ('margin', 'val_margin')),
    ('learning rate', ('lr',)),
    ('gradient norm', ('grad_norm',)),
)
STYLE = """
:root { color-scheme: light dark; --line: #8885; --c0: #2563eb; --c1: #ea580c; --c2: #16a34a; --c3: #9333ea; }
body { font: 15px/1.45 system-ui, sans-serif; max-width: 1340px; margin: 2rem auto; padding: 0 1rem; }
.charts, .asked { display: grid; grid-template-columns: repeat(auto-fill, minmax(400px, 1fr)); gap: 1.2rem; }
figure { margin: 0; } figcaption { min-height: 2.9em; } figcaption span { margin-left: .8em; white-space: nowrap; }
svg { width: 100%; } svg line { stroke: var(--line); stroke-width: 1; } svg text { font-size: 11px; fill: currentColor; opacity: .75; }
polyline { fill: none; stroke-width: 1.8; stroke-linejoin: round; }
.c0 { color: var(--c0); } .c1 { color: var(--c1); } .c2 { color: var(--c2); } .c3 { color: var(--c3); }
g[class] { stroke: currentColor; } circle { fill: currentColor; stroke: none; }
article { border: 1px solid var(--line); border-radius: 8px; padding: .8rem; overflow-wrap: anywhere; }
article img { max-width: 100%; max-height: 220px; display: block; margin-bottom: .5rem; border: 1px solid var(--line); }
bdi { white-space: pre-wrap; } dl { display: grid; grid-template-columns: 6em 1fr; margin: 0; } dt { opacity: .7; } dd { margin: 0; }
.right { color: #15803d; } .wrong { color: #b91c1c; } @media (prefers-color-scheme: dark) { .right { color: #4ade80; } .wrong { color: #f87171; } }
small, summary { opacity: .75; }
table { border-collapse: collapse; margin-bottom: 1.5rem; } tr > th:first-child { text-align: left; }
td, th { padding: .15rem .9rem .15rem 0; text-align: right; font-variant-numeric: tabular-nums; }
"""
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


@dataclass(frozen=True, slots=True)
class Question:
    """A validation question that is shown: its row and the stored bytes of its pictures."""

    row: str
    pictures: tuple[bytes, ...]


def publish_page(out: Path, questions: Sequence[Question], looks: Sequence[dict[str, Any]], *, best_by: str = '') -> None:
    """Writes `out/training.html` from `out/log.jsonl` and the looks at the validation split, whole or not at all."""
    text = render_page(out.resolve().name, read_steps(out / 'log.jsonl'), questions, looks, best_by=best_by)
    try:
        publish_bytes(out / PAGE, text.encode(errors='replace'))
    except OSError as e:
        raise refused(e, out / PAGE) from e


def read_steps(log: Path) -> list[dict[str, Any]]:
    """The records of a log's steps."""
    return [json.loads(line) for line in log.read_text('utf-8').splitlines()] if log.is_file() else []


def render_page(
    name: str, steps: Sequence[dict[str, Any]], questions: Sequence[Question], looks: Sequence[dict[str, Any]], *, best_by: str = ''
) -> str:
    """The page as HTML. Every text of the data is escaped and stands alone, whatever direction it turns what follows."""
    charts = ''.join(draw_chart(title, {field: [(step['step'], step.get(field)) for step in steps] for field in fields}) for title, fields in CHARTS)
    asked = ''.join(render_question(question, looks) for question in questions)
    shown = f'<h2>{len(questions)} validation questions</h2><div class="asked">{asked}</div>' if questions else ''
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f'<meta name="viewport" content="width=device-width"><title>{plain(name)}</title><style>{STYLE}</style></head>'
        f'<body><h1>{plain(name)}</h1>{summary(steps, looks, best_by)}<div class="charts">{charts}</div>{shown}</body></html>\n'
    )


def summary(steps: Sequence[dict[str, Any]], looks: Sequence[dict[str, Any]], best_by: str) -> str:
    """Where the run stands, and its best and last look side by side."""
    last = f'step {steps[-1]["step"]}' if steps else 'no step yet'
    best = best_of(looks, best_by) if best_by else None
    if best is None:
        return f'<p>{last}</p>'
    names = [name for name in ('loss', 'exact_match', 'accuracy', 'margin') if best.get(name) is not None]
    rows = [(f'best by {best_by}: step {best["step"]}', best), (f'last: step {looks[-1]["step"]}', looks[-1])]
    cells = ''.join(
        f'<tr><th>{plain(title)}</th>{"".join(f"<td>{figure(look.get(name))}</td>" for name in names)}</tr>' for title, look in rows
    )
    head = ''.join(f'<th>{plain(name)}</th>' for name in names)
    return f'<p>{last}, {len(looks)} looks at {best["rows"]} validation rows</p><table><tr><th></th>{head}</tr>{cells}</table>'


def figure(value: float | None) -> str:
    """A number of a look, a dash where there is none."""
    return '-' if value is None else f'{value:.4g}'


def render_question(question: Question, looks: Sequence[dict[str, Any]]) -> str:
    """One question: its pictures, the right answer, the last reply, and the replies before it where they differed."""
    said = [(look['step'], one) for look in looks for one in look['generations'] if one['row'] == question.row]
    changed = [(step, one) for number, (step, one) in enumerate(said) if number == 0 or one['reply'] != said[number - 1][1]['reply']]
    last = said[-1][1]
    before = ''.join(f'<li>step {step}: {reply_of(one)}</li>' for step, one in changed[:-1])
    earlier = f'<details><summary>{len(changed) - 1} other replies before</summary><ul>{before}</ul></details>' if before else ''
    return (
        f'<article>{"".join(map(picture_of, question.pictures))}<p><bdi>{plain(last["question"])}</bdi></p>'
        f'<dl><dt>right</dt><dd><bdi>{plain(last["chosen"])}</bdi></dd><dt>reply</dt><dd>{reply_of(last)}</dd></dl>'
        f'{earlier}<small><bdi>{plain(question.row)}</bdi></small></article>'
    )


def reply_of(one: dict[str, Any]) -> str:
    """A reply with the mark that says whether it is right."""
    mark = '<span class="right">✓ ' if one['right'] else '<span class="wrong">✗ '
    return f'{mark}<bdi>{plain(one["reply"]) or "<i>(nothing)</i>"}</bdi></span>'


def picture_of(data: bytes) -> str:
    """A picture as it was decoded for training, inside the page."""
    try:
        shown = as_shown(data, MAX_PX)
    except BadImage as e:
        return f'<p>(picture {plain(str(e))})</p>'
    return f'<img alt="" src="data:{shown.media_type};base64,{base64.b64encode(shown.data).decode()}">'


def plain(text: str) -> str:
    """A text of the data for HTML: escaped, cut where it is very long, control characters as marks."""
    cut = f'{text[:MAX_CHARS]} ... ({len(text):,} characters)' if len(text) > MAX_CHARS else text
    return escape(''.join(char if char >= ' ' and char != '\x7f' or char in '\n\t' else '\ufffd' for char in cut))
