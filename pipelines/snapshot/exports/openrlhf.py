"""For OpenRLHF: Parquet of `prompt`, `chosen`, `rejected` for DPO and reward models; of a mix, `messages` for SFT, and prompts with pictures for RL.

Layouts after its README (Prepare Datasets) and code (openrlhf/datasets, 0.11.2). Its SFT and preference data read no pictures: such rows are left
out of preferences, and of a mix they stand in `prompts_SPLIT.parquet` alone, whose `images` the Ray trainers read (`--data.image_key`). Blanks around
a picture's mark are taken off by its own reader there.
"""

from collections.abc import Iterator

import pyarrow as pa

from pipelines.snapshot.exports.parts import MARKS, Export, about, answers, conversation

MESSAGES = pa.list_(pa.struct([('role', pa.string()), ('content', pa.string())]))
NO_PICTURES = 'OpenRLHF reads no pictures of preferences'


def write(job: Export) -> str:
    """Write the rows of each split and the pictures; return how to load them."""
    if job.snapshot.kind == 'triples':
        for split in job.splits():
            job.write_rows(split, _preferences(job, split), dict.fromkeys(('prompt', 'chosen', 'rejected'), MESSAGES), images=False)
        return ('```sh\nopenrlhf.cli.train_dpo --data.dataset train.parquet --data.prompt_key prompt --data.chosen_key chosen '
                '--data.rejected_key rejected --data.apply_chat_template ...\n```')  # fmt: skip
    for split in job.splits():
        job.write_rows(f'prompts_{split}', _prompts(job, split), {'prompt': MESSAGES, 'label': pa.string()})
        job.write_rows(f'sft_{split}', _texts(job, split), {'messages': MESSAGES}, images=False)
    return ('SFT, of rows without pictures, which alone it reads:\n\n'
            '```sh\nopenrlhf.cli.train_sft --data.dataset sft_train.parquet --data.input_key messages --data.apply_chat_template '
            '--data.multiturn ...\n```\n\n'
            'RL, all rows (paths of pictures are relative to this folder: run from inside it):\n\n'
            '```sh\nopenrlhf.cli.train_ppo_ray --data.prompt_dataset prompts_train.parquet --data.input_key prompt --data.label_key label '
            '--data.image_key images --data.max_images_per_prompt N --data.apply_chat_template ...\n```')  # fmt: skip


def _preferences(job: Export, split: str) -> Iterator[dict]:
    for row in job.rows(split, MARKS, no_pictures=NO_PICTURES):
        chosen, rejected = ([{'role': 'assistant', 'content': text}] for text in answers(row))
        yield {'prompt': conversation(row), 'chosen': chosen, 'rejected': rejected, 'phantom': about(row)}


def _prompts(job: Export, split: str) -> Iterator[dict]:
    for row in job.rows(split, MARKS):
        yield {'prompt': conversation(row), 'label': answers(row)[0], 'images': job.save_images(row), 'phantom': about(row)}


def _texts(job: Export, split: str) -> Iterator[dict]:
    """Yield the rows without pictures once more; they were counted among the prompts."""
    for row in job.rows(split, MARKS, counted=False):
        if not row['images']:
            yield {'messages': [*conversation(row), {'role': 'assistant', 'content': answers(row)[0]}], 'phantom': about(row)}
