"""One folder in another trainer's form, whole or not at all: rows written, rows left out with their reason, and how to read it."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

from pipelines.snapshot.exports import axolotl, jsonl, llama_factory, ms_swift, openrlhf, trl, web_dataset
from pipelines.snapshot.exports.late import CUTS, count_late, warning
from pipelines.snapshot.exports.parts import Export
from pipelines.snapshot.seal import check_room
from schemas.errors import UserError
from schemas.publish import drafted_folder, holds_something, publish_json
from schemas.refusals import refused
from schemas.snapshot import open_snapshot

TARGETS: dict[str, Callable[[Export], str]] = {
    'trl': trl.write, 'ms-swift': ms_swift.write, 'llama-factory': llama_factory.write, 'axolotl': axolotl.write, 'openrlhf': openrlhf.write,
    'webdataset': web_dataset.write, 'jsonl': jsonl.write,
}  # fmt: skip


def export_snapshot(path: Path, target: str, out: Path) -> Counter:
    """Write the snapshot at `path` to the new folder `out` in the form of `target`; return rows per split and those left out per reason.

    Raises UserError for an unknown target, for an `out` that holds anything, and for a snapshot that is not what was sealed; nothing is left then.
    """
    if target not in TARGETS:
        raise UserError(f'--to {target}: expected one of {", ".join(TARGETS)}')
    snapshot = open_snapshot(path)
    out = out.resolve()
    if holds_something(out):
        raise UserError(f'{out}: expected an empty or no folder to export to, found one that holds something; choose another --out')
    try:
        with drafted_folder(out) as draft:
            check_room(draft, sum(shard['bytes'] for shard in snapshot.manifest['shards']))
            job = Export(snapshot, draft)
            _write(job, target, out)
    except OSError as e:  # of writing: what cannot be read is told by its name
        raise refused(e, out) from e
    return job.counts


def _write(job: Export, target: str, out: Path) -> None:
    snapshot = job.snapshot
    how = TARGETS[target](job)
    late = count_late(snapshot, CUTS[target][1]) if snapshot.kind == 'triples' and target in CUTS else 0
    if late:
        job.counts['differ_late'] = late
        print(f'{out}: {warning(target, late)}')
        how = f'**{warning(target, late)}.**\n\n{how}'
    left_out = f'{job.counts["left_out"]:,} left out' + (' (see left_out.jsonl)' if job.counts['left_out'] else '')
    page = (f'# {snapshot.manifest["name"]} for {target}\n\nFrom the {snapshot.kind} snapshot `{snapshot.snapshot_id}`: '
            f'{job.counts["rows"]:,} row(s), {left_out}.\n\n{how}\n')
    (job.folder / 'README.md').write_text(page, 'utf-8')
    publish_json(job.folder / 'export.json', {'target': target, 'snapshot_id': snapshot.snapshot_id, 'kind': snapshot.kind, **job.counts})
