"""A PO step (chosen and rejected behind one prompt, one pass) and a concatenated PO step, against an SFT step on the chosen.

Prompt of 1,024 tokens with an image, answers of 128; forward, loss and backward with everything trained. CPU seconds of one
thread, the minimum of `--repeats`. Losses of both PO forms are compared first. Run: python -m benchmarks.po_step
"""

import argparse
import time
from collections.abc import Callable

import torch

from benchmarks.decode import SHAPE
from model.phantom.config import PhantomConfig
from model.phantom.modeling import PhantomForConditionalGeneration
from model.training.branches import EncodedRow, branch_logps, collate
from model.training.losses import po_terms, sft_loss, token_logps

IMAGE_TOKEN = 4000
PROMPT, ANSWER = 1024, 128  # tokens
GOAL = 1.25  # times the SFT step; a concatenated batch of chosen and rejected costs 2


def make_model() -> PhantomForConditionalGeneration:
    """Qwen2-type decoder of 8 layers and a small encoder of one 448-pixel tile: 256 image tokens."""
    torch.manual_seed(0)
    llm = {**SHAPE, 'architectures': ['Qwen2ForCausalLM'], 'num_key_value_heads': 2}
    vision = {'hidden_size': 128, 'intermediate_size': 512, 'num_hidden_layers': 4, 'num_attention_heads': 4}
    config = PhantomConfig(llm_config=llm, vision_config=vision, image_token_index=IMAGE_TOKEN, eta=1.0)
    return PhantomForConditionalGeneration(config)


def make_row() -> EncodedRow:
    """A prompt with an image and two answers."""
    generator = torch.Generator().manual_seed(1)
    words = torch.randint(1, IMAGE_TOKEN, (PROMPT - 256 + 2 * ANSWER,), generator=generator).tolist()
    prompt, answers = words[: PROMPT - 256], words[PROMPT - 256 :]
    tiles = torch.randn(1, 3, 448, 448, generator=generator)
    return EncodedRow(
        (*prompt[:10], *[IMAGE_TOKEN] * 256, *prompt[10:]), (tuple(answers[:ANSWER]), tuple(answers[ANSWER:])), tiles
    )


def sft(model: PhantomForConditionalGeneration, row: EncodedRow) -> torch.Tensor:
    """SFT loss on the chosen answer alone."""
    batch = collate([EncodedRow(row.prompt, row.answers[:1], row.tiles)], pad_id=0)
    return sft_loss(branch_logps(model, batch)[:, 0], batch.targets[:, 0])


def po_one_pass(model: PhantomForConditionalGeneration, row: EncodedRow) -> torch.Tensor:
    """SFT + PO loss with both answers behind one prompt."""
    batch = collate([row], pad_id=0)
    logps = branch_logps(model, batch)
    return sft_loss(logps[:, 0], batch.targets[:, 0]) + po_terms(logps, batch.targets)[0].mean()


def po_concatenated(model: PhantomForConditionalGeneration, row: EncodedRow) -> torch.Tensor:
    """The same loss from two whole sequences, as preference trainers usually have it."""
    ids = torch.tensor([[*row.prompt, *answer] for answer in row.answers])
    places = torch.arange(PROMPT - 1, PROMPT + ANSWER - 1).expand(2, -1)
    pixels = torch.cat([row.tiles, row.tiles])
    logps = token_logps(model(input_ids=ids, pixel_values=pixels, logits_at=places).logits, ids[:, PROMPT:])
    targets = ids[None, :, PROMPT:]
    return -logps[0].mean() + po_terms(logps[None], targets)[0].mean()


def seconds(loss: Callable, model: PhantomForConditionalGeneration, row: EncodedRow) -> float:
    """CPU seconds of one forward and backward."""
    model.zero_grad()
    began = time.process_time()
    loss(model, row).backward()
    return time.process_time() - began


def main() -> None:
    """Prints the three times and their ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--repeats', type=int, default=4)
    repeats = parser.parse_args().repeats
    torch.set_num_threads(1)
    model, row = make_model(), make_row()
    with torch.no_grad():
        gap = abs(float(po_one_pass(model, row)) - float(po_concatenated(model, row)))
    times = {name: [] for name in ('sft', 'one pass', 'concatenated')}
    for _ in range(repeats):  # in turns, so that a busy machine slows all three alike
        for name, loss in zip(times, (sft, po_one_pass, po_concatenated), strict=True):
            times[name].append(seconds(loss, model, row))
    best = {name: min(values) for name, values in times.items()}
    print('CPU s of one thread: ' + ', '.join(f'{name} {value:.3f}' for name, value in best.items()))
    print(f'PO one pass / SFT {best["one pass"] / best["sft"]:.2f} (goal {GOAL}), concatenated / SFT '
          f'{best["concatenated"] / best["sft"]:.2f}; losses differ by {gap:.1e}')


if __name__ == '__main__':
    main()
