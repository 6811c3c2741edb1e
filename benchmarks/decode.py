"""Decoding 128 tokens after a prompt of 1,024, prefill, and forward/backward of 512: ours against the released attention.

Prints CPU seconds of one thread (not wall: the machine may be shared), the least of `--repeats`, and the median of the ratios
of each repeat, in which the sides take turns; they share weights, and their logits are compared first.
Run: python -m benchmarks.decode [--only Qwen2]
"""

import argparse
import time
from statistics import median

import torch

from benchmarks.released_attention import use_released_attention
from model.phantom.cache import PhantomCache
from model.phantom.config import PhantomConfig
from model.phantom.modeling import PhantomForConditionalGeneration

# Small enough for one CPU thread: 8 layers of 8 heads.
SHAPE = {
    'hidden_size': 512,
    'intermediate_size': 1408,
    'num_hidden_layers': 8,
    'num_attention_heads': 8,
    'vocab_size': 4096,
    'max_position_embeddings': 8192,
}
SIDES = {
    'InternLM2': ('InternLM2ForCausalLM', 2, 2.0),
    'Phi-3': ('Phi3ForCausalLM', 8, 2.8),
    'Qwen2': ('Qwen2ForCausalLM', 2, 5.0),
}  # name -> architecture, kv heads, ratio to reach (model/README.md, the last column of the figures)


def make(architecture: str, kv_heads: int, *, released: bool) -> PhantomForConditionalGeneration:
    """The small model with weights that do not depend on the side."""
    torch.manual_seed(0)
    llm = {**SHAPE, 'architectures': [architecture], 'num_key_value_heads': kv_heads, 'pad_token_id': 0}
    vision = {'hidden_size': 32, 'intermediate_size': 32, 'num_hidden_layers': 1, 'num_attention_heads': 2, 'image_size': 28}
    model = PhantomForConditionalGeneration(PhantomConfig(llm_config=llm, vision_config=vision, eta=1.0))
    if released:
        use_released_attention(model)
    return model.eval()


@torch.no_grad()
def decode(model: PhantomForConditionalGeneration, prompt: torch.Tensor, steps: int) -> tuple[float, float, torch.Tensor]:
    """Seconds of the prefill, seconds of the decoding, last logits."""
    cache = PhantomCache(model.language_model.model.config)
    began = time.process_time()
    token = model(input_ids=prompt, past_key_values=cache, logits_to_keep=1).logits.argmax(-1)
    prefill = time.process_time() - began
    began = time.process_time()
    for _ in range(steps):
        logits = model(input_ids=token, past_key_values=cache).logits
        token = logits.argmax(-1)
    return prefill, time.process_time() - began, logits


def step(model: PhantomForConditionalGeneration, ids: torch.Tensor) -> float:
    """Seconds of one forward and backward."""
    began = time.process_time()
    model(input_ids=ids, labels=ids).loss.backward()
    return time.process_time() - began


def measure(model: PhantomForConditionalGeneration, prompt: torch.Tensor, steps: int) -> list[float]:
    """Seconds of the prefill, of the decoding, of a forward and backward of half the prompt."""
    return [*decode(model, prompt, steps)[:2], step(model, prompt[:, : prompt.shape[1] // 2])]


def main() -> None:
    """Prints one line a decoder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--repeats', type=int, default=3)
    parser.add_argument('--steps', type=int, default=128)
    parser.add_argument('--prompt', type=int, default=1024)
    parser.add_argument('--only', choices=list(SIDES), help='one decoder')
    options = parser.parse_args()
    torch.set_num_threads(1)
    prompt = torch.randint(1, 4096, (1, options.prompt), generator=torch.Generator().manual_seed(1))
    print(f'CPU s of one thread, torch {torch.__version__}, prompt {options.prompt}, {options.steps} tokens')
    for name, (architecture, kv_heads, goal) in SIDES.items():
        if options.only not in (None, name):
            continue
        sides = [make(architecture, kv_heads, released=released) for released in (True, False)]
        logits = [decode(model, prompt, 4)[2] for model in sides]
        gap = float((logits[0] - logits[1]).abs().max())
        times = [[measure(model, prompt, options.steps) for model in sides] for _ in range(options.repeats)]
        seconds = [[min(column) for column in zip(*side, strict=True)] for side in zip(*times, strict=True)]
        ratios = [median(theirs / ours for theirs, ours in column) for column in zip(*(zip(*pair, strict=True) for pair in times), strict=True)]
        for label, index in (('prefill', 0), ('decode', 1), ('fwd+bwd', 2)):
            wanted = f' (goal {goal})' if label == 'decode' else ''
            print(f'{name:10} {label:8} released {seconds[0][index]:.3f} ours {seconds[1][index]:.3f} ratio {ratios[index]:.2f}{wanted}')
        print(f'{name:10} largest difference of logits {gap:.2g}')


if __name__ == '__main__':
    main()
