"""Does PO pay, does the phantom dimension, and where: tiny models on easy-vqa's pictures, every arm of a seed from the same weights and rows.

    python -m benchmarks.ablation --out DIR [--seeds 12] [--processes 2] [--only STUDY ...]

Studies: `schedule` (from random weights); from a trained start `clean`, `hedged`, `absent`, `few`, `noisy`; `phantom` and `adapt` (the
phantom dimension against as many weights elsewhere). Right is the greedy answer that equals the true one, letter by letter, to questions about
pictures that no arm was trained on. Prints a table a study with 95 % t-intervals over seeds and differences to the first arm, paired by seed; arms
that ran are kept in DIR and not run again. docs/ablation.md has the figures.
"""

import argparse
import copy
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from pathlib import Path
from statistics import mean
from typing import Any

import torch

from benchmarks.ablation_rows import COLD, absent, absent_right, clean, colours_right, few, hedged, noisy, own_mistakes
from benchmarks.lab import BATCH, Model, Row, fit, interval, scratch
from benchmarks.peers import ClippedApart, Orpo, PictureDpo, PreferenceAlone
from model.phantom.build import load_model
from model.training.lora import add_lora
from model.training.settings import STEP_1, TrainSettings
from model.training.stepper import Stepper
from schemas.publish import publish_json

START, MORE = 150, 60  # steps: of a start; from that start
FAST = {'learning_rate': 1e-3, 'final_learning_rate': 1e-4}  # preset tiny's
SLOW = {'learning_rate': 3e-4, 'final_learning_rate': 1e-4}  # preset tiny-step1's


SFT: dict[str, Any] = {'stage': 2}
LONGER, HARDLY = 'SFT, 1.15 times the steps', 'SFT, 1.04 times the steps'
DPO: dict[str, Any] = {'preference': 'dpo'}
LATE: dict[str, Any] = {'po_start': 0.5}


@dataclass(frozen=True, slots=True)
class Arm:
    """How one arm trains: settings beside its study's, the rows by name, more or fewer steps, and what its weights are."""

    settings: dict[str, Any] = field(default_factory=dict)
    kind: type[Stepper] = Stepper
    rows: str = 'random'
    times: float = 1.0
    grown: str = ''  # phantom, wide, lora: what is put onto the start
    rival: str = ''  # the arm that takes as many seconds


@dataclass(frozen=True, slots=True)
class Study:
    """Arms from one start on one task; the first arm is what the others are compared to."""

    arms: dict[str, Arm]
    rows: Callable[[], dict[str, list[Row]]]  # by name; 'start' for the start, 'held' for the end
    grade: Callable[[Model, list[Row]], dict[str, float]]
    rates: dict[str, float] = field(default_factory=lambda: SLOW)
    start: int = START  # steps of SFT from random weights, before the arms part
    steps: int = MORE
    model: dict[str, Any] = field(default_factory=dict)  # what differs from tiny's


# ---- studies

STUDIES = {
    'schedule': Study({
        'SFT': Arm(SFT),
        HARDLY: Arm(SFT, times=1.04),
        LONGER: Arm(SFT, times=1.15),
        'SFT + PO': Arm(rival=LONGER),
        'po_weight 0.1': Arm({'po_weight': 0.1}, rival=LONGER),
        'po_start 0.5': Arm(LATE),
        'po_start 0.5, po_weight 0.1': Arm({**LATE, 'po_weight': 0.1}),
        'po_start 0.75, po_weight 0.1': Arm({'po_start': 0.75, 'po_weight': 0.1}, rival=HARDLY),
        'clipped apart': Arm({'clip_norm': 1e9}, ClippedApart),
    }, clean, colours_right, FAST, start=0, steps=COLD),
    'clean': Study({
        'SFT': Arm(SFT),
        LONGER: Arm(SFT, times=1.15),
        'SFT + PO, any other colour': Arm(rival=LONGER),
        'the same, po_weight 0.1': Arm({'po_weight': 0.1}, rival=LONGER),
        'SFT + PO, own mistakes': Arm(rows='own', rival=LONGER),
        'SFT + PO, ambiguous answers': Arm(rows='hedges', rival=LONGER),
        'SimPO alone': Arm(kind=PreferenceAlone, rival=LONGER),
        'DPO alone': Arm(DPO, PreferenceAlone),
        'SFT + DPO': Arm(DPO),
        'ORPO': Arm(kind=Orpo, rival=LONGER),
        'mDPO, picture negatives': Arm(DPO, PictureDpo),
    }, clean, colours_right),
    'hedged': Study({
        'SFT': Arm(SFT),
        'SFT + PO, hedges rejected': Arm(),
        'SFT, crisp rows': Arm(SFT, rows='crisp'),
        'SFT + PO, crisp rows': Arm(rows='crisp'),
    }, hedged, colours_right),
    'absent': Study({
        'SFT': Arm(SFT),
        'SFT + PO': Arm(),
        'SFT + DPO': Arm(DPO),
        'SFT, the absent alone': Arm(SFT, rows='absent'),
        'SFT + PO, the absent alone': Arm(rows='absent'),
    }, absent, absent_right, start=2 * START),
    'few': Study({
        'SFT': Arm(SFT),
        'SFT + PO, any other colour': Arm(),
        'SFT + PO, own mistakes': Arm(rows='own'),
        'SFT + DPO': Arm(DPO),
    }, few, colours_right),
    'noisy': Study({
        'SFT': Arm(SFT),
        'SFT + PO, any other colour': Arm(),
        'SFT + PO, own mistakes': Arm(rows='own'),
        'SFT, judged rows': Arm(SFT, rows='judged'),
        'SFT + PO, judged rows': Arm(rows='judged'),
    }, noisy, colours_right),
    'phantom': Study({
        'off': Arm(SFT),
        'on': Arm(SFT, grown='phantom', rival='off, 1.33 times the steps'),
        'off, as many weights in wider MLPs': Arm(SFT, grown='wide'),
        'off, 1.33 times the steps': Arm(SFT, times=1.33),
    }, clean, colours_right, FAST, start=0, steps=COLD, model={'phantom': False}),
    'adapt': Study({
        'projector': Arm({**SFT, 'trainable': ('vision_proj',)}),
        'projector and phantom': Arm({**SFT, 'trainable': STEP_1}, grown='phantom'),
        'projector and as many weights in LoRA': Arm({**SFT, 'trainable': ('vision_proj',)}, grown='lora'),
        'everything': Arm(SFT),
    }, few, colours_right, {'learning_rate': 1e-3, 'final_learning_rate': 3e-4}, start=START // 2, model={'phantom': False}),
}  # fmt: skip


def grow(start: Model, what: str, *, seed: int) -> tuple[Model, dict[str, Any]]:
    """The start with phantom parts, or with about as many weights in LoRA; and settings that go with it."""
    model, processor = start
    if what == 'phantom':
        with tempfile.TemporaryDirectory() as folder:
            model.save_pretrained(folder)
            processor.save_pretrained(folder)
            torch.manual_seed(seed)
            return load_model(Path(folder), fresh_phantom=True, phantom=True, eta=0.1, eta_learnable=True), {}
    if what == 'lora':
        model = copy.deepcopy(model)
        torch.manual_seed(seed)
        rank = max(1, round(phantom_weights() / lora_weights()))
        add_lora(model, rank=rank, alpha=rank)
        return (model, processor), {'lora_rank': rank, 'lora_alpha': rank}
    return start, {}


def weights_of(model: torch.nn.Module) -> int:
    """How many numbers a model learns."""
    return sum(parameter.numel() for parameter in model.parameters())


def phantom_weights() -> int:
    """How many weights the phantom dimension adds."""
    return weights_of(scratch(0)[0]) - weights_of(scratch(0, phantom=False)[0])


def lora_weights() -> int:
    """How many weights adapters of rank 1 add."""
    model = scratch(0, phantom=False)[0]
    before = weights_of(model)
    add_lora(model, rank=1, alpha=1)
    return weights_of(model) - before


def wider() -> dict[str, Any]:
    """tiny's decoder with as many weights more in its MLPs as the phantom dimension has."""
    config = scratch(0, phantom=False)[0].config.llm_config
    more = phantom_weights() / (3 * config['hidden_size'] * config['num_hidden_layers'])
    return {'llm_config': {**config, 'intermediate_size': config['intermediate_size'] + round(more)}}


# ---- running

def run_seed(study: Study, seed: int, folder: Path, arms: Sequence[str]) -> None:
    """Trains and grades the arms that have no result in `folder`; everything they share is made once."""
    torch.set_num_threads(1)
    missing = [name for name in arms if not (folder / f'{slug(name)}.json').is_file()]
    if not missing:
        return
    folder.mkdir(parents=True, exist_ok=True)
    rows = study.rows()
    start = scratch(seed, **study.model)
    if study.start:
        start = fit(start, rows['start'], settings_of(Arm(SFT), FAST), steps=study.start, seed=f'start/{seed}')
        publish_json(folder / 'start.json', study.grade(start, rows['held']))
    if any(study.arms[name].rows == 'own' for name in missing):
        rows['own'] = own_mistakes(start, rows['start'][: 2 * study.steps * BATCH], seed=seed)
    for name in missing:
        began = time.process_time()
        model = trained(study, study.arms[name], start, rows, seed=seed)
        seconds = time.process_time() - began
        found = {**study.grade(model, rows['held']), 'seconds': seconds}
        publish_json(folder / f'{slug(name)}.json', found)
        print(f'{folder.parent.name}, seed {seed}, {name}: {found}', flush=True)


def trained(study: Study, arm: Arm, start: Model, rows: dict[str, list[Row]], *, seed: int) -> Model:
    """One arm's model."""
    if arm.grown and not study.start:
        begun, more = scratch(seed, **{**study.model, **(wider() if arm.grown == 'wide' else {'phantom': True})}), {}
    else:
        begun, more = grow(start, arm.grown, seed=seed)
    settings = settings_of(replace(arm, settings={**arm.settings, **more}), study.rates)
    reference = copy.deepcopy(begun[0]).eval().requires_grad_(False) if settings.preference == 'dpo' else None
    return fit(begun, rows[arm.rows], settings, steps=round(study.steps * arm.times), seed=f'arms/{seed}', kind=arm.kind, reference=reference)


def settings_of(arm: Arm, rates: dict[str, float]) -> TrainSettings:
    """The settings of an arm: everything trains unless it says what."""
    base = {'trainable': ('all',), 'batch_rows': BATCH, 'micro_batch_rows': BATCH, 'precision': 'fp32', 'po_weight': 1.0, 'po_start': 0.0, **rates}
    return TrainSettings(**{**base, **arm.settings})


def slug(name: str) -> str:
    """An arm's name as a file's."""
    return ''.join(letter if letter.isalnum() else '_' for letter in name)


# ---- telling

def results(folder: Path, seeds: int, arms: Sequence[str]) -> tuple[list[int], dict[str, list[dict]]]:
    """The seeds that all arms have, and each arm's results of them."""
    whole = [seed for seed in range(seeds) if all((folder / f'seed{seed}/{slug(arm)}.json').is_file() for arm in arms)]
    return whole, {arm: [json.loads((folder / f'seed{seed}/{slug(arm)}.json').read_text()) for seed in whole] for arm in arms}


def table(name: str, study: Study, out: Path, seeds: int, arms: Sequence[str]) -> list[str]:
    """A study as Markdown: each arm's figures over the seeds that all arms have."""
    whole, found = results(out / name, seeds, arms)
    if not whole:
        return []
    first = found[arms[0]]
    others = [key for key in first[0] if key not in ('right', 'seconds') and any(record[key] for records in found.values() for record in records)]
    rivals = any(study.arms[arm].rival for arm in arms)
    compared = ['against the first, paired', *['against SFT of as many seconds, paired'] * rivals, *(f'{key}, %' for key in others), 'seconds']
    lines = [f'### {name}: {len(whole)} seeds', '', f'| arm | right, % | {" | ".join(compared)} |', '|---|--:|' + '--:|' * len(compared)]
    starts = [json.loads(path.read_text())['right'] for seed in whole if (path := out / name / f'seed{seed}/start.json').is_file()]
    if starts:
        lines.append(f'| (the start) | {plus_minus(starts)} |' + ' |' * len(compared))
    for arm, records in found.items():
        cells = [plus_minus([record['right'] for record in records])]
        for bases in (first, *[found.get(study.arms[arm].rival)] * rivals):
            cells.append(plus_minus([mine['right'] - base['right'] for mine, base in zip(records, bases, strict=True)], '+') if bases else '')
        cells += [f'{mean(record[key] for record in records):.1f}' for key in others]
        seconds = mean(record['seconds'] for record in records) / mean(record['seconds'] for record in first)
        lines.append(f'| {arm} | {" | ".join(cells)} | {seconds:.2f}x |')
    return [*lines, '']


def plus_minus(values: Sequence[float], sign: str = '') -> str:
    """Mean and half width of its 95 % interval."""
    centre, half = interval(values)
    return f'{centre:{sign}.1f} ± {half:.1f}'


def draw(out: Path, seeds: int, path: Path) -> None:
    """Differences to each study's first arm, with their intervals."""
    import matplotlib

    matplotlib.use('Agg')
    from matplotlib import pyplot

    lines = []
    for name, study in STUDIES.items():
        base, *arms = study.arms
        whole, found = results(out / name, seeds, list(study.arms))
        gains = {arm: [a['right'] - b['right'] for a, b in zip(found[arm], found[base], strict=True)] for arm in arms}
        lines += [(f'{name}: {arm}', *interval(gain)) for arm, gain in gains.items() if whole]
    figure, axes = pyplot.subplots(figsize=(9, 0.3 * len(lines) + 1))
    for place, (_, centre, half) in enumerate(lines):
        axes.errorbar(centre, place, xerr=half, fmt='o', color='black', capsize=3)
    axes.axvline(0, color='grey', linewidth=0.8)
    axes.set_yticks(range(len(lines)), [label for label, *_ in lines])
    axes.invert_yaxis()
    axes.set_xlabel("right answers, points against the study's first arm (95 %, paired by seed)")
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def main() -> None:
    """Runs what is missing, seed by seed, then prints and writes tables and plot."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--out', type=Path, required=True)
    parser.add_argument('--seeds', type=int, default=12)
    parser.add_argument('--processes', type=int, default=2)
    parser.add_argument('--only', nargs='+', choices=list(STUDIES), default=list(STUDIES), metavar='STUDY', help='studies; all unless named')
    options = parser.parse_args()
    with ProcessPoolExecutor(options.processes, mp_context=get_context('spawn')) as pool:
        waiting = [
            pool.submit(run_named, name, seed, options.out / name / f'seed{seed}') for name in options.only for seed in range(options.seeds)
        ]
        for run in waiting:
            run.result()
    lines = [line for name in options.only for line in table(name, STUDIES[name], options.out, options.seeds, list(STUDIES[name].arms))]
    (options.out / 'ablation.md').write_text('\n'.join(lines))
    draw(options.out, options.seeds, options.out / 'ablation.png')
    print('\n'.join(lines))


def run_named(name: str, seed: int, folder: Path) -> None:
    """A study's seed, in a process of its own."""
    run_seed(STUDIES[name], seed, folder, list(STUDIES[name].arms))


if __name__ == '__main__':
    main()
