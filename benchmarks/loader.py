"""Rows a second that the loader prepares, against what training consumes: the loader must be the faster by far.

Both sides on the same snapshot, preset and threads, wall seconds; the loader alone, then whole steps with the loader waiting ready.
Run: python -m benchmarks.loader SNAPSHOT [--preset tiny] [--steps 20]
"""

import argparse
import time
from itertools import islice
from pathlib import Path

import torch

from model.phantom.build import build_scratch
from model.training.data import RowFilter, batch_shares, endless_rows, list_groups
from model.training.settings import load_preset
from model.training.stepper import Stepper
from schemas.snapshot import open_snapshot


def main() -> None:
    """Prints both rates and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('snapshot', type=Path)
    parser.add_argument('--preset', default='tiny')
    parser.add_argument('--steps', type=int, default=20)
    options = parser.parse_args()
    preset = load_preset(options.preset)
    settings = preset.settings
    torch.set_num_threads(settings.torch_threads or 1)  # the loader's own threads are beside them
    model, processor = build_scratch(preset.model, seed=0)
    rows = endless_rows(list_groups(open_snapshot(options.snapshot)), seed=0, window=settings.window_groups)
    wanted = RowFilter(max_length=settings.max_length)
    shares = batch_shares(rows, processor, wanted, batch=settings.batch_rows, threads=settings.loader_threads)
    next(shares)  # the first window is read before the clock starts
    began = time.perf_counter()
    ready = list(islice(shares, options.steps))
    loading = time.perf_counter() - began
    shares.close()
    stepper = Stepper(model, processor, settings, resume=None)
    stepper.step(ready[0].rows, step=1, rate=settings.learning_rate)
    began = time.perf_counter()
    for index, share in enumerate(ready):
        stepper.step(share.rows, step=index + 1, rate=settings.learning_rate)
    training = time.perf_counter() - began
    total = options.steps * settings.batch_rows
    print(f'loader {total / loading:.0f} rows/s, training {total / training:.0f} rows/s, ratio {training / loading:.1f}')


if __name__ == '__main__':
    main()
