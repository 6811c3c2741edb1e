"""Do the texts of a source belong to its pictures? An annotation file that is shifted against its pictures (a join that is off by one) shows without
a model: then the pictures explain the texts of their neighbours, and their own no better than chance.

What is compared is how alike pictures are in plain features with how alike texts are in words: the Hilbert-Schmidt independence criterion (Gretton
et al., ALT 2005) between the two kernels, with the texts in their place (lag 0) and moved along the file by a few pictures. Each is told in standard
deviations of what chance gives, that is of lags far away: those are neighbours too, so that a sorted file is no evidence.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from curation.rows.formats import IMAGE
from curation.texts.textmatch import units

NEAR = 3  # lags that are looked at, to either side
FAR = 12  # from this lag on texts are strangers to a picture; of so many lags on either side chance is told
LEAST_PICTURES = 60
HUES = 12
SURE = 6.0  # standard deviations by which the lag that fits best must leave chance ...
SHARE = 0.5  # ... and at most this share of its lead may be left to the texts in their place
COMMON, RARE = 0.5, 2  # words in a larger share of the texts, or in fewer of them, tell nothing


@dataclass(frozen=True, slots=True)
class Alignment:
    """How well pictures explain the texts in their place, and those of the lag that fits best, in standard deviations; pictures looked at."""

    pictures: int
    in_place: float
    lag: int
    at_lag: float

    @property
    def shifted(self) -> bool:
        """Return whether the texts surely belong to other pictures."""
        return self.lag != 0 and self.at_lag >= SURE and self.in_place <= SHARE * self.at_lag


def alignment(features: NDArray[np.float64], texts: Sequence[set[str]], runs: Sequence[int]) -> Alignment | None:
    """Return how pictures fit the texts about them, in order of the file; None of too few, or of pictures or texts that are all alike.

    features: float[n, d] of picture k; texts: the words about it; runs: equal where pictures stand in one piece of the file.
    """
    words = _words(texts)
    if len(texts) < LEAST_PICTURES or not words.shape[1]:
        return None
    run = np.asarray(runs)
    lags = [*range(-NEAR, NEAR + 1), *(sign * lag for lag in range(FAR, 2 * FAR) for sign in (1, -1))]
    alike = _centred(_by_distance(features))
    values = {lag: found for lag in lags if (found := _dependence(alike, words, run, lag)) is not None}
    far = np.array([value for lag, value in values.items() if abs(lag) >= FAR])
    if len(far) < FAR or far.std() == 0 or 0 not in values:
        return None
    scores = {lag: float((values[lag] - far.mean()) / far.std()) for lag in range(-NEAR, NEAR + 1) if lag in values}
    best = max(scores, key=lambda lag: (scores[lag], -abs(lag)))
    return Alignment(len(texts), scores[0], best, scores[best])


def picture_features(thumb: bytes, width: int, height: int, *, document: bool) -> NDArray[np.float64]:
    """Return what of a picture may be told in words: colours, where they are, shape, size."""
    pixels = np.frombuffer(thumb, np.uint8).reshape(-1, 3) / 255.0
    ground = np.median(pixels, axis=0)
    odd = np.abs(pixels - ground).max(axis=1)  # what stands out of the ground
    high, low = pixels.max(axis=1), pixels.min(axis=1)
    chroma = high - low
    hue = _hue(pixels, high, chroma)
    weight = chroma * (0.1 + odd)
    hues = np.bincount((hue * HUES).astype(int) % HUES, weights=weight, minlength=HUES)
    hues = np.sqrt(hues / max(1e-6, hues.sum()))
    grey = pixels.mean(axis=1).reshape(8, 8)
    layout = (grey - grey.mean()).reshape(4, 2, 4, 2).mean(axis=(1, 3)).ravel()
    shape = [np.log(width / height), np.log(width * height) / 4, float(document)]
    return np.concatenate([2 * hues, layout, pixels.mean(axis=0), pixels.std(axis=0), [chroma.mean()], np.array(shape) / 2])


def words_about(turns: Sequence[dict]) -> set[str]:
    """Return the words of turns (role, text) about a picture; with yes or no as the answer, the words asked together with it: `red` no tells less."""
    found = set[str]()
    asked: list[str] = []
    for turn in turns:
        words = units(turn['text'].replace(IMAGE, ' '))
        if turn['role'] == 'assistant' and words[:1] in (['yes'], ['no']):
            found |= {f'{word}|{words[0]}' for word in asked} | set(words[1:])
            asked = []
        else:
            found |= {*asked, *words}
            asked = words if turn['role'] == 'user' else []
    return found | set(asked)


def _hue(pixels: NDArray, high: NDArray, chroma: NDArray) -> NDArray:
    red, green, blue = pixels.T
    safe = np.maximum(chroma, 1e-9)
    sixths = np.where(high == red, (green - blue) / safe % 6, np.where(high == green, (blue - red) / safe + 2, (red - green) / safe + 4))
    return np.where(chroma > 0, sixths / 6, 0.0)


def _words(texts: Sequence[set[str]]) -> NDArray[np.float64]:
    """Return float[n, words], rows of length 1 or 0: the words of each text, rare ones for more."""
    counts = Counter(word for text in texts for word in text)
    kept = {word: at for at, word in enumerate(sorted(word for word, n in counts.items() if RARE <= n <= COMMON * len(texts)))}
    found = np.zeros((len(texts), len(kept)))
    for row, text in enumerate(texts):
        for word in text:
            if word in kept:
                found[row, kept[word]] = np.log(len(texts) / counts[word])
    return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-9)


def _by_distance(features: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return float[n, n]: how alike pictures are, 1 to 0, by distances against their median."""
    lengths = (features**2).sum(axis=1)
    squares = np.maximum(lengths[:, None] + lengths[None] - 2 * features @ features.T, 0.0)
    middle = np.median(squares[squares > 0]) if (squares > 0).any() else 1.0
    return np.exp(-squares / max(middle, 1e-9))


def _centred(kernel: NDArray[np.float64]) -> NDArray[np.float64]:
    return kernel - kernel.mean(axis=0) - kernel.mean(axis=1, keepdims=True) + kernel.mean()


def _dependence(alike: NDArray[np.float64], words: NDArray[np.float64], run: NDArray, lag: int) -> float | None:
    """Return how well pictures fit the texts `lag` places behind them, None where runs are too short; no pair counts that is near in the file."""
    at = np.arange(max(0, -lag), min(len(run), len(run) - lag))
    at = at[run[at] == run[at + lag]]
    if len(at) < LEAST_PICTURES // 2:
        return None
    pictures = alike[np.ix_(at, at)]
    texts = words[at + lag] @ words[at + lag].T
    apart = np.abs(at[:, None] - at[None]) > NEAR  # neighbours in a file are alike in pictures and in texts
    texts = texts - texts[apart].mean()
    pictures = pictures - pictures[apart].mean()
    return float((pictures * texts)[apart].mean() / np.sqrt((pictures**2)[apart].mean() * (texts**2)[apart].mean() + 1e-12))
