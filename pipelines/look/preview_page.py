"""The preview as a page and as a table: rendered prompts, replies, verdicts, and the projected cost. One file, no script."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from rich.filesize import decimal
from rich.markup import escape
from rich.table import Table

from curation.rows.formats import IMAGE
from pipelines.look.cost import Answered, Cost, Projection, Seen
from pipelines.look.pages import render
from pipelines.look.rated_sample import Rated
from pipelines.look.sampled_mix import Looked
from pipelines.snapshot.inline_picture import inline_picture
from pipelines.snapshot.mix_rows import MixRow, mix_rows
from schemas.recipe import Recipe
from schemas.replies import IMAGE_URL_SCHEME, Failure
from schemas.telling import print_table

HEADS = ('source', 'samples', 'previewed', 'requests', 'rate', 'generate', 'judge', 'calibrate', 'prompt tokens', 'reply tokens', 'money', 'triples',
         'disk')  # fmt: skip
LOOKED_HEADS = ('source', 'records looked at', 'samples with good text', 'with good pictures', 'samples expected', 'left out, and why')


@dataclass(frozen=True, slots=True)
class Shown:
    """What the page shows besides the projection: samples, the files they stand in, what was seen of each source, and why it is not all."""

    seen: Sequence[Seen]
    mix: Sequence[str]
    looked: Sequence[Looked] = ()
    stopped: str = ''
    rated: Sequence[Rated] = ()
    notes: Sequence[str] = ()


def preview_page(recipe: Recipe, shown: Shown, found: Projection) -> str:
    """Return the HTML of a preview."""
    lines = [_cells(cost, found) for cost in found.lines]
    looked = [{'cells': _looked_cells(one), 'told': one.told, 'examples': one.examples, 'source': one.source} for one in shown.looked]
    return render('preview.html', name=recipe.name, heads=HEADS, lines=lines, notes=shown.notes or notes_of(found), samples=_samples(shown),
                  rated=list(map(_rated, shown.rated)), stopped=shown.stopped, looked_heads=LOOKED_HEADS, looked=looked)


def _samples(shown: Shown) -> list[dict]:
    """Return what the page shows of each sample: its row, its pictures at their places, and what became of each candidate."""
    rows: dict[tuple[int, int], MixRow] = {}
    for file in sorted({sample.pick['file'] for sample in shown.seen}):
        numbers = sorted({sample.pick['row'] for sample in shown.seen if sample.pick['file'] == file})
        rows |= {(file, number): row for number, row in zip(numbers, mix_rows(shown.mix[file], numbers, pixels=True), strict=True)}
    return [_sample(sample, rows[sample.pick['file'], sample.pick['row']]) for sample in shown.seen]


def _sample(sample: Seen, row: MixRow) -> dict:
    calls = {a.request.key: _call(a) for a in sample.answered}
    tried = [*(_candidate(sample, *pair) for pair in sample.judged), *map(_lost, sample.lost)]
    tried = [{**one, 'calls': [calls[key] for key in one['keys'] if key in calls]} for one in tried]
    return {**_row(row), 'tried': tried}


def _rated(sample: Rated) -> dict:
    """Return what the page shows of a rated sample: its row, and each rating with the calls that it came from."""
    calls = {a.request.key: _call(a) for some in sample.answered.values() for a in some}
    tried = [{'kept': one['score'] is not None, 'texts': [(f'{one["ask"]}, by {one["by"]}', _score(one))],
              'calls': [calls[key] for key in one['reply_keys']]} for one in sample.ratings]
    return {**_row(sample.row), 'tried': tried}


def _score(rating: dict) -> str:
    return f'{rating["reason"]}: {rating["detail"]}' if rating['score'] is None else f'{rating["score"]:.4g}'


def _row(row: MixRow) -> dict:
    pictures = [inline_picture(data) for _, data in row.images]
    turns, at = [], 0
    for turn in row.turns:
        n = turn.text.count(IMAGE)
        turns.append((turn.role, _pieces(turn.text, pictures[at : at + n])))
        at += n
    return {'id': _id(row.sample_id), 'turns': turns, 'answer': row.answer}


def _pieces(text: str, pictures: Sequence[str]) -> list[tuple[str, str]]:
    """Return ('text', ...) and ('picture', data URL) in the order in which they stand; a mark without a picture stays a mark."""
    pieces = []
    for i, piece in enumerate(text.split(IMAGE)):
        if i:
            pieces.append(('picture', pictures[i - 1]) if i <= len(pictures) else ('text', IMAGE))
        if piece.strip():
            pieces.append(('text', piece.strip()))
    return pieces


def _id(sample_id: str) -> str:
    """Return an id as people read it: minus a byte stands for a record that was found at it, whose number nobody counted."""
    return re.sub(r'#-([0-9]+)', r' at byte \1', sample_id)


def _candidate(sample: Seen, candidate: dict, verdict: dict) -> dict:
    kept = sample.accepts(verdict)
    why = f'{verdict["reason"]} {verdict["detail"]}' if verdict['reason'] else '' if kept else f'not above the margin {sample.margin:g}'
    score = '' if verdict['score'] is None else f', score {verdict["score"]:.4g}'
    scores = ', '.join(f'{name} {value:.4g}' for name, value in json.loads(verdict['scores']).items())
    said = f'{"accepted" if kept else "refused"} by {verdict["judge"]}{score}{f" ({scores})" if scores else ""} {why}'.strip()
    title = f'candidate, {candidate["generator"]}, {candidate["kind"]}'
    return {'kept': kept, 'texts': [(title, candidate['rejected']), ('verdict', said)], 'keys': [candidate['reply_key'], *verdict['reply_keys']]}


def _lost(lost: dict) -> dict:
    key = json.loads(lost['content']).get('reply_key')
    return {'kept': False, 'texts': [('no candidate', f'{lost["reason"]}: {lost["detail"]}')], 'keys': [key]}


def _call(answered: Answered) -> dict:
    outcome = answered.outcome
    end = f'{outcome.kind}: {outcome.detail}' if isinstance(outcome, Failure) else outcome.finish_reason
    tokens = f'{outcome.prompt_tokens} + {outcome.completion_tokens} tokens{", counted here" if outcome.counted else ""}'
    about = f'{answered.purpose}: {answered.model}, {tokens}, {end}'
    about += f', answered by {outcome.served_by}' if outcome.served_by else ''
    pictures = {f'{IMAGE_URL_SCHEME}{image.digest}': inline_picture(image.data) for image in answered.request.images}
    asked = [(message['role'], _rendered(message['content'], pictures)) for message in json.loads(answered.request.body)['messages']]
    thoughts = [('thoughts', [('text', outcome.reasoning)])] if outcome.reasoning else []
    return {'about': about, 'texts': [*asked, *thoughts, ('reply', [('text', outcome.text)])]}


def _rendered(content: str | list, pictures: dict[str, str]) -> list[tuple[str, str]]:
    """Return the parts of a message as they are sent: texts, and pictures at their places."""
    if isinstance(content, str):
        return [('text', content)]
    parts = []
    for part in content:
        if part['type'] == 'text':
            parts.append(('text', part['text']))
        else:
            url = part['image_url']['url']
            parts.append(('picture', pictures[url]) if pictures.get(url) else ('text', f'[picture {url[:23]}]'))
    return parts


def _cells(cost: Cost, found: Projection) -> tuple[str, ...]:
    about = '~' if cost.source in found.estimated or (cost is found.total and found.estimated) else ''
    numbers = (cost.requests, cost.rate, cost.generate, cost.judge, cost.calibrate, cost.prompt_tokens, cost.completion_tokens)
    disk = decimal(round(cost.triple_bytes + cost.reply_bytes))
    return (cost.source, f'{about}{cost.samples:,.0f}', f'{cost.previewed:,}', *(f'{number:,.0f}' for number in numbers), f'{cost.money:,.2f}',
            f'{cost.triples:,.0f}', disk)


def _looked_cells(one: Looked) -> tuple[str, ...]:
    reasons = ', '.join(f'{reason} {n:,}' for reason, n in sorted(one.reasons.items()))
    records = f'{one.records:,} of {"" if one.counted else "~"}{one.all_records:,.0f}'
    pictures = f'{one.usable:,} of {one.pictured:,}' if one.shows else '-'
    return one.source, records, f'{one.samples:,}', pictures, f'{"" if one.exact else "~"}{one.clean:,.0f}', reasons or '-'


def notes_of(found: Projection, seconds: float | None = None) -> list[str]:
    """Return what a reader of the projection should know, a sentence or two each; `seconds`: what the calls take at the pace that was seen."""
    notes = [
        f'The mix takes {"about " if found.sampled else ""}{decimal(found.mix_bytes)}; snapshots share their files with the working folder where '
        'both are on one disk, and take twice as much where they are not. Calibration is an upper bound. What this preview asked is stored: the '
        'build does not ask it again where it asks the same.'
    ]
    if seconds is not None:
        notes.append(f'At the pace of the calls made here they take about {duration(seconds)}; asked more at once, a server is faster.')
    if found.total.rate:
        notes.append('The mix is rated before triples are made of it: what is left out for its ratings asks for no triples, which is not known here.')
    if found.sampled:
        notes.append(
            'From a sample: duplicates, near-duplicate caps and contamination are left out, since only the whole mix tells them, and so these are '
            'upper bounds. Rules draw other answers from the records looked at, the build draws them from the whole mix: it may propose others for '
            'the same question, and have these judged.'
        )
    if found.estimated:
        notes.append(f'~: estimated from some records of {", ".join(found.estimated)}.')
    if found.unseen:
        notes.append(f'No sample of {", ".join(found.unseen)} was previewed: counted like the others; take a larger -n.')
    return [*notes, *(f'{told}.' for told in found.over_budget)]


def duration(seconds: float) -> str:
    """Return a time as people say it."""
    for limit, unit, name in ((90, 1, 's'), (5400, 60, 'min'), (172_800, 3600, 'h')):
        if seconds < limit:
            return f'{seconds / unit:.0f} {name}'
    return f'{seconds / 86_400:,.0f} days'


def print_projection(found: Projection, seconds: float | None = None) -> None:
    """Print the projected cost by source."""
    table = Table(title=f'the whole build, projected from {found.total.previewed} sample(s)', title_justify='left')
    for name in HEADS:
        table.add_column(name, justify='left' if name == 'source' else 'right')
    for cost in found.lines:
        if cost is found.total:
            table.add_section()
        table.add_row(*map(escape, _cells(cost, found)))
    print_table(table, columns=160)
    print('\n'.join(notes_of(found, seconds)))
