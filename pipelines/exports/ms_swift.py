"""For ms-swift: JSONL of `messages`, `images` (paths) and, for preferences, `rejected_response`.

Layout after its Custom-dataset page: plain-text contents, `<image>` where a picture stands, the chosen answer is the last message.
"""

from pipelines.exports.parts import Export, about, answers, conversation, json_line


def write(job: Export) -> str:
    """Write one JSONL per split and the pictures; return how to load them."""
    for split in job.splits():
        with open(job.folder / f'{split}.jsonl', 'w', encoding='utf-8') as out:
            for row in job.rows(split, says_marks=True):
                chosen, *rejected = answers(row)
                line = {'messages': [*conversation(row), {'role': 'assistant', 'content': chosen}], 'images': job.save_images(row)}
                out.write(json_line({**line, **({'rejected_response': rejected[0]} if rejected else {}), 'phantom': about(row)}))
    verb = 'rlhf --rlhf_type dpo' if job.snapshot.kind == 'triples' else 'sft'
    return ('Image paths are relative to this folder: run from inside it, or set `ROOT_IMAGE_DIR` to it.\n\n'
            f'```sh\ncd path/to/this/folder\nswift {verb} --dataset train.jsonl --strict true --model ...\n```\n\n'
            '`--strict true` matters: by default ms-swift drops rows it cannot read without a word.')
