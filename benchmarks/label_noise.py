"""Wrong labels found by models trained on the other folds of the same rows, and what dropping or mending them does: easy-vqa, whose truth is known.

    python -m benchmarks.label_noise --out DIR [--seeds 12] [--processes 2] [--only NOISE ...] [--steps 300] [--rounds 2] [--arms ARM ...]

2,500 questions for a colour with 0, 2, 7.5 and 20 % wrong labels; `mixture`: 2,000 clean, 300 wrong and 200 that contradict one of the clean; `all`
asks everything that easy-vqa asks, where these models know half, with 7.5 % wrong. Three folds by picture, the alternatives, rounds, scores and
thresholds of `phantom rate --self 3`. Then models from the same random weights, with the same steps, learn from the rows as they are, with those
dropped whose labels are likelier wrong than right, or mended (the likeliest other answer where that is right with 0.9, else dropped), without the
wrong ones (oracle), and without what cleanlab finds on the same scores, where it can be imported. Right is the likeliest answer to 640 questions
about pictures that nobody trained on. What `--precision 0.95` would flag is told, too. Fits that ran are kept in DIR, rows that are the same are
trained on once.
"""

import argparse
import hashlib
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from statistics import mean

import easy_vqa
import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.ablation import FAST, plus_minus
from benchmarks.lab import BATCH, SHAPES, Model, Row, another, colour_rows, colours, digest, encode, fit, interval, scratch
from model.rating.alternatives import Alternatives, Pools, plain_form
from model.rating.calibrate import EVEN, Calibration, Line, calibrate, logs_of
from model.rating.likelihood import Asked, Rater, in_batches
from model.training.settings import TrainSettings
from schemas.publish import publish_json

ROWS, HELD, FOLDS, PRECISION, SURE = 2500, 640, 3, 0.95, 0.9
SETTINGS = TrainSettings(stage=2, trainable=('all',), batch_rows=BATCH, micro_batch_rows=BATCH, precision='fp32', **FAST)


@dataclass(frozen=True, slots=True)
class Labelled:
    """A row with the label that it has in the mix as its chosen answer, and its true one."""

    row: Row
    truth: str

    @property
    def wrong(self) -> bool:
        """Whether the label is not the truth."""
        return self.row.chosen != self.truth


# ---- rows

def everything(split: str, count: int) -> list[Row]:
    """So many questions of a split, whatever they ask."""
    questions = list(zip(*getattr(easy_vqa, f'get_{split}_questions')(), strict=True))
    paths = getattr(easy_vqa, f'get_{split}_image_paths')()
    picked = sorted(range(len(questions)), key=lambda index: digest('all', split, index))[:count]
    return [Row(questions[at][0], paths[questions[at][2]], questions[at][1]) for at in picked]


def like(answer: str) -> list[str]:
    """The answers that could stand in the place of one."""
    return next(answers for answers in (['yes', 'no'], SHAPES, colours()) if answer in answers)


def mislabelled(row: Row, *names: object) -> Row:
    """The row with another answer of its kind."""
    return replace(row, chosen=another(row.chosen, like(row.chosen), 'label', *names))


def share_wrong(share: float, rows: Callable[[str, int], list[Row]] = colour_rows) -> Callable[[int], list[Labelled]]:
    """Rows of which this share has another label, drawn by the seed."""
    def made(seed: int) -> list[Labelled]:
        clean = rows('train', ROWS)
        wrong = set(sorted(range(ROWS), key=lambda index: digest('wrong', seed, index))[: round(share * ROWS)])
        return [Labelled(mislabelled(row, seed, at) if at in wrong else row, row.chosen) for at, row in enumerate(clean)]

    return made


def mixture(seed: int) -> list[Labelled]:
    """2,000 clean rows, 300 wrong ones, and 200 that contradict one of the clean."""
    clean = colour_rows('train', 2300)
    order = sorted(range(len(clean)), key=lambda index: digest('mixture', seed, index))
    kept, wrong = [clean[at] for at in order[:2000]], [clean[at] for at in order[2000:]] + [clean[at] for at in order[60:260]]
    return [Labelled(row, row.chosen) for row in kept] + [Labelled(mislabelled(row, seed, at), row.chosen) for at, row in enumerate(wrong)]


NOISES: dict[str, Callable[[int], list[Labelled]]] = {
    '0': share_wrong(0), '2': share_wrong(0.02), '7.5': share_wrong(0.075), '20': share_wrong(0.2), 'mixture': mixture,
    'all': share_wrong(0.075, everything),
}  # fmt: skip
ARMS = ('as it is', 'dropped', 'mended', 'oracle', 'cleanlab')


# ---- scores

@dataclass(frozen=True, slots=True)
class Score:
    """What a row's own fold's model makes of it: the answers, their probabilities, the row's own first, and the place of a planted one."""

    answers: list[str]
    chances: list[float]
    planted: int


def chances(model: Model, rows: Sequence[Row], answers: Sequence[Alternatives]) -> list[list[float]]:
    """Probabilities of each row's own answer and the alternatives."""
    rater = Rater(*model, torch.device('cpu'))
    asked = [Asked({}, encode(row, model[1], (row.chosen, *others.answers)), others) for row, others in zip(rows, answers, strict=True)]
    return [one for batch in in_batches(asked) for one in rater.chances(batch)]


def rated(rows: Sequence[Labelled], folder: Path, *, seed: int, steps: int, rounds: int) -> list[Score]:
    """The scores of the last round; models of each after the first learn without what the one before finds likelier wrong than right."""
    doubted = np.zeros(len(rows), bool)
    for number in range(1, rounds + 1):
        scores = cross_fit(rows, doubted, folder / f'round-{number}', seed=seed, steps=steps)
        calibration, truths = calibration_of(scores)
        doubted = (truths[:, 0] < EVEN) & (not calibration.is_chance)
        if not doubted.any():
            break
    return scores


def cross_fit(rows: Sequence[Labelled], without: NDArray[np.bool_], folder: Path, *, seed: int, steps: int) -> list[Score]:
    """The scores of all rows, each by the model that was trained on the other folds `without` some; a fold's scores are kept in the folder."""
    pools = Pools()
    for one in rows:
        pools.add('easy-vqa', one.row.question, one.row.chosen)
    folder.mkdir(parents=True, exist_ok=True)
    fold_of = [digest('fold', one.row.picture) % FOLDS for one in rows]
    found: dict[int, Score] = {}
    for fold in range(FOLDS):
        places = [at for at, other in enumerate(fold_of) if other == fold]
        path = folder / f'fold{fold}.json'
        if not path.is_file():
            inside = [one.row for one, other, out in zip(rows, fold_of, without, strict=True) if other != fold and not out]
            model = fit(scratch(digest('fold', seed, fold) % 2**31), inside, SETTINGS, steps=steps, seed=f'fold/{seed}/{fold}')
            others = [pools.of(str(at), 'easy-vqa', rows[at].row.question, rows[at].row.chosen) for at in places]
            scored = zip(places, others, chances(model, [rows[at].row for at in places], others), strict=True)
            publish_json(path, [asdict(Score([rows[at].row.chosen, *one.answers], found, 1 + one.planted(str(at)))) for at, one, found in scored])
        found |= dict(zip(places, (Score(**values) for values in json.loads(path.read_text())), strict=True))
    return [found[at] for at in range(len(rows))]


def calibration_of(scores: Sequence[Score]) -> tuple[Calibration, np.ndarray]:
    """What thresholds would do, as `phantom rate` estimates it, and how likely each answer of each row is right, float[N, A]."""
    logs = logs_of([one.chances for one in scores])
    found = calibrate('', logs, np.array([one.planted for one in scores]))
    assert found.noise
    return found, found.noise.truths(logs)


def mended(one: Labelled, score: Score, truths: np.ndarray) -> Labelled | None:
    """The row with the likeliest other answer as its label, None where that is not sure."""
    best = 1 + int(np.argmax(truths[1:]))
    return replace(one, row=replace(one.row, chosen=score.answers[best])) if truths[best] >= SURE else None


def cleanlabs(rows: Sequence[Labelled], scores: Sequence[Score]) -> list[Labelled] | None:
    """The rows that cleanlab finds nothing wrong with; None where it cannot be imported."""
    try:
        from cleanlab.filter import find_label_issues
    except ImportError:
        return None
    names = sorted({plain_form(one.row.chosen) for one in rows})
    place = {name: at for at, name in enumerate(names)}
    table = np.zeros((len(rows), len(names)))
    for line, score in zip(table, scores, strict=True):
        for answer, chance in zip(score.answers, score.chances, strict=True):
            line[place[plain_form(answer)]] = chance
    issues = find_label_issues(np.array([place[plain_form(one.row.chosen)] for one in rows]), table, n_jobs=1)
    return [one for one, issue in zip(rows, issues, strict=True) if not issue]


# ---- arms

def accuracy(rows: Sequence[Labelled], folder: Path, held: Sequence[Row], *, seed: int, steps: int) -> float:
    """Right answers, %, of a model that learnt from these rows; it is kept in the folder under the rows' name."""
    name = hashlib.sha256(json.dumps([[one.row.question, one.row.picture, one.row.chosen] for one in rows]).encode()).hexdigest()[:16]
    path = folder / f'arm-{name}.json'
    if not path.is_file():
        model = fit(scratch(seed), [one.row for one in rows], SETTINGS, steps=steps, seed=f'arms/{seed}')
        every = sorted(set(easy_vqa.get_answers()))
        others = [[answer for answer in every if answer != row.chosen] for row in held]
        found = chances(model, held, [Alternatives(tuple(one), (1,) * len(one)) for one in others])
        publish_json(path, {'right': 100 * mean(int(np.argmax(one)) == 0 for one in found)})
    return json.loads(path.read_text())['right']


def run_seed(noise: str, seed: int, out: Path, steps: int, rounds: int, wanted: Sequence[str]) -> None:
    """Everything of one noise and seed, written where `result_of` says."""
    torch.set_num_threads(1)
    folder = out / f'{noise}-{steps}' / f'seed{seed}'
    rows = NOISES[noise](seed)
    scores = rated(rows, folder, seed=seed, steps=steps, rounds=rounds)
    calibration, truths = calibration_of(scores)
    picked = calibration.pick()
    flagged = truths[:, 0] < (picked.threshold if picked else 0)
    paired = list(zip(rows, scores, truths, flagged, strict=True))
    arms = {
        'as it is': list(rows),
        'dropped': [one for one, *_, flag in paired if not flag],
        'mended': [new for one, score, truth, flag in paired if (new := mended(one, score, truth) if flag else one) is not None],
        'oracle': [one for one in rows if not one.wrong],
        'cleanlab': cleanlabs(rows, scores),
    }
    held = everything('test', HELD) if noise == 'all' else colour_rows('test', HELD)
    wrong = np.array([one.wrong for one in rows])
    found = {
        'wrong': int(wrong.sum()), 'estimated': calibration.wrong.value * len(rows), 'auc': calibration.auc.value,
        'even': told_line(picked, truths, wrong), 'precise': told_line(calibration.pick(PRECISION), truths, wrong),
        'rows': {name: len(some) for name, some in arms.items() if some is not None},
        'left': {name: sum(one.wrong for one in some) for name, some in arms.items() if some is not None},
        'right': {name: accuracy(some, folder, held, seed=seed, steps=steps) for name, some in arms.items() if some is not None and name in wanted},
    }  # fmt: skip
    publish_json(result_of(out, noise, steps, seed, rounds), found)
    print(f'{noise} %, seed {seed}: {found}', flush=True)


def result_of(out: Path, noise: str, steps: int, seed: int, rounds: int) -> Path:
    """Where the result of a seed is kept; folds and arms that ran are shared by all rounds."""
    return out / f'{noise}-{steps}' / f'seed{seed}' / f'result-rounds{rounds}.json'


def told_line(line: Line | None, truths: np.ndarray, wrong: np.ndarray) -> dict | None:
    """What a threshold flags, and how much of that is wrong, beside what was estimated."""
    if line is None:
        return None
    flagged = truths[:, 0] < line.threshold
    return {'threshold': line.threshold, 'flagged': line.flagged, 'found': int((flagged & wrong).sum()), 'precision': line.precision.value,
            'recall': line.recall.value}  # fmt: skip


# ---- telling

def table(out: Path, noises: Sequence[str], steps: int, seeds: int, rounds: int) -> list[str]:
    """The figures as Markdown; accuracies are differences to the oracle's, paired by seed, but for the oracle's own."""
    lines = [
        f'| wrong, % | seeds | wrong labels, estimated | likelier wrong than right: precision (estimated) | recall (estimated) '
        f'| at {PRECISION}: precision | recall | oracle, % right | as it is | dropped | mended | mended - dropped | cleanlab |',
        '|---|--:|---|---|---|---|---|--:|--:|--:|--:|--:|--:|',
    ]
    for noise in noises:
        paths = [result_of(out, noise, steps, seed, rounds) for seed in range(seeds)]
        found = [json.loads(path.read_text()) for path in paths if path.is_file()]
        if not found:
            continue
        shares = [told_share(found, line, of, by) for line in ('even', 'precise') for of, by in (('flagged', 'precision'), ('wrong', 'recall'))]
        wrong = [f'{told_of([one[name] for one in found])}' for name in ('estimated', 'wrong')]
        against = [difference(found, arm, base) for arm, base in (('as it is', 'oracle'), ('dropped', 'oracle'), ('mended', 'oracle'),
                                                                 ('mended', 'dropped'), ('cleanlab', 'oracle'))]  # fmt: skip
        oracle = told_of([one['right']['oracle'] for one in found])
        lines.append(f'| {" | ".join([noise, str(len(found)), f"{wrong[0]} of {wrong[1]}", *shares, oracle, *against])} |')
    return lines


def told_of(values: Sequence[float]) -> str:
    """The mean, with its interval where the values differ."""
    return plus_minus(values) if len(set(values)) > 1 else f'{values[0]:g}'


def difference(found: Sequence[dict], arm: str, base: str) -> str:
    """How many points more an arm has right than another, paired by seed, of the seeds that ran both; '' where none did."""
    both = [one['right'][arm] - one['right'][base] for one in found if {arm, base} <= one['right'].keys()]
    if len(both) < 2:
        return ''
    return plus_minus(both, sign='+') + (f' ({len(both)} seeds)' if len(both) < len(found) else '')


def told_share(found: Sequence[dict], line: str, of: str, by: str) -> str:
    """Share of the flagged or of the wrong that is both, with its interval over the seeds that flag any, and the mean of what was estimated."""
    some = [(one[line]['found'] / (one[line][of] if of == 'flagged' else one[of]), one[line][by]) for one in found if one[line] and one['wrong']]
    if len(some) < 2:
        return '-'
    centre, half = interval([one for one, _ in some])
    return f'{centre:.3f} ± {half:.3f} ({mean(estimate for _, estimate in some):.3f})'


def main() -> None:
    """Runs what is missing and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--out', type=Path, required=True)
    parser.add_argument('--seeds', type=int, default=12)
    parser.add_argument('--processes', type=int, default=2)
    parser.add_argument('--steps', type=int, default=300)
    parser.add_argument('--rounds', type=int, default=2)
    parser.add_argument('--arms', nargs='+', choices=ARMS, default=ARMS, help='that are trained')
    parser.add_argument('--only', nargs='+', choices=list(NOISES), default=list(NOISES), metavar='NOISE')
    options = parser.parse_args()
    with ProcessPoolExecutor(options.processes, mp_context=get_context('spawn')) as pool:
        every = [(noise, seed) for seed in range(options.seeds) for noise in options.only]
        for run in [pool.submit(run_seed, noise, seed, options.out, options.steps, options.rounds, options.arms) for noise, seed in every]:
            run.result()
    lines = table(options.out, options.only, options.steps, options.seeds, options.rounds)
    (options.out / 'label_noise').with_suffix('.md').write_text('\n'.join(lines) + '\n')
    print('\n'.join(lines))


if __name__ == '__main__':
    main()
