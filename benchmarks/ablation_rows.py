"""What the tiny models of the ablation learn: rows with true, wrong, hedged or missing labels, and how answers to held-out ones are graded.

From easy-vqa's pictures and questions (benchmarks/lab.py). What is drawn depends on names and numbers alone.
"""

from collections.abc import Sequence
from dataclasses import replace
from statistics import mean

import numpy as np
import torch

from benchmarks.lab import BATCH, Model, Row, another, colour_rows, colours, digest, encode, preferred, replies
from model.training.branches import branch_logps, collate

QUESTIONS = 600  # held out
COLD = 200  # steps from random weights, whose batches these rows fill
NOISE, HEDGED, THERE = 0.3, 0.6, 0.85  # shares of wrong labels; of labels that name two colours; of questions for a colour that is there


def clean() -> dict[str, list[Row]]:
    """True labels; wrong answers are other colours, or hedges: two colours, one of them right."""
    rows = colour_rows('train', COLD * BATCH)
    return {'start': rows, 'random': rows, 'hedges': [replace(row, rejected=hedge(row)) for row in rows], 'held': colour_rows('test', QUESTIONS)}


def few() -> dict[str, list[Row]]:
    """The same, but 300 rows in all."""
    return {name: rows if name == 'held' else rows[:300] for name, rows in clean().items()}


def noisy() -> dict[str, list[Row]]:
    """Labels of which some are another colour; `judged` are those that a judge who errs in a tenth of them calls right."""
    rows = []
    judged = []
    for index, row in enumerate(clean()['start']):
        wrong = drawn('noise', index) < NOISE
        label = another(row.chosen, colours(), 'label', index) if wrong else row.chosen
        rows.append(replace(row, chosen=label, rejected=another(label, colours(), 'reject', index)))
        if wrong == (drawn('judge', index) < 0.1):
            judged.append(rows[-1])
    return {'start': rows, 'random': rows, 'judged': judged, 'held': colour_rows('test', QUESTIONS)}


def hedged() -> dict[str, list[Row]]:
    """Labels of which more than half name two colours; wrong answers of the others are such hedges. `crisp` are those others alone."""
    rows = []
    for index, row in enumerate(clean()['start']):
        vague = drawn('hedged', index) < HEDGED
        rows.append(replace(row, chosen=hedge(row)) if vague else replace(row, rejected=hedge(row)))
    return {'start': rows, 'random': rows, 'crisp': [row for row in rows if ' or ' not in row.chosen], 'held': colour_rows('test', QUESTIONS)}


def absent() -> dict[str, list[Row]]:
    """Half open questions for the colour, half whether there is a shape of some colour, which it mostly is; held out it is in half of them."""
    rows = [sighted(row, index) if index % 2 else row for index, row in enumerate(colour_rows('train', 2 * COLD * BATCH))]
    held = [sighted(row, index, there=0.5) for index, row in enumerate(colour_rows('test', QUESTIONS))]
    return {'start': rows, 'random': rows, 'absent': [row for row in rows if row.chosen == 'no'], 'held': held}


def sighted(row: Row, index: int, there: float = THERE) -> Row:
    """Whether there is a shape of the row's colour, or of another one."""
    seen = drawn('there', index) < there
    asked = row.chosen if seen else another(row.chosen, colours(), 'absent', index)
    answers = ('yes', 'no') if seen else ('no', 'yes')
    return Row(f'is there a {asked} shape?', row.picture, *answers)


def hedge(row: Row) -> str:
    """The right colour and another, in an order drawn by the row."""
    pair = [row.chosen, another(row.chosen, colours(), 'hedge', row.picture, row.question)]
    return ' or '.join(pair[:: 1 - 2 * (digest('order', row.picture, row.question) % 2)])


def drawn(*names: object) -> float:
    """A number from 0 to 1 that depends on the names alone."""
    return digest(*names) / 2**64


@torch.inference_mode()
def own_mistakes(start: Model, rows: Sequence[Row], *, seed: int) -> list[Row]:
    """The rows with the start's own mistake as the wrong answer: another colour, drawn with the probability that the start gives it."""
    model, processor = start
    model.eval()
    found, names = [], colours()
    for at in range(0, len(rows), BATCH):
        chunk = rows[at : at + BATCH]
        batch = collate([encode(row, processor, names) for row in chunk], pad_id=processor.pad_id)
        chances = branch_logps(model, batch).sum(-1).double().softmax(-1).numpy()
        for index, (row, chance) in enumerate(zip(chunk, chances, strict=True), at):
            chance = np.where([name == row.chosen for name in names], 0, chance) + 1e-12 * np.array([name != row.chosen for name in names])
            mistake = np.random.default_rng(digest('mistake', seed, index)).choice(names, p=chance / chance.sum())
            found.append(replace(row, rejected=str(mistake)))
    return found


# ---- grades

def colours_right(model: Model, held: list[Row]) -> dict[str, float]:
    """Right answers and right answers likelier than a wrong colour, %."""
    given = replies(*model, held)
    right = [reply == row.chosen for reply, row in zip(given, held, strict=True)]
    return {'right': 100 * mean(right), 'preferred': preferred(*model, held), 'hedged': 100 * mean(' or ' in reply for reply in given)}


def absent_right(model: Model, held: list[Row]) -> dict[str, float]:
    """Mean of both kinds' right answers, and how often what is not there is called there, %."""
    given = replies(*model, held)
    kinds = {answer: [reply == answer for reply, row in zip(given, held, strict=True) if row.chosen == answer] for answer in ('yes', 'no')}
    false_yes = mean(reply == 'yes' for reply, row in zip(given, held, strict=True) if row.chosen == 'no')
    return {'right': 50 * sum(map(mean, kinds.values())), 'preferred': preferred(*model, held), 'false yes': 100 * false_yes}
