"""Which of many texts need a closer look, found for all of them at once.

Whatever `checks` may find in a text for its signs, its phrases or its repeated words is in doubt; the others have none of it. Lengths, beginnings
and repeated characters are looked at one by one: `checks.is_fine`.
"""

import numpy as np

from curation.texts.checks import ASKED

_BLANK, _LINE_END, _DELETE = 32, 10, 127  # the blanks of an ordinary text; any other sign below 33 or above 126 is in doubt
_PHRASES = [phrase.encode() for phrase in ASKED if phrase.isascii()]
_WITHIN = 8  # words: a run of four that stands six times, and is half of n words, stands n / 8 times, so twice with its beginnings so near


def doubtful(texts: list[str]) -> set[int]:
    """Return the places in the list of texts that are in doubt."""
    joined = '\n'.join(['', *texts])  # a blank before each word
    data = joined.encode('utf-8', 'surrogatepass')
    lengths = map(len, texts) if joined.isascii() else (len(text.encode('utf-8', 'surrogatepass')) for text in texts)
    stops = np.cumsum(np.fromiter(lengths, np.int64, len(texts)) + 1)
    signs = np.frombuffer(data, np.uint8)
    places = [_odd(signs), np.array(_phrases(data.lower()), np.int64), _repeated(signs)]
    return set(np.searchsorted(stops, np.concatenate(places) - 1, 'right').tolist())


def _odd(signs: np.ndarray) -> np.ndarray:
    """Return the places of signs that are neither ASCII that is seen, nor a blank, nor a line feed."""
    return np.flatnonzero(((signs < _BLANK) & (signs != _LINE_END)) | (signs >= _DELETE))


def _phrases(small: bytes) -> list[int]:
    found = []
    for phrase in _PHRASES:
        at = small.find(phrase)
        while at >= 0:
            found.append(at)
            at = small.find(phrase, at + 1)
    return found


def _repeated(signs: np.ndarray) -> np.ndarray:
    """Return where four words begin that may stand again a few words on: of the first three both first letters are the same."""
    blanks = np.flatnonzero(signs <= _BLANK)  # others than the two are in doubt anyway
    begins = blanks[signs.take(blanks + 1, mode='clip') > _BLANK] + 1
    seconds = np.maximum(signs.take(begins + 1, mode='clip'), _BLANK)  # of a word of one letter a blank, whichever follows
    word = signs.take(begins, mode='clip').astype(np.uint16) << 8 | seconds
    if len(word) < _WITHIN + 3:
        return begins[:0]
    run = word[:-2] * np.uint16(31) + word[1:-1] * np.uint16(1009) + word[2:] * np.uint16(40009)  # in 16 bits: others are rarely the same by chance
    return np.concatenate([begins[np.flatnonzero(run[:-lag] == run[lag:])] for lag in range(1, _WITHIN + 1)])
