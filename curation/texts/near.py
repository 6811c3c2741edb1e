"""When two samples say nearly the same in words: runs of three words that they share, and what tells them apart however many they share.

Two questions from one template share nearly all of their words and ask for different things. So what carries the matter must be equal: numbers,
signs, negations, single letters (variables), each short answer, who speaks when (`telling`); and no name and no member of a closed class (left,
right) may stand in one text alone. What is left to differ is wording: punctuation, case, an instruction behind the question, a word here or there.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from curation.answers.exclusive import exclude
from curation.answers.kinds import NEGATIONS
from curation.answers.number_words import ORDINALS, SCALES, SMALL
from curation.texts.signs import plain, signed

SHINGLE = 3  # words
SHORT_ANSWER = 20  # words: of an answer that is no longer each word counts
_NO_VARIABLES = frozenset('ai')
_MATTERS = NEGATIONS | SMALL.keys() | ORDINALS.keys() | SCALES.keys()
_NAME = re.compile(r'(?<![.!?:\n"“(])(?<![.!?:] )[ (]([^\W\d_]*[A-ZÄÖÜ][\w-]*)')  # a capital inside a sentence


@dataclass(frozen=True, slots=True)
class Words:
    """A sample in words: all of them in order, and what must be equal in another for the two to say the same."""

    all: list[str]
    telling: tuple


def words_of(turns: Sequence[dict]) -> Words:
    """Return turns (role, text) in words of the loose form; marks of pictures are none."""
    of_turns = [signed(turn['text']) for turn in turns]
    bare = [plain(units) for units in of_turns]
    matters = tuple(unit for units in of_turns for unit in units if _matters(unit))
    short = tuple(tuple(words) for turn, words in zip(turns, bare, strict=True) if turn['role'] == 'assistant' and len(words) <= SHORT_ANSWER)
    signs = tuple(unit for units, words in zip(of_turns, bare, strict=True) if len(units) > len(words) for unit in units if unit not in set(words))
    return Words([word for words in bare for word in words], (tuple(turn['role'] for turn in turns), matters, signs, short))


def shingles(words: Sequence[str]) -> set[str]:
    """Return the runs of SHINGLE words of a text, of a shorter one all of it; none of no words."""
    return {' '.join(words[at : at + SHINGLE]) for at in range(max(1, len(words) - SHINGLE + 1))} if words else set()


def jaccard(one: set[str], other: set[str]) -> float:
    """Return the share of all runs of two texts that both have."""
    common = len(one & other)
    return common / (len(one) + len(other) - common) if one or other else 0.0


@dataclass(frozen=True, slots=True)
class Runs:
    """What two texts are compared by: their runs of words, their words, and the names among them."""

    runs: set[str]
    words: set[str]
    names: set[str]


def runs_of(turns: Sequence[dict]) -> Runs:
    """Return what turns (role, text) are compared by."""
    words = words_of(turns).all
    names = {name.casefold() for turn in turns for name in _NAME.findall(turn['text'])}
    return Runs(shingles(words), set(words), names)


def alike(one: Runs, other: Runs, least: float) -> float:
    """Return the similarity (Jaccard) of two texts, 0.0 below `least` or where a word of one alone is a name, or excludes one of the other's."""
    found = jaccard(one.runs, other.runs)
    if found < least:
        return 0.0
    mine, theirs = one.words - other.words, other.words - one.words
    told_apart = mine & one.names or theirs & other.names or any(exclude(a, b) for a in mine for b in theirs)
    return 0.0 if told_apart else found


def _matters(unit: str) -> bool:
    return unit in _MATTERS or len(unit) == 1 and unit.isascii() and unit not in _NO_VARIABLES or any(map(str.isdigit, unit))
