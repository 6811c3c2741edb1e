"""What learns fastest to answer open questions about shapes: trainings of the demo's triples, one thing changed at a time.

Each variant takes the same number of steps from the same seed; seconds are those of a processor, of the training alone.
Run: python -m benchmarks.learning TRIPLES --out DIR [--steps 240] [--only VARIANT ...]; finished runs in DIR are kept.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

from benchmarks.held_out_shapes import grade, pick
from benchmarks.lab import SHAPES
from model.training.train import train

SHAPES_ALONE = {'sources': ['shapes']}  # 17 of 32 rows of the demo's triples
PAPER = {'po_weight': 1.0, 'po_start': 0.0}
# The preset and the settings that differ from it.
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    'tiny: SFT + PO, all sources': ('tiny', PAPER),
    'SFT alone': ('tiny', {'stage': 2}),
    'SFT, shapes alone': ('tiny', {'stage': 2, 'batch_rows': 32, **SHAPES_ALONE}),
    'tiny-start on shapes alone': ('tiny-start', SHAPES_ALONE),
    'tiny-start on shapes alone, rate 3e-3': ('tiny-start', {**SHAPES_ALONE, 'learning_rate': 3e-3}),
    'tiny-start on shapes alone, with PO': ('tiny-start', {**SHAPES_ALONE, **PAPER, 'stage': 1}),
}


def measure(name: str, triples: Path, folder: Path, *, steps: int, questions: int) -> dict[str, Any]:
    """Rows, processor seconds and shares of right answers of one variant; read back where it is finished."""
    done = folder / 'result.json'
    if done.is_file():
        return json.loads(done.read_text())
    preset, settings = VARIANTS[name]
    began = time.process_time()
    result = train(triples, folder, preset=preset, max_steps=steps, quiet=True, keep_last=1, **settings)
    seconds = time.process_time() - began
    rows = pick(questions)
    rights = grade(result.checkpoint, rows)
    record = {'rows': result.state.rows_trained, 'seconds': seconds, 'all': 100 * sum(rights) / len(rights)}
    for kind, wanted in (('shapes', True), ('colours', False)):
        of_kind = [right for right, row in zip(rights, rows, strict=True) if (row.chosen in SHAPES) == wanted]
        record[kind] = 100 * sum(of_kind) / len(of_kind)
    done.write_text(json.dumps(record))
    return record


def main() -> None:
    """Prints a row a variant."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('triples', type=Path)
    parser.add_argument('--out', type=Path, required=True)
    parser.add_argument('--steps', type=int, default=240)
    parser.add_argument('--questions', type=int, default=600)
    parser.add_argument('--only', nargs='+', choices=list(VARIANTS), default=list(VARIANTS), metavar='VARIANT')
    options = parser.parse_args()
    print(f'{options.steps} steps, {options.questions} held-out questions')
    print('| training | rows | processor, s | right, % | of shapes, % | of colours, % |\n|---|--:|--:|--:|--:|--:|')
    for name in options.only:
        folder = options.out / name.replace(':', '').replace(',', '').replace('+', '').replace(' ', '-')
        found = measure(name, options.triples, folder, steps=options.steps, questions=options.questions)
        numbers = ' | '.join(f'{found[kind]:.1f}' for kind in ('all', 'shapes', 'colours'))
        print(f'| {name} | {found["rows"]:,} | {found["seconds"]:.0f} | {numbers} |', flush=True)


if __name__ == '__main__':
    main()
