"""Real candidates to label by hand, and what the labels say of the judge. Who labels never sees what the judge decided."""

import csv
import hashlib
import math
import shlex
from dataclasses import asdict
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from curation.calibration.audit import LABELS, Estimate, SourceAudit, allot, lottery, measure
from pipelines.look.gallery.entry import entry
from pipelines.look.gallery.index import GalleryIndex
from pipelines.look.labels import read_labels
from pipelines.look.pages import render
from pipelines.snapshot.inline_picture import inline_picture
from schemas.errors import UserError
from schemas.publish import drafted, holds_something, publish_bytes, publish_json
from schemas.records import Reason
from schemas.snapshot import open_snapshot
from schemas.telling import print_table

# Rejected, but not because the judge (rules or model) refused: there was nothing to judge, nobody to ask, or no room.
UNJUDGED = tuple(str(reason) for reason in (
    Reason.NO_NEGATIVE, Reason.UNPARSABLE_REPLY, Reason.REPLY_TOO_LONG, Reason.CUT_REPLY, Reason.REFUSED_REPLY, Reason.SERVER_FAILED,
    Reason.DUPLICATE_CANDIDATE, Reason.GIVEN_UP, Reason.SURPLUS, Reason.OVER_QUOTA, Reason.CANNOT_TELL, Reason.DIFFERS_LATE,
    Reason.MASS_ANSWER))  # fmt: skip
COLUMNS = ('snapshot', 'id', 'source', 'question', 'chosen', 'candidate', 'label')
FORMULA = ('=', '+', '-', '@', '\t', '\r')  # a cell that begins so is run by spreadsheets (OWASP, CSV injection)


def audit_judge(snapshot: Path, n: int, out: Path | None, labels: Path | None) -> None:
    """Read `labels` back and print what they say, or, without any, write the page to label; raises UserError where neither place is named."""
    if labels is not None:
        refuse_no_file(out)
        print_audit(*read_audit(snapshot, labels), out)
        return
    if out is None:
        raise UserError('audit: expected --out DIR (to make the page) or --labels FILE (to read it back), found neither')
    then = f'phantom audit {shlex.quote(str(snapshot))} --labels {shlex.quote(f"{out}/labels.csv")}'
    print(f'{out}/audit.html: {write_audit(snapshot, n, out)} candidate(s) to label; then: {then}')


def refuse_no_file(out: Path | None) -> None:
    """Raise UserError where a JSON file that was asked for cannot lie: it is a folder, or in none."""
    if out is not None and (out.is_dir() or not out.parent.is_dir()):
        found = 'a folder' if out.is_dir() else f'no folder {out.parent}'
        raise UserError(f'--out {out}: expected the name of a JSON file, found {found}; name one such as compared.json in a folder that is there')


def write_audit(snapshot: Path, n: int, out: Path) -> int:
    """Write `audit.html` and `labels.csv` with a stratified sample of `n` judged candidates to the new folder `out`; return how many."""
    found = open_snapshot(snapshot, 'triples')  # a mix has no judge
    if holds_something(out):
        raise UserError(f'{out}: expected an empty or no folder for the audit, found one that holds something (labels?); choose another --out')
    index = GalleryIndex(snapshot)
    try:
        given = allot(index.strata(UNJUDGED), n)
        drawn = sorted((d for stratum, k in sorted(given.items()) for d in index.draw(stratum, k, UNJUDGED)), key=_by_lot)
        items = [(candidate, shown) for view, number, candidate in drawn if (shown := entry(index, None, view, number)) is not None]
        short = found.snapshot_id[:12]
        pictures = {image['id']: _picture(index, image) for _, shown in items for image in shown['images']}
    finally:
        index.close()
    out.mkdir(parents=True, exist_ok=True)
    nonce = lottery(short).hex()[:32]
    page = render('audit.html', nonce=nonce, snapshot=short, name=found.manifest['name'], candidates=items, pictures=pictures)
    publish_bytes(out / 'audit.html', page.encode())
    with drafted(out / 'labels.csv') as draft, open(draft, 'w', newline='', encoding='utf-8') as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for candidate, shown in items:
            texts = (shown['facts'].get('source', ''), _question(shown), shown['chosen'], shown['rejected'])
            writer.writerow([short, candidate, *(_harmless(str(text)) for text in texts), ''])
    return len(items)


def _by_lot(drawn: tuple[str, int, str]) -> bytes:
    return hashlib.sha256(lottery(drawn[2])).digest()  # another order than that of the draw


def _question(shown: dict) -> str:
    return '\n'.join(part or '<image>' for turn in shown['turns'] for part in turn['parts'])


def _picture(index: GalleryIndex, image: dict) -> str:
    data = index.picture(image['id']) if image['here'] else None
    return inline_picture(data) if data else ''


def _harmless(text: str) -> str:
    return f"'{text}" if text.startswith(FORMULA) else text


def read_audit(snapshot: Path, labels: Path) -> tuple[list[SourceAudit], int]:
    """Return the audit by source, and how many rows have no label; raises UserError listing rows that cannot be used."""
    short = open_snapshot(snapshot).snapshot_id[:12]
    rows = read_labels(labels, short)
    given = {row['id']: row['label'] for row in rows if row['label']}
    index = GalleryIndex(snapshot)
    try:
        decisions = index.decisions(sorted(given), UNJUDGED)
        sizes = index.strata(UNJUDGED)
    finally:
        index.close()
    strange = [name for name in given if name not in decisions]
    if strange:
        raise UserError(f'{labels}: expected ids of judged candidates of {snapshot}, found {len(strange)} others, the first {strange[0]!r}; '
                        'were ids changed? a spreadsheet may drop zeros in front')
    if not given:
        raise UserError(f'{labels}: expected labels, found none; write one of {", ".join(LABELS)} in the column label')
    return measure(sizes, [(decisions[name], label) for name, label in sorted(given.items())]), len(rows) - len(given)


def print_audit(found: list[SourceAudit], unlabelled: int, out: Path | None) -> None:
    """Print the audit as a table; with `out` write it as JSON, too."""
    table = Table(title='the judge against people (95 % intervals)', title_justify='left')
    for name in ('source', 'accepted', 'refused', 'labels', 'unsure', 'precision', 'good among refused', 'recall'):
        table.add_column(name, justify='left' if name == 'source' else 'right')
    for line in found:
        table.add_row(escape(line.source), f'{line.accepted:,}', f'{line.refused:,}', str(line.precision.n + line.lost.n), str(line.unsure),
                      *map(_shown, (line.precision, line.lost, line.recall)))
    print_table(table)
    print('precision: accepted candidates that people call good triples; recall: good candidates that were accepted '
          f'(its interval joins the worst of both sides); {unlabelled} row(s) without a label')
    if out is not None:
        publish_json(out, {'unlabelled': unlabelled, 'sources': [asdict(line) for line in found]})


def _shown(estimate: Estimate) -> str:
    return '' if math.isnan(estimate.value) else f'{estimate.value:.0%} ({estimate.low:.0%}-{estimate.high:.0%})'
