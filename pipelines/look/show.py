"""What a build made, from its snapshots alone: the books, the judge's calibration, who answered, what it cost, and what to do next."""

import math
import shlex
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.markup import escape

from curation.calibration.planted import Rate, SourceReport
from pipelines.snapshot.agreed import agreement_lines, agreement_table
from pipelines.snapshot.copies import copies_table
from pipelines.snapshot.costs import cost_table, served_table
from pipelines.snapshot.own_prompts import own_prompts
from pipelines.snapshot.ratings import ratings_table, told_report, trust_table
from pipelines.snapshot.report import books_table, calibration_table, told_injections
from schemas.accounting import Line
from schemas.errors import UserError
from schemas.json_text import print_json
from schemas.snapshot import Snapshot, did_you_mean, find_build, open_snapshot, sealed_in
from schemas.telling import print_table


def show_build(folder: Path, *, as_json: bool = False) -> None:
    """Print the snapshots of the build that `folder` is or belongs to; raises UserError where there is none."""
    build = find_build(folder)
    found = [open_snapshot(path) for path in sealed_in(build)]
    if not found:
        again = f'run `phantom build RECIPE --out {shlex.quote(str(build))}` to the end'
        raise UserError(f'{build}: expected a sealed mix/ or triples/, found none; {again}{did_you_mean(build)}')
    if as_json:
        print_json({'build': str(build), 'snapshots': [_told(snapshot) for snapshot in found]})
        return
    for snapshot in found:
        print_table(books_table(f'{escape(str(snapshot.path))}: {_rows(snapshot):,} rows, snapshot {snapshot.snapshot_id[:12]}', _books(snapshot)))
        judged = snapshot.manifest.get('calibration', {'reports': [], 'accepted_faults': {}})
        if judged['reports']:
            print_table(calibration_table([_report(told) for told in judged['reports']], judged['accepted_faults'], judged.get('not_asked', ())))
            for line in told_injections([_report(told) for told in judged['reports']]):
                print(line)
        if rated := snapshot.manifest.get('ratings'):
            print_table(ratings_table(rated['summary']))
            if rated['reports']:
                print_table(trust_table([told_report(report) for report in rated['reports']]))
            for fault in rated['refused']:
                print(f'rate: {fault}')
        if (agreed := agreement_table(snapshot.manifest)) is not None:
            print_table(agreed)
        for line in agreement_lines(snapshot.manifest):
            print(line)
        if copies := snapshot.manifest.get('copies'):
            print_table(copies_table(copies))
        if served := snapshot.manifest.get('served_by'):
            print_table(served_table(served))
        if (cost := snapshot.manifest.get('cost')) and cost['total']['requests']:
            print_table(cost_table(cost))
        for prompt in own_prompts(snapshot.manifest.get('recipe', {})) if snapshot.kind == 'triples' else ():
            print(f'prompt of the recipe, {prompt}')
    last, checkpoint = shlex.quote(str(found[-1].path)), shlex.quote(str(build / 'checkpoint'))
    print(f"""
next: less {last}/README.md                              the card: sources, reasons, calibration
      phantom gallery {last}""")
    if found[-1].kind == 'triples':
        print(f'      phantom train --snapshot {last} --preset tiny --max-steps 60 --out {checkpoint}')


def _told(snapshot: Snapshot) -> dict[str, Any]:
    names = ('kind', 'name', 'snapshot_id', 'sealed_at', 'calibration', 'cost', 'served_by', 'ratings', 'contradictions', 'near_texts', 'copies')
    named = {name: snapshot.manifest.get(name) for name in names}
    prompts = [asdict(prompt) for prompt in own_prompts(snapshot.manifest.get('recipe', {}))]
    return {'path': str(snapshot.path), **named, 'rows': _rows(snapshot), 'books': snapshot.manifest['yield'], 'prompts': prompts}


def _rows(snapshot: Snapshot) -> int:
    return sum(shard['rows'] for shard in snapshot.manifest['shards'])


def _books(snapshot: Snapshot) -> list[Line]:
    return [Line(**line) for line in snapshot.manifest['yield']]


def _report(told: dict) -> SourceReport:
    """Return a report from the manifest, where a number that could not be told is null."""
    values: dict[str, Any] = {name: math.nan if value is None else value for name, value in told.items()}
    rates = {name: Rate(**value) for name, value in told.items() if isinstance(value, dict)}
    return SourceReport(**{**values, **rates})
