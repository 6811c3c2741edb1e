"""TRL's trainers take a checkpoint with pictures as they take transformers' own vision-language models."""

import math

import pytest
import torch
from datasets import Dataset
from transformers import AutoModelForImageTextToText, AutoProcessor

from tests.model.phantom.tiny import picture, save_tiny
from tests.model.training.snapshots import message


@pytest.mark.integration
@pytest.mark.parametrize('kind', ['DPO', 'SFT'])
def test_trl_trains_on_pictures(tmp_path, kind):
    import trl

    folder = save_tiny(tmp_path / 'ckpt')
    model, processor = AutoModelForImageTextToText.from_pretrained(folder), AutoProcessor.from_pretrained(folder)
    rows = {
        'images': [[picture(index)] for index in range(4)],
        'prompt': [message('user', f'Picture {index}?', 1) for index in range(4)],
        'chosen': [message('assistant', 'yes')] * 4,
        'rejected': [message('assistant', 'no, not at all')] * 4,
    }
    if kind == 'SFT':
        rows = {'images': rows['images'], 'prompt': rows['prompt'], 'completion': rows['chosen']}
    settings = {'max_steps': 1, 'per_device_train_batch_size': 4, 'use_cpu': True, 'bf16': False, 'gradient_checkpointing': False, 'max_length': None}
    arguments = getattr(trl, f'{kind}Config')(output_dir=str(tmp_path / 'out'), report_to=[], save_strategy='no', logging_steps=1, **settings)
    trainer = getattr(trl, f'{kind}Trainer')(model=model, processing_class=processor, train_dataset=Dataset.from_dict(rows), args=arguments)
    expected = math.log(2) if kind == 'DPO' else answer_loss(model, processor, rows)
    trainer.train()
    assert trainer.state.log_history[0]['loss'] == pytest.approx(expected, abs=1e-4)


@torch.no_grad()
def answer_loss(model, processor, rows) -> float:
    """Mean over the answers' tokens and their ends, row by row by the processor that trains."""
    losses = []
    for images, prompt, answer in zip(rows['images'], rows['prompt'], rows['completion'], strict=True):
        tiles = processor.tile(images[0])
        front, back = processor.encode_prompt(prompt, [len(tiles)]), processor.encode_answer(answer)
        labels = torch.tensor([[-100] * len(front) + back])
        losses.append(model(input_ids=torch.tensor([front + back]), pixel_values=tiles, labels=labels).loss.item())
    return sum(losses) / len(losses)


@pytest.mark.integration
def test_dpo_without_sft_takes_the_steps_of_trl(tmp_path):
    """Three updates by TRL's DPOTrainer and by the study's DPO, the same rows in every step: the same losses."""
    import trl

    from benchmarks.peers import PreferenceAlone
    from model.training.branches import EncodedRow
    from model.training.settings import TrainSettings

    folder = save_tiny(tmp_path / 'ckpt')
    model, processor = AutoModelForImageTextToText.from_pretrained(folder), AutoProcessor.from_pretrained(folder)
    pictures, prompts = [picture(index) for index in range(4)], [message('user', f'Picture {index}?', 1) for index in range(4)]
    answers = [message('assistant', words) for words in ('yes', 'no, not at all')]
    rows = {'images': [[shown] for shown in pictures], 'prompt': prompts, 'chosen': [answers[0]] * 4, 'rejected': [answers[1]] * 4}
    settings = {'max_steps': 3, 'per_device_train_batch_size': 4, 'use_cpu': True, 'bf16': False, 'gradient_checkpointing': False, 'max_length': None,
                'learning_rate': 1e-3, 'lr_scheduler_type': 'constant', 'weight_decay': 0.0}  # fmt: skip
    arguments = trl.DPOConfig(output_dir=str(tmp_path / 'out'), report_to=[], save_strategy='no', logging_steps=1, **settings)
    trainer = trl.DPOTrainer(model=model, processing_class=processor, train_dataset=Dataset.from_dict(rows), args=arguments)
    trainer.train()
    theirs = [record['loss'] for record in trainer.state.log_history if 'loss' in record]

    ours, reference = (AutoModelForImageTextToText.from_pretrained(folder) for _ in range(2))
    encoded = [
        EncodedRow(tuple(processor.encode_prompt(prompt, [len(tiles)])), tuple(tuple(processor.encode_answer(answer)) for answer in answers), tiles)
        for prompt, tiles in ((prompt, processor.tile(shown)) for prompt, shown in zip(prompts, pictures, strict=True))
    ]
    chosen = TrainSettings(trainable=('all',), batch_rows=4, micro_batch_rows=4, precision='fp32', preference='dpo', po_weight=1.0)
    stepper = PreferenceAlone(ours, processor, chosen, resume=None, reference=reference)
    assert [stepper.step(encoded, step=step, rate=1e-3)['loss'] for step in (1, 2, 3)] == pytest.approx(theirs, abs=2e-4)
    assert theirs[2] < theirs[0]
