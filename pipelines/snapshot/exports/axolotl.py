"""For axolotl: Parquet of `messages` for SFT with pictures, and of `messages`, `chosen`, `rejected` for DPO without.

SFT: content in parts, a picture as its `path`, several of them too (docs.axolotl.ai, "MultiModal", Dataset Format; an `images` column is not written,
for of that only the first picture is read: processing_strategies.py, 0.19.0). Preferences: `chat_template.default` with texts as content ("RLHF",
DPO); their pictures are not read (utils/data/rl.py, 0.19.0: rows become strings), so such rows are left out.
"""

from collections.abc import Iterator

import pyarrow as pa

from pipelines.snapshot.exports.parts import MARKS, Export, about, answers, conversation

PART = pa.struct([('type', pa.string()), ('text', pa.string()), ('path', pa.string())])
SEEN = pa.list_(pa.struct([('role', pa.string()), ('content', pa.list_(PART))]))
SAID = pa.struct([('role', pa.string()), ('content', pa.string())])
OF_DPO = 'rl: dpo\n'
OF_SFT = 'processor_type: AutoProcessor\nskip_prepare_dataset: true\nremove_unused_columns: false\nsample_packing: false\n'
NO_PICTURES = 'axolotl reads no pictures of preferences'


def write(job: Export) -> str:
    """Write the rows of each split and the pictures; return how to load them."""
    ranking = job.snapshot.kind == 'triples'
    for split in job.splits():
        if ranking:
            job.write_rows(split, _preferences(job, split), {'messages': pa.list_(SAID), 'chosen': SAID, 'rejected': SAID}, images=False)
        else:
            job.write_rows(split, _conversations(job, split), {'messages': SEEN}, images=False)
    kind = 'chat_template.default' if ranking else 'chat_template'
    held_out = f'test_datasets:\n{_entry("validation", kind)}' if 'validation' in job.splits() else ''
    return ('Paths of pictures are relative to this folder: run from inside it.\n\n'
            f'```yaml\n{OF_DPO if ranking else OF_SFT}datasets:\n{_entry("train", kind)}{held_out}```')


def _entry(split: str, kind: str) -> str:
    return f'  - {{path: {split}.parquet, ds_type: parquet, split: train, type: {kind}}}\n'


def _preferences(job: Export, split: str) -> Iterator[dict]:
    for row in job.rows(split, MARKS, no_pictures=NO_PICTURES):
        chosen, rejected = answers(row)
        yield {'messages': conversation(row), 'chosen': _answer(chosen), 'rejected': _answer(rejected), 'phantom': about(row)}


def _conversations(job: Export, split: str) -> Iterator[dict]:
    for row in job.rows(split, MARKS):
        paths = iter(job.save_images(row))
        yield {'messages': [{'role': message['role'], 'content': [_part(part, paths) for part in message['content']]} for message in row['messages']],
               'phantom': about(row)}


def _part(part: dict, paths: Iterator[str]) -> dict:
    return {'type': 'image', 'path': next(paths)} if part['type'] == 'image' else {'type': 'text', 'text': part['text']}


def _answer(text: str) -> dict:
    return {'role': 'assistant', 'content': text}
