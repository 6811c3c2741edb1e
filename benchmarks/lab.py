"""A training laboratory of seconds: tiny models on easy-vqa's pictures, whose labels its generator computed, with this project's own stepper.

Rows are held in memory; a start is trained once and copied for every arm, so that arms of one seed share weights, rows and their order.
Of easy-vqa's questions those for a colour are learnt in 150 steps of 32 rows, those for a shape not at this size (docs/learning.md).
"""

import copy
import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import islice
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import easy_vqa
import numpy as np
import torch
from scipy.stats import t
from torch import Tensor

from model.phantom.build import build_scratch
from model.phantom.modeling import PhantomForConditionalGeneration
from model.phantom.processor import PhantomProcessor
from model.training.branches import EncodedRow, branch_logps, collate
from model.training.losses import po_terms
from model.training.schedule import make_schedule
from model.training.settings import TrainSettings, load_preset
from model.training.stepper import Stepper

BATCH = 32  # rows a step
SHAPES = ['circle', 'rectangle', 'triangle']
# easy-vqa's pictures have 64 pixels: one small tile of 16 patches, 4 tokens.
VISION = {'hidden_size': 64, 'intermediate_size': 128, 'num_hidden_layers': 2, 'num_attention_heads': 4, 'image_size': 56}
# Half of tiny's time a step, and as many colours right after 200 steps (92 %, one seed).
LANGUAGE = {'hidden_size': 96, 'intermediate_size': 256, 'num_hidden_layers': 2, 'num_attention_heads': 6, 'initializer_range': 0.1}


@dataclass(frozen=True, slots=True)
class Row:
    """A question about a picture of easy-vqa, a right answer and a wrong one."""

    question: str
    picture: str  # its path
    chosen: str
    rejected: str = ''


Model = tuple[PhantomForConditionalGeneration, PhantomProcessor]


def digest(*names: object) -> int:
    """A number that depends on the names alone."""
    return int.from_bytes(hashlib.sha256('/'.join(map(str, names)).encode()).digest()[:8], 'big')


def colours() -> list[str]:
    """The colours that easy-vqa paints with."""
    return sorted(set(easy_vqa.get_answers()) - {*SHAPES, 'yes', 'no'})


def open_questions(split: tuple[list, list, list], *, colours: bool) -> list[tuple[str, str, int]]:
    """Question, answer and image id of those that are not answered by yes or no, or of those answered by a colour."""
    left_out = {'yes', 'no', *(SHAPES if colours else ())}
    return [row for row in zip(*split, strict=True) if row[1] not in left_out]


def colour_rows(split: str, count: int) -> list[Row]:
    """So many questions for a colour of a split (train, test), always the same ones; the wrong answer is another colour, drawn by name."""
    questions = open_questions(getattr(easy_vqa, f'get_{split}_questions')(), colours=True)
    paths = getattr(easy_vqa, f'get_{split}_image_paths')()
    picked = sorted(range(len(questions)), key=lambda index: digest(split, index))[:count]
    rows = [Row(text, paths[image], answer) for text, answer, image in map(questions.__getitem__, picked)]
    return [replace(row, rejected=another(row.chosen, colours(), 'wrong', split, index)) for row, index in zip(rows, picked, strict=True)]


def another(answer: str, answers: Sequence[str], *names: object) -> str:
    """One of the answers but this one, drawn by names."""
    others = [other for other in answers if other != answer]
    return others[digest(*names) % len(others)]


def message(role: str, text: str, *, image: bool = False) -> list[dict]:
    """One turn in TRL's conversational form."""
    return [{'role': role, 'content': [{'type': 'image', 'text': None}] * image + [{'type': 'text', 'text': text}]}]


@cache
def tiles_of(picture: str, processor: PhantomProcessor) -> Tensor:
    """The tiles of a picture, float[1, 3, 56, 56]."""
    return processor.tile(Path(picture).read_bytes())


def encode(row: Row, processor: PhantomProcessor, answers: Sequence[str]) -> EncodedRow:
    """Ids and tiles of a question with these answers behind it."""
    tiles = tiles_of(row.picture, processor)
    prompt = processor.encode_prompt(message('user', row.question, image=True), [len(tiles)])
    return EncodedRow(tuple(prompt), tuple(tuple(processor.encode_answer(message('assistant', text))) for text in answers), tiles)


def shuffled(rows: Sequence[Row], count: int, *names: object) -> Iterator[Row]:
    """`count` rows, epoch after epoch, each epoch in an order drawn by names."""
    epoch = 0
    while count > 0:
        order = np.random.default_rng(digest(*names, epoch)).permutation(len(rows))[:count]
        yield from (rows[index] for index in order)
        count, epoch = count - len(order), epoch + 1


def model_section() -> dict[str, Any]:
    """The model section of a preset like `tiny`, but smaller."""
    tiny = load_preset('tiny').model
    return {**tiny, 'vision_config': VISION, 'llm_config': {**tiny['llm_config'], **LANGUAGE}}


def scratch(seed: int, **model: Any) -> Model:
    """A model of that section at random weights; `model` is what differs in it."""
    return build_scratch({**model_section(), **model}, seed=seed)


def fit(
    start: Model, rows: Sequence[Row], settings: TrainSettings, *, steps: int, seed: object, kind: type[Stepper] = Stepper, **options: Any
) -> Model:
    """A copy of the start after so many steps on rows in the seed's order."""
    model, processor = copy.deepcopy(start[0]), start[1]
    stepper = kind(model, processor, settings, resume=None, **options)
    schedule = make_schedule(settings, steps)
    stream = shuffled(rows, steps * BATCH, 'order', seed)
    for step in range(steps):
        batch = [encode(row, processor, (row.chosen, row.rejected) if settings.stage == 1 else (row.chosen,)) for row in islice(stream, BATCH)]
        stepper.step(batch, step=step + 1, rate=schedule.rate(step), paired=step >= schedule.po_from)
    return stepper.processes.accelerator.unwrap_model(model), processor


@torch.inference_mode()
def replies(model: PhantomForConditionalGeneration, processor: PhantomProcessor, rows: Sequence[Row]) -> list[str]:
    """Greedy answers, a hundred questions at once."""
    model.eval()
    answers: list[str] = []
    for start in range(0, len(rows), 100):
        chunk = rows[start : start + 100]
        inputs = processor.encode_questions([row.question for row in chunk], [[Path(row.picture).read_bytes()] for row in chunk])
        ids = model.generate(**inputs, max_new_tokens=20, do_sample=False)
        answers += processor.tokenizer.batch_decode(ids[:, inputs['input_ids'].shape[1] :], skip_special_tokens=True)
    return [answer.strip() for answer in answers]


@torch.inference_mode()
def preferred(model: PhantomForConditionalGeneration, processor: PhantomProcessor, rows: Sequence[Row]) -> float:
    """Share of rows, %, whose right answer has a higher mean log-probability than the wrong one."""
    model.eval()
    right = 0
    for start in range(0, len(rows), 100):
        batch = collate([encode(row, processor, (row.chosen, row.rejected)) for row in rows[start : start + 100]], pad_id=processor.pad_id)
        right += int((po_terms(branch_logps(model, batch), batch.targets)[1] > 0).sum())
    return 100 * right / len(rows)


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Mean and half width of its 95 % t-interval."""
    if len(values) < 2:
        return values[0], math.nan
    return mean(values), float(t.ppf(0.975, len(values) - 1)) * stdev(values) / math.sqrt(len(values))
