"""For LLaMA-Factory: `dataset_info.json` and one JSONL per split in its sharegpt form (`ranking: true` for preferences).

Roles are its defaults, human and gpt; a preference row's conversation ends with the question.
"""

from pipelines.exports.parts import Export, about, answers, conversation, json_line
from pipelines.tables import write_json

ROLES = {'user': 'human', 'assistant': 'gpt', 'system': 'system'}


def write(job: Export) -> str:
    """Write one JSONL per split, the pictures and dataset_info.json; return how to load them."""
    ranking = job.snapshot.kind == 'triples'
    base = f'phantom_{job.snapshot.kind}'
    described = {}
    for split in job.splits():
        with open(job.folder / f'{split}.jsonl', 'w', encoding='utf-8') as out:
            for row in job.rows(split, says_marks=True):
                out.write(json_line({**_said(row), 'images': job.save_images(row), 'phantom': about(row)}))
        columns = {'messages': 'conversations', 'images': 'images', **({'chosen': 'chosen', 'rejected': 'rejected'} if ranking else {})}
        described[f'{base}_{split}'] = {'file_name': f'{split}.jsonl', 'formatting': 'sharegpt', 'columns': columns,
                                        **({'ranking': True} if ranking else {})}
    write_json(job.folder / 'dataset_info.json', described)
    return ('```yaml\n'
            f'dataset_dir: path/to/this/folder\nmedia_dir: path/to/this/folder\ndataset: {base}_train\nstage: {"dpo" if ranking else "sft"}\n```')


def _said(row: dict) -> dict:
    said = [_turn(message['role'], message['content']) for message in conversation(row)]
    chosen, *rejected = answers(row)
    if rejected:
        return {'conversations': said, 'chosen': _turn('assistant', chosen), 'rejected': _turn('assistant', rejected[0])}
    return {'conversations': [*said, _turn('assistant', chosen)]}


def _turn(role: str, content: str) -> dict:
    return {'from': ROLES[role], 'value': content}
