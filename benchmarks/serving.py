"""New tokens a second of 32 requests: the project's own `generate` in batches of 32 against an unmodified vLLM, in turns, a process each.

Run: python -m benchmarks.serving CHECKPOINT [--images] [--rounds 2] [--threads 1]. float32, greedy, 64 new tokens each, questions of 5 to 400
characters, ordered by length for our own (little padding). By the clock and by the processor time, which other work on the machine touches less.
"""

import argparse
import io
import os
import random
import subprocess
import sys
import time
from pathlib import Path

from PIL import Image, ImageDraw

REQUESTS, NEW = 32, 64
SAID = 'what colour is the second shape from the left and how many of them are red or larger than the blue circle'


def cases(images: bool) -> list[tuple[str, list[bytes]]]:
    """Questions, each with a picture of its own or none."""
    rng = random.Random(5)
    texts = [' '.join(rng.choice(SAID.split()) for _ in range(rng.choice((1, 3, 8, 20, 45, 75)))) for _ in range(REQUESTS)]
    return [(text, [picture(rng)] if images else []) for text in sorted(texts, key=len)]


def picture(rng: random.Random) -> bytes:
    """A PNG of ellipses, of one tile or more."""
    size = rng.choice([(112, 112), (300, 110), (500, 160), (640, 480)])
    image = Image.new('RGB', size, (rng.randrange(256), 250, 240))
    for _ in range(6):
        x, y = rng.randrange(size[0]), rng.randrange(size[1])
        ImageDraw.Draw(image).ellipse((x, y, x + size[0] // 3, y + size[1] // 4), fill=tuple(rng.randrange(256) for _ in range(3)))
    out = io.BytesIO()
    image.save(out, 'PNG')
    return out.getvalue()


def ours(checkpoint: Path, asked: list, threads: int) -> None:
    """Answers by `generate`, and says how long they took."""
    import torch

    from model.phantom.build import load_model

    torch.set_num_threads(threads)
    model, processor = load_model(checkpoint)
    model.eval()
    model.generation_config.eos_token_id = None
    encode = getattr(processor, 'encode_questions', processor)
    for _ in range(2):
        began = time.perf_counter(), time.process_time()
        inputs = encode([text for text, _ in asked], [images for _, images in asked])
        model.generate(**inputs, do_sample=False, max_new_tokens=NEW)
        say('generate', began)


def theirs(checkpoint: Path, asked: list) -> None:
    """Answers by vLLM, and says how long they took."""
    from vllm import LLM, SamplingParams

    llm = LLM(str(checkpoint), dtype='float32', enforce_eager=True, max_model_len=1024, max_num_seqs=REQUESTS, enable_prefix_caching=False, seed=0)
    shown = [[{'type': 'image_pil', 'image_pil': Image.open(io.BytesIO(data))} for data in images] for _, images in asked]
    talks = [[{'role': 'user', 'content': [*parts, {'type': 'text', 'text': text}]}] for parts, (text, _) in zip(shown, asked, strict=True)]
    for _ in range(2):
        llm.reset_mm_cache()
        began = time.perf_counter(), time.process_time()
        llm.chat(talks, SamplingParams(temperature=0, max_tokens=NEW, ignore_eos=True), use_tqdm=False)
        say('vLLM', began)


def say(name: str, began: tuple[float, float]) -> None:
    """One line; the first round of each warms up."""
    wall, cpu = time.perf_counter() - began[0], time.process_time() - began[1]
    print(f'{name}: {wall:.2f} s, {cpu:.2f} CPU s, {REQUESTS * NEW / cpu:.0f} new tokens per CPU s', flush=True)


def main() -> None:
    """Runs both sides in turns, or is one of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('checkpoint', type=Path)
    parser.add_argument('--images', action='store_true')
    parser.add_argument('--rounds', type=int, default=2)
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--side', choices=['ours', 'theirs'], help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.side:
        asked = cases(args.images)
        return ours(args.checkpoint, asked, args.threads) if args.side == 'ours' else theirs(args.checkpoint, asked)
    ways = {'OMP_NUM_THREADS': str(args.threads), 'VLLM_ENABLE_V1_MULTIPROCESSING': '0', 'VLLM_CPU_KVCACHE_SPACE': '1', 'VLLM_LOGGING_LEVEL': 'ERROR'}
    for _ in range(args.rounds):
        for side in ('ours', 'theirs'):
            words = [str(args.checkpoint), '--side', side, '--threads', str(args.threads), *(['--images'] if args.images else [])]
            subprocess.run([sys.executable, '-m', 'benchmarks.serving', *words], check=True, env={**os.environ, **ways})
    return None


if __name__ == '__main__':
    main()
