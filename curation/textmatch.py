"""Text overlap with a benchmark: normalised words, hashes of word n-grams, and the joint verdict with the picture.

Rule for short texts: a text of fewer than n words is one gram, the whole of it. So by `ngrams` a short question matches
only a question that is equal after normalisation.
"""

import hashlib
import unicodedata
from typing import Literal

Evidence = Literal['', 'image', 'image+question', 'text', 'question']


def normalise(text: str) -> str:
    """Return `text` as words parted by one space: NFKC, case folded, everything but letters, marks and numbers dropped.

    A point or comma between two digits stays, and so does a sign before one: 3.5, 1,000 and -2 are answers.
    """
    folded = unicodedata.normalize('NFKC', unicodedata.normalize('NFKC', text).casefold())
    padded = f' {folded} '
    kept = (
        char if _is_word(char) or _is_in_number(before, char, after) else ' '
        for before, char, after in zip(padded, folded, padded[2:], strict=False)
    )
    return ' '.join(''.join(kept).split())


def ngrams(text: str, n: int) -> list[int]:
    """Return the distinct 64-bit hashes, ascending, of the n-grams of words of `text`; the same on every machine."""
    return _hashed(normalise(text).split(), n)


def overlap(theirs: str, ours: str, n: int) -> float:
    """Return the share of a benchmark text's n-grams that our text holds: 0.0 where the benchmark's text is empty.

    A benchmark text of fewer than n words counts as one gram of its own length, so that the answer "42" is found
    in "The answer is 42".
    """
    words = normalise(theirs).split()
    size = min(n, len(words))
    grams = _hashed(words, size)
    held = set(ngrams(ours, size)) if grams else set()
    return sum(gram in held for gram in grams) / len(grams) if grams else 0.0


def contaminated(*, image_hit: bool, question_hit: bool, answer_hit: bool | None, has_image: bool) -> Evidence:
    """Return how a sample repeats a benchmark, '' if it does not. `has_image`: whether the sample shows a picture.

    A sample with a picture repeats a benchmark by the picture, whatever is asked about it; the same words about another
    picture ("What colour is the car?") are no repetition. A sample of text alone needs the question and the answer:
    answers alone are too short to tell anything, questions alone are templates. `answer_hit` is None where the benchmark
    keeps its answer to itself: then the question has to do.
    """
    if has_image:
        return ('image+question' if question_hit else 'image') if image_hit else ''
    if not question_hit:
        return ''
    return 'question' if answer_hit is None else 'text' if answer_hit else ''


def accepted_answers(answer: str, options: list[str]) -> list[str]:
    """Return what a benchmark item's answer may be called: the answer, and where it is an option's letter that option."""
    place = ord(answer) - ord('A') if len(answer) == 1 else -1
    return [answer, options[place]] if 0 <= place < len(options) else [answer]


def _hashed(words: list[str], n: int) -> list[int]:
    if not words:
        return []
    grams = {' '.join(words[at : at + n]) for at in range(max(1, len(words) - n + 1))}
    return sorted(int.from_bytes(hashlib.blake2b(gram.encode(), digest_size=8).digest()) for gram in grams)


def _is_word(char: str) -> bool:
    return unicodedata.category(char)[0] in 'LNM'


def _is_in_number(before: str, char: str, after: str) -> bool:
    """Return whether `char` is a decimal point, a thousands comma or a sign rather than punctuation."""
    if char in '.,':
        return before.isdigit() and after.isdigit()
    return char in '-−' and after.isdigit() and not _is_word(before)
