"""What the judge of a sealed snapshot said: of its planted cases, and of candidates that people have labelled."""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from curation.calibration.audit import GOOD, UNSURE
from curation.calibration.planted import INJECTED
from curation.verdicts.judging import Verdict, decide
from pipelines.look.audit import UNJUDGED
from pipelines.look.gallery.index import GalleryIndex
from pipelines.look.labels import read_labels
from pipelines.snapshot.mix_rows import text_of
from pipelines.triples.cases import FILE
from schemas.errors import UserError
from schemas.records import Reason
from schemas.snapshot import Snapshot

ASKED = ('case_id', 'question', 'chosen', 'candidate')  # a planted case is the same only with the same words
NOBODY = (Reason.GIVEN_UP, Reason.SERVER_FAILED)  # the server's failing says nothing of the judge


@dataclass(frozen=True, slots=True)
class Judged:
    """A case with a judge's score, and whether the judge accepts it at the margin of its recipe."""

    sample_id: str
    source: str
    good: bool
    score: float | None
    accepts: bool
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Spent:
    """What one verdict takes in the mean; None where the replies are gone or nothing has a price."""

    requests: float
    prompt_tokens: float | None
    completion_tokens: float | None
    money: float | None


Cases = dict[tuple[str, ...], Judged]  # by id and what was asked


def planted_cases(snapshot: Snapshot) -> tuple[Cases, dict[tuple[str, ...], dict]]:
    """Return the planted cases by what was asked, and the rows they come from; raises UserError where the snapshot holds none.

    Answers that ask for a verdict are none of them: what they ask for hangs on the judge's mode.
    """
    entry = next((extra for extra in snapshot.manifest.get('extras', []) if extra['file'] == FILE), None)
    if entry is None:
        raise UserError(f'{snapshot.path}: expected planted cases ({FILE}), found none; its recipe asks no model judge, or it was sealed before they '
                        'were kept: `phantom select` with its recipe, --work and a new --out seals it again without asking anybody')
    told = [row for row in _read(snapshot, entry) if row['plant'] != INJECTED]
    rows: dict[tuple[str, ...], dict] = {tuple(row[name] for name in ASKED): row for row in told}
    margin = snapshot.manifest['recipe']['judge']['margin']
    return {key: _planted(row, margin) for key, row in rows.items() if row['reason'] not in NOBODY}, rows


def _planted(row: dict, margin: float) -> Judged:
    reason = Reason(row['reason']) if row['reason'] else None
    verdict = Verdict(row['mode'], row['score'], tuple(json.loads(row['scores']).items()), reason, row['detail'])
    return Judged(row['sample_id'], row['source'], row['accept'], row['score'], decide(verdict, margin=margin) is None)


def spent_on(snapshot: Snapshot, rows: list[dict]) -> Spent:
    """Return what a verdict of these planted cases took in the mean, at the prices of the recipe."""
    n = max(1, len(rows))
    requests = sum(row['requests'] for row in rows) / n
    if any(row['prompt_tokens'] is None for row in rows):
        return Spent(requests, None, None, None)
    prompt, completion = (sum(row[name] for row in rows) / n for name in ('prompt_tokens', 'completion_tokens'))
    recipe = snapshot.manifest['recipe']
    model = recipe['models'].get(recipe['judge']['model'], {})
    prices = model.get('price_prompt', 0), model.get('price_completion', 0)
    return Spent(requests, prompt, completion, (prompt * prices[0] + completion * prices[1]) / 1e6 if any(prices) else None)


def labels_of(path: Path, snapshots: tuple[Snapshot, Snapshot]) -> tuple[Snapshot, dict[str, str]]:
    """Return which of two snapshots a labelled CSV was drawn from, and its labels by id; raises UserError for rows that cannot be used."""
    faults = []
    for snapshot in snapshots:
        try:
            rows = read_labels(path, snapshot.snapshot_id[:12])
        except UserError as e:
            faults.append(e)
        else:
            return snapshot, {row['id']: row['label'].strip() for row in rows if row['label'].strip()}
    raise faults[0]


def labelled_cases(snapshot: Snapshot, labels: dict[str, str], weights: dict[str, float]) -> Cases:
    """Return the labelled candidates that the snapshot's model judge was asked about, by id and answers; those labelled `unsure` are left out."""
    recipe, judge = snapshot.manifest['recipe'], snapshot.manifest['calibration']['judge']
    margin = recipe['judge']['margin']
    found: Cases = {}
    sure = {name: label == GOOD for name, label in labels.items() if label != UNSURE}
    for row in _rows_of(snapshot, sorted(sure)):
        if row['judge'] == judge and row['reason'] not in NOBODY:
            accepts = row['score'] is not None and row['score'] > margin and row['reason'] != Reason.ORDER_DISAGREEMENT
            key = (row['id'], row['chosen'], row['rejected'])
            found[key] = Judged(row['sample_id'], row['source'], sure[row['id']], row['score'], accepts, weights.get(row['id'], 1.0))
    return found


def _rows_of(snapshot: Snapshot, ids: list[str]) -> list[dict]:
    """Return id, answers, judge, score and reason of these candidates, kept or rejected."""
    found = []
    names = ['triple_id', 'sample_id', 'source', 'judge', 'score', 'chosen', 'rejected']
    for shard in snapshot.manifest['shards']:
        for row in _read(snapshot, shard, names, [('triple_id', 'in', ids)]) if ids else ():
            texts = {side: text_of(row[side][0]) for side in ('chosen', 'rejected')}
            found.append({**row, **texts, 'id': row['triple_id'], 'reason': ''})
    for part in snapshot.manifest['rejections']:
        filters = [('unit', '=', 'candidate'), ('id', 'in', ids)]
        for row in _read(snapshot, part, None, filters) if ids else ():
            told = {**dict.fromkeys(('sample_id', 'judge', 'score', 'chosen', 'rejected')), **json.loads(row['content'] or '{}')}
            found.append({**told, 'id': row['id'], 'source': row['source'], 'reason': row['reason']})
    return found


def _read(snapshot: Snapshot, entry: dict, columns: list[str] | None = None, filters: list[tuple] | None = None) -> list[dict]:
    """Return the rows of a file of the manifest, its bytes proven."""
    with snapshot.proven(entry) as file:
        try:
            return pq.read_table(file, columns=columns, filters=filters).to_pylist()
        except pa.ArrowException as e:
            raise UserError(f'{file.path}: expected rows of a snapshot, found: {str(e)[:200]}; `phantom verify` names the faults') from e


def weights_of(snapshot: Snapshot, labels: dict[str, str]) -> dict[str, float]:
    """Return how many candidates each labelled one stands for: they were drawn half from what the judge accepted, half from what it refused."""
    index = GalleryIndex(snapshot.path)
    try:
        strata, decisions = index.strata(UNJUDGED), index.decisions(sorted(labels), UNJUDGED)
    finally:
        index.close()
    drawn = Counter(stratum for name, stratum in decisions.items() if labels[name] != UNSURE)
    return {name: strata[stratum] / drawn[stratum] for name, stratum in decisions.items() if drawn[stratum]}
