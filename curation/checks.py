"""Checks on one sample's text: a reason with a detail, or nothing. Bounds come from the recipe's `text` section."""

import re
from collections import Counter
from dataclasses import dataclass

from curation.formats import IMAGE
from schemas.records import Reason, Turn

# Answers of a service rather than of the picture, seen in published sets (peers.md §3.6: "message is empty" shipped as answers).
_BOILERPLATE = re.compile(
    r"^\W*(your message is empty|message is empty|i['’]?m sorry,? but i (can['’]?t|cannot)|i['’]?m sorry,? i (can['’]?t|cannot)|sorry,? i (can['’]?t|cannot)"
    r"|as an ai( language)? model|i (can['’]?t|cannot|am unable to) (see|view|assist|help)|no (answer|caption) (provided|available))",
    re.IGNORECASE)
_REPEAT_WORDS = 4  # a run of this many words ...
_REPEAT_TIMES = 6  # ... this many times over is a generator in a loop, not an answer
_REPEAT_SHARE = 0.5  # ... if it makes up this share of the text


@dataclass(frozen=True, slots=True)
class TextBounds:
    """Bounds in characters; `boilerplate` switches the phrase list."""

    max_question_chars: int
    max_answer_chars: int
    min_answer_chars: int
    boilerplate: bool


def check_text(turns: tuple[Turn, ...], bounds: TextBounds) -> tuple[Reason, str] | None:
    """Return the first reason against a sample's text, with what was found, or None."""
    for turn in turns:
        text = turn.text.replace(IMAGE, '').strip()
        found = _question(text, bounds) if turn.role == 'user' else _answer(text, bounds)
        if found:
            return found
    return None


def _question(text: str, bounds: TextBounds) -> tuple[Reason, str] | None:
    if not text:
        return Reason.EMPTY_QUESTION, 'the question has no words'
    if len(text) > bounds.max_question_chars:
        return Reason.RECORD_TOO_LARGE, f'a question of {len(text)} characters, more than {bounds.max_question_chars}'
    return None


def _answer(text: str, bounds: TextBounds) -> tuple[Reason, str] | None:
    if len(text) < bounds.min_answer_chars:
        return Reason.EMPTY_ANSWER, f'an answer of {len(text)} characters, fewer than {bounds.min_answer_chars}'
    if len(text) > bounds.max_answer_chars:
        return Reason.ANSWER_TOO_LONG, f'an answer of {len(text)} characters, more than {bounds.max_answer_chars}'
    if bounds.boilerplate and _BOILERPLATE.match(text):
        return Reason.BOILERPLATE_ANSWER, text[:120]
    if run := repeated_run(text):
        return Reason.REPETITIVE_ANSWER, f'again and again: {run[:100]!r}'
    return None


def repeated_run(text: str) -> str | None:
    """Return the run of words that fills the text by repetition, or None."""
    words = text.split()
    if len(words) < _REPEAT_WORDS * _REPEAT_TIMES:
        return None
    runs = Counter(zip(*(words[i:] for i in range(_REPEAT_WORDS)), strict=False))
    run, times = max(runs.items(), key=lambda item: (item[1], item[0]))
    return ' '.join(run) if times >= _REPEAT_TIMES and times * _REPEAT_WORDS >= _REPEAT_SHARE * len(words) else None
