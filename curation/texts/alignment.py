"""Do the texts of a source belong to its pictures? An annotation file that is shifted against its pictures (a join that is off by one) shows without
a model: then the pictures explain the texts of their neighbours, and their own no better than chance.

From plain features of a picture (colours, where they are, shape, size) each word about it is foretold by kernel ridge regression, each picture by
all others (leave-one-out in closed form; Hastie, Tibshirani and Friedman, The Elements of Statistical Learning, section 7.10). The share of each
word that was foretold right (its squared correlation, if positive) is summed: with the texts in their place (lag 0) and moved along the file by a
few pictures. Two kinds of strangers say what chance gives. Texts moved far along come from the same file, so that a sorted file is no evidence;
texts in random order are as many as one likes, so that the rate of false alarms has a number: FALSE_RATE. How seldom these fit so well is read from
the tail of a thousand of them (Knijnenburg et al. 2009, Fewer permutations, more accurate P-values; here an exponential tail, as sums of squares
have).
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from curation.rows.formats import IMAGE
from curation.texts.textmatch import units

NEAR = 3  # lags that are looked at, to either side
FAR = (10, 50)  # lags at which texts are strangers to a picture
LEAST_PICTURES = 60
LEAST_RUN = 30  # pictures in one piece of the file, which has room for texts that are moved far
HUES = 12
SHARE = 0.5  # of the lead over chance of the lag that fits best, what may be left to the texts in their place, at most
SINCE = (0.0, 0.5, 0.75)  # a row that is missing in the middle of a file shifts what follows
FALSE_RATE = 1 / 1000  # of sources whose texts are strange to all pictures, those called shifted, at most
LOOKS = 2 * NEAR * len(SINCE)  # lags and beginnings, each of which could be the one that fits by chance
STRANGERS, TAIL = 1000, 0.1  # texts in random order; share of them by which the tail is told
RARE, MOST_WORDS = 5, 500  # words that fewer texts (or a fiftieth) have, or have not, tell nothing
RIDGE = 10.0
DENIED = -0.3  # a word that is denied of a picture tells less than one that is said of it


@dataclass(frozen=True, slots=True)
class Alignment:
    """How well pictures fit the texts in their place, and those of the lag that fits best, in standard deviations from texts moved far along.

    `left`: what the texts in their place have of the lead over chance of those that fit best; `chance`: how often any other lag fits as well where
    nothing belongs to anything, 1.0 where nobody looked; `since`: the share of the pictures in front of those that this is about.
    """

    pictures: int
    in_place: float
    lag: int
    at_lag: float
    left: float
    chance: float
    since: float = 0.0

    @property
    def shifted(self) -> bool:
        """Return whether the texts surely belong to other pictures."""
        return self.lag != 0 and self.left <= SHARE and self.chance <= FALSE_RATE


def alignment(features: NDArray[np.float64], texts: Sequence[dict[str, float]], runs: Sequence[int]) -> Alignment | None:
    """Return how pictures fit the texts about them, in order of the file: all or, where only these are shifted, those behind a place of SINCE.

    features: float[n, d] of picture k; texts: the words about it and how much each is said of it; runs: equal where pictures stand in one piece of
    the file, those of each together. None of too few pictures, or of pictures or texts that are all alike.
    """
    first = None
    for since in SINCE:
        start = round(since * len(texts))
        found = _alignment(features[start:], texts[start:], runs[start:])
        if found and found.shifted:
            return replace(found, since=since)
        first = first or found
    return first


def _alignment(features: NDArray[np.float64], texts: Sequence[dict[str, float]], runs: Sequence[int]) -> Alignment | None:
    """Return how these pictures fit the texts about them."""
    of_run = Counter(runs)
    long = [at for at, run in enumerate(runs) if of_run[run] >= LEAST_RUN]
    if len(long) < LEAST_PICTURES:
        return None
    words = _words([texts[at] for at in long])
    pieces = np.split(np.arange(len(long)), np.flatnonzero(np.diff([runs[at] for at in long])) + 1)
    foretell = _foretelling(features[long])

    def fit(order: NDArray) -> float:
        return _foretold(foretell, words[order])

    room = min(FAR[1], min(map(len, pieces)) - FAR[0] + 1)
    far = np.array([fit(_moved(pieces, sign * lag)) for lag in range(FAR[0], room) for sign in (1, -1)])
    values = {lag: fit(_moved(pieces, lag)) for lag in range(-NEAR, NEAR + 1)}
    if far.std() <= 1e-9:
        return None
    best = max(values, key=lambda lag: (values[lag], -abs(lag)))
    lead, in_place = values[best] - far.mean(), values[0] - far.mean()
    left = in_place / lead if lead > 0 else 1.0
    chance = _chance(fit, pieces, values[best]) if best != 0 and left <= SHARE and values[best] > far.max() else 1.0
    return Alignment(len(long), float(in_place / far.std()), best, float(lead / far.std()), float(left), min(1.0, LOOKS * chance))


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
    return np.concatenate([hues, layout, pixels.mean(axis=0), pixels.std(axis=0), [chroma.mean()], shape, ground, *_figure(pixels, odd)])


def words_about(turns: Sequence[dict]) -> dict[str, float]:
    """Return the words of turns (role, text) about a picture: 1 of each that is said, DENIED of those of a question that is answered with no."""
    said, denied = set[str](), set[str]()
    asked: list[str] = []
    for turn in turns:
        words = units(turn['text'].replace(IMAGE, ' '))
        if turn['role'] == 'assistant' and words[:1] == ['no']:
            denied |= set(asked)
            said |= set(words[1:])
            asked = []
        else:
            said |= set(asked if turn['role'] == 'user' else [*asked, *words])
            asked = words if turn['role'] == 'user' else []
    return dict.fromkeys(sorted(denied), DENIED) | dict.fromkeys(sorted(said | set(asked)), 1.0)


def together(texts: Iterable[dict[str, float]]) -> dict[str, float]:
    """Return what several texts say of one picture; what one of them says, another may not deny."""
    found: dict[str, float] = {}
    for text in texts:
        found |= {word: max(said, found.get(word, said)) for word, said in text.items()}
    return found


def _hue(pixels: NDArray, high: NDArray, chroma: NDArray) -> NDArray:
    red, green, blue = pixels.T
    safe = np.maximum(chroma, 1e-9)
    sixths = np.where(high == red, (green - blue) / safe % 6, np.where(high == green, (blue - red) / safe + 2, (red - green) / safe + 4))
    return np.where(chroma > 0, sixths / 6, 0.0)


def _figure(pixels: NDArray, odd: NDArray) -> list[NDArray]:
    """Return the colour of what stands out of the ground, how wide and high it is, to which side it leans, how much there is of it."""
    mass, loud = odd / max(1e-6, odd.sum()), odd**2 / max(1e-6, (odd**2).sum())
    places = np.mgrid[:8, :8].reshape(2, -1) / 8
    apart = places - (mass * places).sum(axis=1, keepdims=True)
    spread, leaning = (mass * apart**2).sum(axis=1), (mass * apart**3).sum(axis=1)
    return [loud @ pixels, spread, leaning, np.array([odd.mean(), (odd > odd.max() / 2).mean()])]


def _words(texts: Sequence[dict[str, float]]) -> NDArray[np.float32]:
    """Return float[n, words] of mean 0 and variance 1: of words that enough texts say and enough do not, the MOST_WORDS most frequent."""
    counts = Counter(word for text in texts for word, said in text.items() if said > 0)
    least = max(RARE, len(texts) // 50)
    fits = sorted((-n, word) for word, n in counts.items() if least <= n <= len(texts) - least)
    kept = {word: at for at, (_, word) in enumerate(fits[:MOST_WORDS])}
    found = np.zeros((len(texts), len(kept)))
    for row, text in enumerate(texts):
        for word, said in text.items():
            if word in kept:
                found[row, kept[word]] = said
    return _standard(found).astype(np.float32)


def _foretelling(features: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return float[n, n]: by which matrix what is known of n pictures gives what is foretold of each by the others, less its mean."""
    known = _standard(features)
    products = known @ known.T
    apart = np.maximum(0, np.diag(products)[:, None] + np.diag(products) - 2 * products)
    kernel = np.exp(-apart / max(1e-9, np.median(apart)))
    kernel -= kernel.mean(axis=0)
    kernel -= kernel.mean(axis=1, keepdims=True)
    hat = np.linalg.solve(kernel + RIDGE * np.eye(len(kernel)), kernel)
    own = np.diag(hat).copy()
    others = (hat - np.diag(own)) / (1 - own)[:, None]
    return (others - others.mean(axis=0)).astype(np.float32)


def _foretold(foretell: NDArray[np.float32], words: NDArray[np.float32]) -> float:
    """Return the sum over words of the squared correlation between what is said and what was foretold; of those below 0, nothing."""
    foretold = foretell @ words
    right = (foretold * words).mean(axis=0) / np.maximum(1e-9, foretold.std(axis=0))
    return float((np.maximum(0, right) ** 2).sum())


def _moved(pieces: Sequence[NDArray], lag: int) -> NDArray:
    """Return the places of the texts `lag` pictures on, those of the end of a piece at its beginning."""
    return np.concatenate([np.roll(piece, -lag) for piece in pieces])


def _chance(fit: Callable[[NDArray], float], pieces: Sequence[NDArray], value: float) -> float:
    """Return how often texts in random order, each within its piece of the file, fit as well as `value`; at least TAIL counts as 1.0."""
    rng = np.random.default_rng(STRANGERS)
    found: list[float] = []
    for n in (STRANGERS // 10, STRANGERS):  # most that fit by chance are seen to by a few
        found += [fit(np.concatenate([rng.permutation(piece) for piece in pieces])) for _ in range(n - len(found))]
        edge = float(np.quantile(found, 1 - TAIL))
        if value <= edge:
            return 1.0
    beyond = [one - edge for one in found if one > edge]
    return TAIL * float(np.exp(-(value - edge) / np.mean(beyond))) if beyond else 0.0


def _standard(columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return columns of mean 0 and variance 1; of one that never changes, 0."""
    spread = columns.std(axis=0)
    return (columns - columns.mean(axis=0)) / np.where(spread > 1e-9, spread, np.inf)
