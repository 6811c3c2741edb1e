"""What share of open shape questions a checkpoint answers right, about pictures that no training has seen.

The questions are those of easy-vqa's test split that are not answered by yes or no, with a capital as the demo asks them
(its source `shapes` is drawn from the training split); right is the greedy answer that equals easy-vqa's, letter by
letter. Beside it: what the most frequent answer would get.
Run: python -m benchmarks.held_out_shapes CHECKPOINT [--questions 600] [--threads 1]
"""

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import easy_vqa
import torch

from benchmarks.lab import SHAPES, Row, digest, open_questions, replies
from curation.calibration.planted import rate
from model.phantom.build import load_model
from model.training.checkpoint import find_checkpoint


def pick(count: int) -> list[Row]:
    """`count` questions, always the same ones."""
    rows, paths = open_questions(easy_vqa.get_test_questions(), colours=False), easy_vqa.get_test_image_paths()
    picked = sorted(range(len(rows)), key=lambda index: digest('test', index))[:count]
    return [Row(text.capitalize(), paths[picture], answer) for text, answer, picture in map(rows.__getitem__, picked)]


def grade(checkpoint: Path, rows: Sequence[Row]) -> list[bool]:
    """Whether the newest checkpoint of a run answers each question right."""
    model, processor = load_model(find_checkpoint(checkpoint))
    return [reply == row.chosen for reply, row in zip(replies(model, processor, rows), rows, strict=True)]


def share(name: str, rights: Sequence[bool], answers: Sequence[str]) -> str:
    """One line for people: how many are right, with a 95 % interval, and how many the most frequent answer would get."""
    right, (frequent, times) = rate(rights), Counter(answers).most_common(1)[0]
    return (f'{name}: {right.hits} of {right.total} right, {right.hits / right.total:.1%} ({right.low:.0%} to {right.high:.0%}); '
            f'always {frequent!r} would get {times / right.total:.1%}')


def main() -> None:
    """Prints a line for all, then one for shapes and one for colours."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('checkpoint', type=Path)
    parser.add_argument('--questions', type=int, default=600)
    parser.add_argument('--threads', type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rows = pick(options.questions)
    rights, answers = grade(options.checkpoint, rows), [row.chosen for row in rows]
    print(share('held-out open shape questions', rights, answers))
    for name, wanted in (('asked for a shape', True), ('asked for a colour', False)):
        of_kind = [index for index, answer in enumerate(answers) if (answer in SHAPES) == wanted]
        if of_kind:
            print(share(f'  {name}', [rights[index] for index in of_kind], [answers[index] for index in of_kind]))


if __name__ == '__main__':
    main()
