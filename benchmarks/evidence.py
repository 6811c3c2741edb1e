"""What curation and rating are worth: models of equal size and steps learn from a raw source, from its mix, and from its mix without what is doubted.

    python -m benchmarks.evidence --out DIR [--docs docs] [--seeds 12] [--processes 2] [--steps 200]

The source: 4,000 records about easy-vqa's pictures as sources really come. 2,000 questions for a colour with their true answers, 300 with a wrong
one, 200 that contradict one of the true, 300 said twice, 600 refusals, 500 answers of a generator in a loop, 100 whose picture is cut. `phantom
build` makes the mix, `phantom rate --self 3` rates it; truth is used by the oracle alone. Every model starts from random weights, sees as many rows,
and is asked 600 questions about pictures that nobody trained on; right is the greedy answer that equals the true one. What ran is kept in DIR:
killed, the same command goes on. Writes a page and a plot `evidence` into DIR, with --docs into that folder.
"""

import argparse
import json
import shutil
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from statistics import mean
from typing import Any

import pyarrow.parquet as pq
import torch

from benchmarks.ablation import FAST, plus_minus
from benchmarks.lab import BATCH, Row, another, colour_rows, colours, digest, fit, interval, model_section, replies, scratch
from model.rating.rate import rate_self
from model.training.settings import TrainSettings
from pipelines.build import Way, build_all
from schemas.publish import publish_json
from schemas.recipe import load_recipe
from schemas.snapshot import open_snapshot

CLEAN, WRONG, CONTRADICTORY, TWICE, REFUSED, LOOPED, CUT = 2000, 300, 200, 300, 600, 500, 100
HELD = 600
REFUSALS = ("I'm sorry, but I cannot see the image.", 'I cannot assist with that request.', 'As an AI language model, I am unable to view pictures.')
SETTINGS = TrainSettings(stage=2, trainable=('all',), batch_rows=BATCH, micro_batch_rows=BATCH, precision='fp32', **FAST)
ARMS = {
    'raw': 'as it came', 'curated': '`phantom build`', 'rated': '... without the labels that `phantom rate --self 3` finds likelier wrong than right',
    'oracle': '... without wrong labels, by truth',
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Record:
    """A record of the source: what it says, and whether that is true."""

    row: Row
    true: bool
    cut: bool = False  # its picture is


def records() -> list[Record]:
    """The source, in an order drawn by name."""
    rows = colour_rows('train', CLEAN + WRONG + REFUSED + LOOPED + CUT)
    parts = iter(rows)
    clean = [Record(next(parts), True) for _ in range(CLEAN)]
    wrong = [mislabelled(next(parts), at) for at in range(WRONG)]
    wrong += [mislabelled(one.row, 'again', at) for at, one in enumerate(clean[TWICE : TWICE + CONTRADICTORY])]
    refused = [Record(replace(next(parts), chosen=REFUSALS[at % len(REFUSALS)]), False) for at in range(REFUSED)]
    looped = [Record(replace(row, chosen=' '.join([row.chosen] * 24)), False) for row in (next(parts) for _ in range(LOOPED))]
    cut = [Record(next(parts), True, cut=True) for _ in range(CUT)]
    every = clean + wrong + clean[:TWICE] + refused + looped + cut
    return [every[at] for at in sorted(range(len(every)), key=lambda at: digest('evidence', at))]


def mislabelled(row: Row, *names: object) -> Record:
    """The row with another colour as its label."""
    return Record(replace(row, chosen=another(row.chosen, colours(), 'evidence', *names)), False)


def write_source(source: Sequence[Record], folder: Path) -> Path:
    """The records as a LLaVA list with a folder of pictures, and a recipe beside them."""
    pictures = folder / 'pictures'
    pictures.mkdir(parents=True, exist_ok=True)
    listed = []
    for at, one in enumerate(source):
        name = f'cut-{at}.png' if one.cut else f'{Path(one.row.picture).stem}.png'
        data = Path(one.row.picture).read_bytes()
        (pictures / name).write_bytes(data[: len(data) // 2] if one.cut else data)
        turns = [{'from': 'human', 'value': f'<image>\n{one.row.question}'}, {'from': 'gpt', 'value': one.row.chosen}]
        listed.append({'id': str(at), 'image': name, 'conversations': turns})
    (folder / 'records.json').write_text(json.dumps(listed))
    recipe = {'name': 'evidence', 'root': str(folder.resolve()),
              'sources': {'vqa': {'format': 'llava', 'annotations': ['records.json'], 'images': ['pictures'], 'licence': 'MIT'}}}  # fmt: skip
    (folder / 'recipe.yaml').write_text(json.dumps(recipe))
    return folder / 'recipe.yaml'


def write_preset(folder: Path) -> Path:
    """tiny at the size of the laboratory."""
    path = folder / 'small.yaml'
    train = {'batch_rows': BATCH, 'micro_batch_rows': BATCH}
    path.write_text(json.dumps({'extends': 'tiny', 'model': model_section(), 'train': train}))
    return path


def prepared(out: Path, steps: int) -> dict[str, Any]:
    """Which records each arm learns from, by number; made once and kept in `out`."""
    path = out / f'arms-{steps}.json'
    if path.is_file():
        return json.loads(path.read_text())
    source = records()
    shutil.rmtree(out / 'source', ignore_errors=True)
    build_all(load_recipe(write_source(source, out / 'source'), ()), out / 'build', Way(mix_only=True))
    mix = out / 'build/mix'
    rated = rate_self(mix, out / 'rated', folds=3, preset=str(write_preset(out)))
    scores = pq.read_table(out / 'rated/ratings.parquet').to_pylist()
    below = {row['sample_id'] for row in scores if row['score'] is not None and row['score'] < (rated['threshold'] or 0.0)}
    kept = {name: number_of(name) for shard in open_snapshot(mix, 'mix').shards() for name in pq.read_table(shard)['sample_id'].to_pylist()}
    arms = {
        'raw': [at for at, one in enumerate(source) if not one.cut],
        'curated': sorted(kept.values()),
        'rated': sorted(at for name, at in kept.items() if name not in below),
        'oracle': sorted(at for at in kept.values() if source[at].true),
    }
    publish_json(path, {**arms, 'flagged': len(below), 'found': sum(not source[kept[name]].true for name in below), 'told': rated['told']})
    return json.loads(path.read_text())


def number_of(sample_id: str) -> int:
    """The number of a record in the list, from the id of its sample."""
    return int(sample_id.rpartition('#')[2].partition('/')[0])


def run_seed(out: Path, seed: int, steps: int) -> None:
    """Trains and asks the arms of a seed that have no result yet."""
    torch.set_num_threads(1)
    source, arms, held = records(), prepared(out, steps), colour_rows('test', HELD)
    for arm in ARMS:
        path = result_of(out, seed, steps, arms[arm])
        if path.is_file():
            continue
        model = fit(scratch(seed), [source[at].row for at in arms[arm]], SETTINGS, steps=steps, seed=f'evidence/{seed}')
        right = [reply == row.chosen for reply, row in zip(replies(*model, held), held, strict=True)]
        publish_json(path, {'right': 100 * mean(right)})
        print(f'seed {seed}, {arm}: {100 * mean(right):.1f} %', flush=True)


def result_of(out: Path, seed: int, steps: int, rows: Sequence[int]) -> Path:
    """Where the result of a seed on these records is: arms that are the same are trained on once."""
    return out / f'seed{seed}-{steps}-{digest(*rows):016x}.json'


def right_answers(out: Path, steps: int) -> dict[str, list[float]]:
    """Right answers, %, of each arm, of the seeds that all arms have."""
    arms = prepared(out, steps)
    seeds = [seed for seed in range(1000) if all(result_of(out, seed, steps, arms[arm]).is_file() for arm in ARMS)]
    return {arm: [json.loads(result_of(out, seed, steps, arms[arm]).read_text())['right'] for seed in seeds] for arm in ARMS}


def tell(out: Path, steps: int, command: str) -> list[str]:
    """The page, of the seeds that all arms have."""
    arms, source = prepared(out, steps), records()
    rights = right_answers(out, steps)
    seeds = rights['raw']
    lines = [
        '# Evidence', '', 'What the same model learns from the same source, raw, curated and rated. Made by', '', f'```bash\n{command}\n```', '',
        '![right answers by arm](evidence.png)', '',
        '| rows | what was done | rows left | wrong among them | right answers, % | against raw, paired |', '|---|---|--:|--:|--:|--:|',
    ]  # fmt: skip
    for arm, what in ARMS.items():
        wrong = sum(not source[at].true for at in arms[arm])
        gain = told([one - raw for one, raw in zip(rights[arm], rights['raw'], strict=True)], sign='+') if arm != 'raw' else ''
        lines.append(f'| {arm} | {what} | {len(arms[arm]):,} | {wrong:,} | {told(rights[arm])} | {gain} |')
    pairs = [('rated', 'curated'), ('rated', 'oracle')]
    more = '; '.join(f'{one} against {two} {told([a - b for a, b in zip(rights[one], rights[two], strict=True)], sign="+")}' for one, two in pairs)
    few = '' if len(seeds) >= 12 else 'Fewer than the twelve seeds that are wanted: what lies within the intervals is not told apart. '
    lines += [
        '', f'Points of right answers, paired by seed: {more}. {few}{len(seeds)} seed(s) of {steps} steps of {BATCH} rows; the source, '
        'its build and its ratings '
        'are the same for all seeds, ± is half a 95 % t-interval over seeds of weights and order.', '',
        f'Of the {arms["flagged"]} rows that were left out without the truth {arms["found"]} are wrong. What was estimated of them:', '',
        *(f'- {line.replace(str(out), "DIR")}' for line in arms['told']), '', *(__doc__ or '').split('\n\n')[2].splitlines(),
    ]  # fmt: skip
    return lines


def told(values: Sequence[float], *, sign: str = '') -> str:
    """The mean with half its interval, of one seed alone the value."""
    return plus_minus(values, sign=sign) if len(values) > 1 else f'{values[0]:{sign}.1f} (one seed)'


def draw(out: Path, steps: int, path: Path) -> None:
    """Right answers of each arm with their intervals."""
    import matplotlib

    matplotlib.use('Agg')
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 2.6))
    rights = right_answers(out, steps)
    for place, arm in enumerate(ARMS):
        centre, half = interval(rights[arm])
        axes.barh(place, centre, xerr=half if half == half else 0, color='#9ab' if arm != 'oracle' else '#dde', capsize=3)
    axes.set_yticks(range(len(ARMS)), [f'{arm}: {mean(rights[arm]):.1f} %' for arm in ARMS])
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.set_xlabel('right answers about held-out pictures, % (95 % interval over seeds)')
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def main() -> None:
    """Runs what is missing, then tells."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--out', type=Path, required=True)
    parser.add_argument('--docs', type=Path, help='where the page and its plot go; default: --out')
    parser.add_argument('--seeds', type=int, default=12)
    parser.add_argument('--processes', type=int, default=2)
    parser.add_argument('--steps', type=int, default=200)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    prepared(options.out, options.steps)
    with ProcessPoolExecutor(options.processes, mp_context=get_context('spawn')) as pool:
        for run in [pool.submit(run_seed, options.out, seed, options.steps) for seed in range(options.seeds)]:
            run.result()
    docs = options.docs or options.out
    more = f' --steps {options.steps}' if options.steps != parser.get_default('steps') else ''
    lines = tell(options.out, options.steps, f'python -m benchmarks.evidence --out DIR --docs docs --seeds {options.seeds}{more}')
    (docs / 'evidence').with_suffix('.md').write_text('\n'.join(lines) + '\n')
    draw(options.out, options.steps, docs / 'evidence.png')
    print('\n'.join(lines))


if __name__ == '__main__':
    main()
