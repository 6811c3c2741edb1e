"""For ms-swift: rows of `messages`, `images` (paths) and, for preferences, `rejected_response`.

Layout after its Custom-dataset page: plain-text contents, `<image>` where a picture stands, the chosen answer is the last message.
"""

from collections.abc import Iterator

import pyarrow as pa

from pipelines.snapshot.exports.parts import MARKS, Export, about, answers, conversation

# In a row without pictures it opens whatever file a text names between these (swift/template/base.py, 4.6.0).
OWN_MARKS = (*MARKS, '<img>')
MESSAGES = pa.list_(pa.struct([('role', pa.string()), ('content', pa.string())]))


def write(job: Export) -> str:
    """Write the rows of each split and the pictures; return how to load them."""
    ranking = job.snapshot.kind == 'triples'
    columns = {'messages': MESSAGES, **({'rejected_response': pa.string()} if ranking else {})}
    held_out = ' --val_dataset validation.parquet' if 'validation' in job.splits() else ''
    for split in job.splits():
        job.write_rows(split, _rows(job, split), columns)
    verb = 'rlhf --rlhf_type dpo' if ranking else 'sft'
    return ('Image paths are relative to this folder: run from inside it, or set `ROOT_IMAGE_DIR` to it.\n\n'
            f'```sh\ncd path/to/this/folder\nswift {verb} --dataset train.parquet{held_out} --strict true --model ...\n```\n\n'
            '`--strict true` matters: by default ms-swift drops rows it cannot read without a word.')


def _rows(job: Export, split: str) -> Iterator[dict]:
    for row in job.rows(split, OWN_MARKS):
        chosen, *rejected = answers(row)
        line = {'messages': [*conversation(row), {'role': 'assistant', 'content': chosen}], 'images': job.save_images(row), 'phantom': about(row)}
        yield {**line, 'rejected_response': rejected[0]} if rejected else line
