"""For LLaMA-Factory: `dataset_info.json` and the rows of each split in its sharegpt form (`ranking: true` for preferences).

Roles are its defaults, human and gpt; a preference row's conversation ends with the question.
"""

from collections.abc import Iterator

import pyarrow as pa

from pipelines.snapshot.exports.parts import MARKS, Export, about, answers, conversation
from schemas.publish import publish_json

ROLES = {'user': 'human', 'assistant': 'gpt', 'system': 'system'}
OWN_MARKS = (*MARKS, '{{image}}', '{{video}}', '{{audio}}')  # what it writes for a mark before it counts tokens (data/mm_plugin.py, 0.9.5)
TURN = pa.struct([('from', pa.string()), ('value', pa.string())])


def write(job: Export) -> str:
    """Write the rows of each split, the pictures and dataset_info.json; return how to load them."""
    ranking = job.snapshot.kind == 'triples'
    base = f'phantom_{job.snapshot.kind}'
    described = {}
    for split in job.splits():
        job.write_rows(split, _rows(job, split), {'conversations': pa.list_(TURN), **({'chosen': TURN, 'rejected': TURN} if ranking else {})})
        columns = {'messages': 'conversations', 'images': 'images', **({'chosen': 'chosen', 'rejected': 'rejected'} if ranking else {})}
        described[f'{base}_{split}'] = {'file_name': f'{split}.parquet', 'formatting': 'sharegpt', 'columns': columns,
                                        **({'ranking': True} if ranking else {})}
    publish_json(job.folder / 'dataset_info.json', described)
    held_out = f'eval_dataset: {base}_validation\n' if f'{base}_validation' in described else ''
    return ('```yaml\ndataset_dir: path/to/this/folder\nmedia_dir: path/to/this/folder\n'
            f'dataset: {base}_train\n{held_out}stage: {"dpo" if ranking else "sft"}\n```')


def _rows(job: Export, split: str) -> Iterator[dict]:
    for row in job.rows(split, OWN_MARKS):
        yield {**_said(row), 'images': job.save_images(row), 'phantom': about(row)}


def _said(row: dict) -> dict:
    said = [_turn(message['role'], message['content']) for message in conversation(row)]
    chosen, *rejected = answers(row)
    if rejected:
        return {'conversations': said, 'chosen': _turn('assistant', chosen), 'rejected': _turn('assistant', rejected[0])}
    return {'conversations': [*said, _turn('assistant', chosen)]}


def _turn(role: str, content: str) -> dict:
    return {'from': ROLES[role], 'value': content}
