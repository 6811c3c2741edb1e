import random

import numpy as np
import pytest

from pipelines.mix import word_runs
from pipelines.mix.word_runs import Vocabulary, WordRuns
from tests.growth import least_seconds

WORDS = [f'w{i}' for i in range(200)]


def share(question: list[str], text: list[str], n: int) -> float:
    ours, theirs = ({tuple(of[at : at + n]) for at in range(len(of) - n + 1)} for of in (text, question))
    return len(ours & theirs) / len(theirs)


class Runs:
    """Questions looked for in texts that are lists of units."""

    def __init__(self, questions: list[list[str]], n: int, least: float) -> None:
        self.vocabulary = Vocabulary(questions)
        self.runs = WordRuns(questions, n, least, self.vocabulary)

    def encode(self, texts: list[list[str]]) -> tuple[np.ndarray, np.ndarray]:
        return self.vocabulary.encode([unit for text in texts for unit in text]), np.cumsum([0, *map(len, texts)])


def found(questions: Runs, texts: list[list[str]], n_questions: int) -> set[tuple[int, int, float]]:
    hits = questions.runs.find(*questions.encode(texts), np.zeros(len(texts), bool), of=np.ones(n_questions, bool))
    return {(text, question, round(kept, 6)) for text, shares in hits for kept, question in shares}


@pytest.mark.parametrize(('n', 'least'), [(8, 0.8), (5, 0.7), (3, 1.0), (8, 0.2)])
def test_just_those_questions_are_found_of_which_enough_runs_stand_in_a_text(n: int, least: float):
    draw = random.Random(f'{n}/{least}')
    questions = [[draw.choice(WORDS) for _ in range(draw.randint(n, 60))] for _ in range(200)]
    texts: list[list[str]] = [[], ['w1']]
    for _ in range(150):
        kept = list(draw.choice(questions))
        for _ in range(draw.randint(0, 2)):
            kept[draw.randrange(len(kept))] = 'never asked'
        texts.append([draw.choice(WORDS) for _ in range(draw.randint(0, 9))] + kept + [draw.choice(WORDS) for _ in range(draw.randint(0, 9))])
    expected = {(text, question, round(kept, 6)) for text, of in enumerate(texts) for question, asked in enumerate(questions)
                if (kept := share(asked, of, n)) >= least and kept}  # fmt: skip
    assert len(expected) >= 50
    assert found(Runs(questions, n, least), texts, len(questions)) == expected


def test_no_run_reaches_from_one_text_into_the_next():
    runs = Runs([['a', 'b', 'c', 'd']], 4, 0.8)
    assert found(runs, [['a', 'b'], ['c', 'd']], 1) == set()
    assert found(runs, [['a', 'b', 'c', 'd']], 1) == {(0, 0, 1.0)}


def test_in_some_texts_only_some_questions_are_looked_for():
    runs = Runs([['a', 'b', 'c'], ['x', 'y', 'z']], 3, 0.8)
    texts = runs.encode([['a', 'b', 'c', 'x', 'y', 'z']] * 2)
    hits = dict(runs.runs.find(*texts, np.array([True, False]), of=np.array([False, True])))
    assert hits == {0: [(1.0, 1)], 1: [(1.0, 0), (1.0, 1)]}


def test_a_run_that_many_questions_begin_with_costs_nothing_and_hides_none(monkeypatch):
    monkeypatch.setattr(word_runs, 'MOST_ASKING', 3)
    begin = ['please', 'answer', 'this']
    questions = [[*begin, f'a{k}', f'b{k}', f'c{k}'] for k in range(50)]
    runs = Runs(questions, 3, 0.8)
    assert found(runs, [begin, questions[7]], 50) == {(1, 7, 1.0)}


def test_without_questions_nothing_is_found():
    assert found(Runs([], 8, 0.8), [['a'] * 20], 0) == set()


def test_eight_times_the_texts_take_no_more_than_eight_times_as_long_and_as_much_again():
    questions = [[f'{letter}{k}' for letter in 'abcd'] for k in range(200)]
    runs = Runs(questions, 3, 0.8)

    def seconds(n: int) -> float:
        texts = runs.encode([questions[k % 200] for k in range(n)])
        return least_seconds(lambda: sum(1 for _ in runs.runs.find(*texts, np.zeros(n, bool), of=np.ones(200, bool))))

    assert seconds(48_000) < 16 * seconds(6_000) + 0.3
