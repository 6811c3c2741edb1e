"""The different questions of benchmarks, each with the items that ask it."""

import hashlib
import re
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa

from curation.texts.leaks import LEAST_WORDS, is_template, n_words
from curation.texts.signs import bare, signed
from curation.texts.textmatch import units
from curation.texts.turns import joined
from schemas.records import STRINGS

ITEM_TEXTS = pa.schema([
    ('bench', pa.string()), ('item_id', pa.string()), ('question', pa.string()), ('answers', STRINGS),
    ('pictures', STRINGS),  # sha256 of their bytes
])  # fmt: skip
_MARK = re.compile('<image[ _]?[0-9]*>')  # MMMU writes <image 1>


@dataclass(frozen=True)
class Question:
    """One wording, sign for sign."""

    loose: list[str]
    signed: list[str]
    bare: str  # of a short one, '' of a long one
    items: list[tuple[int, list[list[str]]]]  # of those with equal answers the first: its number, and its answers in signed form
    is_long: bool  # enough to be a leak by itself
    is_template: bool

    @cached_property
    def digest(self) -> str:
        """Return what names the wording."""
        return hashlib.sha256(joined(self.signed).encode()).hexdigest()[:32]


def different_questions(items: list[dict]) -> list[Question]:
    """Return the questions of rows of ITEM_TEXTS in the order they are first asked; those without a word are none."""
    asking: defaultdict[str, list[int]] = defaultdict(list)
    for at, item in enumerate(items):
        asking[without_marks(item['question'])].append(at)
    merged: dict[tuple[str, str], tuple[dict[tuple[str, ...], None], list[int]]] = {}
    for text, of_text in asking.items():
        loose = tuple(units(text))
        is_long = n_words(loose) >= LEAST_WORDS
        wordings, asked = merged.setdefault((joined(signed(text)), '' if is_long else bare(text)), ({}, []))
        wordings[loose] = None  # what is equal sign for sign may look different in the loose form, which alone finds it
        asked += of_text
    return [_question(items, list(loose), form, sorted(asked)) for form, (looses, asked) in merged.items() for loose in looses if loose]


def _question(items: list[dict], loose: list[str], form: tuple[str, str], asking: list[int]) -> Question:
    first = {tuple(items[at]['answers']): at for at in reversed(asking)}
    answers = [(at, [told for answer in texts if (told := signed(answer))]) for texts, at in first.items()]
    about = [(items[at]['bench'], picture, '\n'.join(items[at]['answers'])) for at in asking for picture in items[at]['pictures']]
    return Question(loose, form[0].split(), form[1], sorted(answers), n_words(loose) >= LEAST_WORDS, is_template(about))


def without_marks(text: str) -> str:
    """Return a text without the marks that stand for pictures."""
    return _MARK.sub(' ', text) if '<image' in text else text
