"""Texts that stand one picture off in the file are told from those in their place, and nothing else is taken for them."""

import numpy as np
import pytest

from curation.texts.alignment import DENIED, FALSE_RATE, LOOKS, _chance, alignment, picture_features, together, words_about

COLOURS = {'red': (200, 30, 30), 'green': (30, 180, 40), 'blue': (30, 40, 200), 'yellow': (220, 210, 40), 'grey': (128, 128, 128)}
THINGS = ['ball', 'cup', 'hat', 'book', 'lamp', 'shoe', 'door', 'tree']


def drawn(seed: int, n: int = 200, *, telling: bool = True, ordered: bool = False) -> tuple[np.ndarray, list[dict[str, float]]]:
    """Return features and words of n pictures of one colour; `telling`: the words name it, `ordered`: pictures of one colour stand together."""
    rng = np.random.default_rng(seed)
    names = rng.choice(sorted(COLOURS), n)
    names = np.sort(names) if ordered else names
    features, texts = [], []
    for name in names:
        pixels = np.clip(rng.normal(230, 12, (64, 3)), 0, 255)
        pixels[rng.permutation(64)[:20]] = np.clip(rng.normal(COLOURS[str(name)], 25, (20, 3)), 0, 255)
        features.append(picture_features(pixels.astype(np.uint8).tobytes(), *rng.integers(40, 400, 2).tolist(), document=False))
        texts.append(dict.fromkeys([str(name) if telling else str(rng.choice(sorted(COLOURS))), str(rng.choice(THINGS)), 'the', 'is'], 1.0))
    return np.array(features), texts


def moved(texts: list[dict[str, float]], lag: int) -> list[dict[str, float]]:
    return [texts[(at + lag) % len(texts)] for at in range(len(texts))]


@pytest.mark.parametrize('lag', [1, -1, 2, -3])
def test_texts_that_are_some_pictures_off_are_seen_and_by_how_many(lag):
    features, texts = drawn(1)
    found = alignment(features, moved(texts, lag), [0] * len(texts))
    assert (found.shifted, found.lag) == (True, -lag)


@pytest.mark.parametrize('ordered', [False, True])
@pytest.mark.parametrize('telling', [True, False])
def test_texts_in_their_place_are_not_taken_for_shifted(telling, ordered):
    for seed in range(2):
        features, texts = drawn(seed, telling=telling, ordered=ordered)
        found = alignment(features, texts, [0] * len(texts))
        assert found is None or not found.shifted
        if telling and not ordered:
            assert (found.lag, found.in_place > 6) == (0, True)


def test_pieces_of_the_file_are_not_read_into_each_other():
    features, texts = drawn(3, 400)
    runs = [at // 100 for at in range(400)]
    pieces = [text for run in range(4) for text in moved(texts[100 * run : 100 * run + 100], 1)]
    assert alignment(features, pieces, runs).shifted
    assert not alignment(features, texts, runs).shifted


def test_of_few_pictures_or_words_that_never_come_back_nothing_is_told():
    features, texts = drawn(1, 40)
    assert alignment(features, texts, [0] * 40) is None
    features, texts = drawn(1, 100)
    assert alignment(features, [{f'w{at}': 1.0} for at in range(100)], [0] * 100) is None
    assert alignment(features, [{}] * 100, [0] * 100) is None
    assert alignment(np.zeros_like(features), texts, [0] * 100) is None or not alignment(np.zeros_like(features), texts, [0] * 100).shifted


def test_what_is_denied_of_a_picture_is_not_said_of_it():
    said = ('<image>\nIs it red?', 'No.', 'What is it?', 'A cup', 'Is the cup blue?', 'Yes')
    turns = [{'role': ('user', 'assistant')[at % 2], 'text': text} for at, text in enumerate(said)]
    assert words_about(turns) == {'red': DENIED} | dict.fromkeys(['what', 'is', 'it', 'a', 'cup', 'the', 'blue', 'yes'], 1.0)
    assert together([{'red': DENIED}, {'red': 1.0}, {'red': DENIED, 'it': DENIED}]) == {'red': 1.0, 'it': DENIED}


def test_a_row_that_is_missing_in_the_middle_shifts_what_follows():
    features, texts = drawn(5)
    found = alignment(features, texts[:120] + moved(texts[120:], 1), [0] * 200)
    assert (found.shifted, found.lag, found.since > 0) == (True, -1, True)


def test_what_fits_by_chance_is_not_called_shifted(monkeypatch):
    features, texts = drawn(1)
    found = alignment(features, moved(texts, 1), [0] * 200)
    assert found.shifted
    assert found.chance < FALSE_RATE / 1000
    monkeypatch.setattr('curation.texts.alignment._chance', lambda fit, pieces, value: 1.01 * FALSE_RATE / LOOKS)
    assert not alignment(features, moved(texts, 1), [0] * 200).shifted


def test_chance_is_read_from_the_tail_of_strangers_that_stay_in_their_piece_of_the_file():
    """Of an exponential of mean 1 more than x is exp(-x); the seed is fixed, the mean of a hundred is off by a tenth or so."""
    pieces, seen, rng = [np.arange(4), np.arange(4, 10)], list[np.ndarray](), np.random.default_rng(0)

    def fit(order: np.ndarray) -> float:
        seen.append(order)
        return float(rng.exponential())

    assert _chance(fit, pieces, 9.0) == pytest.approx(np.exp(-9), rel=2)
    assert len(seen) == 1000
    assert all(set(order[:4]) == {0, 1, 2, 3} for order in seen)
    assert len({tuple(order) for order in seen}) > 900
    seen.clear()
    assert _chance(fit, pieces, 1.0) == 1.0
    assert len(seen) == 100, 'a few are enough to see that it is nothing'
