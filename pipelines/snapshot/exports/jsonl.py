"""Plain JSONL with every column of the snapshot, parts as they are, and pictures as files: for anything else."""

from pipelines.snapshot.exports.parts import Export
from schemas.json_text import json_line


def write(job: Export) -> str:
    """Write one JSONL per split and the pictures; return how to load them."""
    for split in job.splits():
        with open(job.folder / f'{split}.jsonl', 'w', encoding='utf-8') as out:
            for row in job.rows(split):
                out.write(json_line({**row, 'images': job.save_images(row)}))
    return ('One row per line with all columns of the snapshot. `images` holds paths relative to this folder, in the order of the image parts '
            '(`{"type": "image"}`) of the messages.\n\n'
            'Read it with a JSON reader that does not guess types: `datasets` turns columns of dates into timestamps, and does not read a file that '
            'begins with 10 MB of text-only rows. It reads the snapshot itself, or `--to trl`.')
