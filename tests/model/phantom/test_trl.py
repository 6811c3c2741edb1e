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
