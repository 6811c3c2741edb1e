"""Do the texts of a source belong to its pictures? An annotation file that is shifted against its pictures (a join that is off by one) shows without
a model: then the pictures explain the texts of their neighbours, and their own no better than chance.

Plain features of pictures (colours, where they are, shape, size) are compared with the words about them, each with each by its correlation,
with the texts in their place (lag 0) and moved along the file by a few pictures. The fourth powers are summed, so that a few that surely belong
together ("blue" and blue) count for more than thousands that differ from 0 by chance. Each lag is told in standard deviations of what lags far away
give: strangers, but of the same file, so that a sorted file is no evidence.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from curation.rows.formats import IMAGE
from curation.texts.textmatch import units

NEAR = 3  # lags that are looked at, to either side
FAR = (10, 50)  # lags at which texts are strangers to a picture; what they give is chance
LEAST_PICTURES = 60
HUES = 12
SURE = 6.0  # standard deviations by which the lag that fits best must leave chance ...
SHARE = 0.5  # ... and at most this share of its lead may be left to the texts in their place
RARE, MOST_WORDS = 5, 2_000  # words that fewer texts (or a fiftieth) have, or have not, tell nothing


@dataclass(frozen=True, slots=True)
class Alignment:
    """How well pictures fit the texts in their place, and those of the lag that fits best, in standard deviations from chance (of the logarithm).

    `left`: what the texts in their place have of the lead over chance of those that fit best.
    """

    pictures: int
    in_place: float
    lag: int
    at_lag: float
    left: float

    @property
    def shifted(self) -> bool:
        """Return whether the texts surely belong to other pictures."""
        return self.lag != 0 and self.at_lag >= SURE and self.left <= SHARE


def alignment(features: NDArray[np.float64], texts: Sequence[set[str]], runs: Sequence[int]) -> Alignment | None:
    """Return how pictures fit the texts about them, in order of the file; None of too few, or of pictures or texts that are all alike.

    features: float[n, d] of picture k; texts: the words about it; runs: equal where pictures stand in one piece of the file.
    """
    words, run = _words(texts), np.asarray(runs)
    if len(texts) < LEAST_PICTURES or not words.shape[1]:
        return None
    lags = [*range(-NEAR, NEAR + 1), *(sign * lag for lag in range(*FAR) for sign in (1, -1))]
    values = {lag: found for lag in lags if (found := _dependence(features, words, run, lag)) > 0}
    far = np.log([value for lag, value in values.items() if abs(lag) >= FAR[0]])
    if len(far) < FAR[0] or far.std() == 0 or 0 not in values:
        return None
    scores = {lag: float((np.log(values[lag]) - far.mean()) / far.std()) for lag in range(-NEAR, NEAR + 1) if lag in values}
    best = max(scores, key=lambda lag: (scores[lag], -abs(lag)))
    chance = float(np.exp(far.mean()))
    left = (values[0] - chance) / (values[best] - chance) if values[best] > chance else 1.0
    return Alignment(len(texts), scores[0], best, scores[best], left)


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
            found |= set(asked if turn['role'] == 'user' else [*asked, *words])
            asked = words if turn['role'] == 'user' else []
    return found | set(asked)


def _hue(pixels: NDArray, high: NDArray, chroma: NDArray) -> NDArray:
    red, green, blue = pixels.T
    safe = np.maximum(chroma, 1e-9)
    sixths = np.where(high == red, (green - blue) / safe % 6, np.where(high == green, (blue - red) / safe + 2, (red - green) / safe + 4))
    return np.where(chroma > 0, sixths / 6, 0.0)


def _words(texts: Sequence[set[str]]) -> NDArray[np.float64]:
    """Return float[n, words]: 1 where a text has a word; of those that enough texts have and enough have not, the MOST_WORDS most frequent."""
    counts = Counter(word for text in texts for word in text)
    least = max(RARE, len(texts) // 50)
    fits = sorted((-n, word) for word, n in counts.items() if least <= n <= len(texts) - least)
    kept = {word: at for at, (_, word) in enumerate(fits[:MOST_WORDS])}
    found = np.zeros((len(texts), len(kept)))
    for row, text in enumerate(texts):
        found[row, [kept[word] for word in text if word in kept]] = 1
    return found


def _dependence(features: NDArray[np.float64], words: NDArray[np.float64], run: NDArray, lag: int) -> float:
    """Return the sum of the fourth powers of the correlations of each feature with each word `lag` places on; 0 where runs are too short."""
    at = np.arange(max(0, -lag), min(len(run), len(run) - lag))
    at = at[run[at] == run[at + lag]]
    if len(at) < LEAST_PICTURES // 2:
        return 0.0
    correlations = _standard(features[at]).T @ _standard(words[at + lag]) / len(at)
    return float((correlations**4).sum())


def _standard(columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return columns of mean 0 and variance 1; of one that never changes, 0."""
    spread = columns.std(axis=0)
    return (columns - columns.mean(axis=0)) / np.where(spread > 1e-9, spread, np.inf)
