"""Packing against padding: tokens a second of processor time and the share of padding, on the same rows in turns.

Both trainings start from the same weights and take every batch after each other, so that a busy machine slows both
alike and their losses can be compared step by step. Only what a step itself does is timed, not the loading of rows.
Run: python -m benchmarks.packing TRIPLES [--preset tiny] [--steps 30] [--set stage=2 ...]
"""

import argparse
import time
from itertools import islice
from pathlib import Path
from typing import Any

import torch
import yaml

from model.phantom.build import build_scratch
from model.training.data import RowFilter, batch_shares, endless_rows, list_groups
from model.training.settings import Preset, load_preset
from model.training.stepper import Stepper
from schemas.snapshot import open_snapshot

FORMS = {'padded': False, 'packed': True}


def make_steppers(name: str, overrides: dict[str, Any]) -> tuple[Preset, dict[str, Stepper]]:
    """Two trainings from the same weights, one padded and one packed."""
    presets = {form: load_preset(name, **{**overrides, 'packing': packing}) for form, packing in FORMS.items()}
    steppers = {}
    for form, preset in presets.items():
        model, processor = build_scratch({**preset.model, **preset.config}, seed=preset.settings.seed)
        steppers[form] = Stepper(model, processor, preset.settings, resume=None)
    return presets['padded'], steppers


def main() -> None:
    """Prints one line a form, and how far their losses are apart."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('triples', type=Path)
    parser.add_argument('--preset', default='tiny', help='one with a model section')
    parser.add_argument('--steps', type=int, default=30)
    parser.add_argument('--set', nargs='*', default=[], metavar='NAME=VALUE', help='settings other than the preset has')
    options = parser.parse_args()
    overrides = {name: yaml.safe_load(value) for name, _, value in (text.partition('=') for text in options.set)}
    preset, steppers = make_steppers(options.preset, overrides)
    settings = preset.settings
    torch.set_num_threads(settings.torch_threads or 1)
    rows = endless_rows(list_groups(open_snapshot(options.triples, 'triples')), seed=0, window=settings.window_groups)
    wanted = RowFilter(max_length=settings.max_length, rejected=settings.stage == 1)
    shares = batch_shares(rows, steppers['padded'].processor, wanted, batch=settings.batch_rows)
    batches = [share.rows for share in islice(shares, options.steps)]
    shares.close()
    spent, padding, apart = dict.fromkeys(FORMS, 0.0), dict.fromkeys(FORMS, 0.0), 0.0
    for number, batch in enumerate(batches, start=1):
        losses = []
        for form in (list(FORMS), list(FORMS)[::-1])[number % 2]:
            began = time.process_time()
            record = steppers[form].step(batch, step=number, rate=settings.learning_rate)
            spent[form] += time.process_time() - began
            padding[form] += record['padding'] / options.steps
            losses.append(record['loss'])
        apart = max(apart, abs(losses[0] - losses[1]) / losses[0])
    tokens = sum(len(row) for batch in batches for row in batch)
    for form in FORMS:
        print(f'{form}: padding {100 * padding[form]:.1f} %, {tokens / spent[form]:,.0f} tokens/s of processor time')
    print(f'packed / padded: {spent["padded"] / spent["packed"]:.2f}x; {options.steps} steps of {settings.batch_rows} rows, '
          f'{tokens:,} tokens, {settings.torch_threads or 1} thread; losses apart by {apart:.0e} of themselves at most')


if __name__ == '__main__':
    main()
