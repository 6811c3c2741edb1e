"""What a question costs that everybody asks: `python -m benchmarks.asked_pairs [--images 400000] [--pictures 500]`.

So many images of a mix are shown with one question of a benchmark about so many pictures. Thumbnails are drawn: 3 x 3 colours each, enlarged. At half
and at the whole number of images: pairs that share the question, pairs to be opened, processor seconds of choosing them, and what opening them
takes at 20 ms each; beside it what all of them, and 64 for each image, would take.
"""

import argparse
import time

import numpy as np
from scipy.ndimage import zoom

from pipelines.mix.asked_pairs import PLACES, asked_pairs

OPEN_MS = 20
DRAWN = 20_000  # at a time


def thumbs(n: int, seed: int) -> np.ndarray:
    """Return uint8[n, 192]."""
    rng, parts = np.random.default_rng(seed), []
    for start in range(0, n, DRAWN):
        cells = rng.integers(0, 256, (min(DRAWN, n - start), 3, 3, 3)).astype(np.float32)
        parts.append(np.clip(zoom(cells, (1, 8 / 3, 8 / 3, 1), order=1, grid_mode=True, mode='nearest'), 0, 255).astype(np.uint8).reshape(-1, 192))
    return np.concatenate(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--images', type=int, default=400_000)
    parser.add_argument('--pictures', type=int, default=500)
    args = parser.parse_args()
    images, pictures = thumbs(args.images, 1), thumbs(args.pictures, 2)
    print(f'{"images":>9} {"pairs":>13} {"opened":>9} {"choosing s":>10} {"opening s":>9} {"64 an image s":>13} {"all s":>11}')
    question, places = 'what is in the picture', range(args.pictures)
    for n in (args.images // 2, args.images):
        began = time.process_time()
        pairs = asked_pairs({number: {question} for number in range(n)}, {question: places}, images, pictures)
        spent = time.process_time() - began
        opened, shared = sum(map(len, pairs.opened.values())), sum(pairs.shared.values())
        seconds = [some * OPEN_MS / 1000 for some in (opened, n * min(PLACES, args.pictures), shared)]
        print(f'{n:9,} {shared:13,} {opened:9,} {spent:10.1f} {seconds[0]:9,.0f} {seconds[1]:13,.0f} {seconds[2]:11,.0f}')


if __name__ == '__main__':
    main()
