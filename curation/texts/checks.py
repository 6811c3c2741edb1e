"""Checks on one sample's text: a reason with a detail, or nothing. Bounds come from the recipe's `text` section."""

import re
from collections import Counter
from dataclasses import dataclass

from curation.rows.formats import IMAGE
from curation.texts.invisible import hidden, is_blank
from curation.texts.language import other_language
from schemas.records import Reason, Turn

# Answers of a service, not of the picture, seen in published sets ("message is empty": github.com/BAAI-DCAI/Visual-Instruction-Tuning/issues/5).
_CANNOT = r"(can['’]?t|cannot|can not|am unable to|am not able to|do not have|don['’]?t have)"
_BOILERPLATE = re.compile(
    r"^\W*(?:"
    r"(?:your |the )?message is empty|as an ai(?:,| (?:language )?model| assistant)|as a large language model"
    rf"|(?:i['’]?m |i am |i apologi[sz]e,? |my apologies,? )?(?:very )?(?:sorry|but)?,? ?(?:but )?i {_CANNOT} "
    r"(?:see|view|assist|help|provide|answer|access|fulfil|comply|process|the ability)"
    rf"|(?:i['’]?m |i am )?sorry,? (?:but )?i {_CANNOT}"
    r"|no (?:answer|caption|description|image) (?:is |was |has been )?(?:provided|available|given|attached|uploaded)"
    r"|(?:the |this )?image (?:is |was |has )?not (?:been )?(?:provided|available|visible|attached|uploaded)"
    r"|i (?:do not|don['’]?t) see (?:any|an|the) image|there is no image (?:provided|attached|available)"
    r"|please (?:provide|upload|attach|share) (?:the|an|a|your) image"
    r")", re.IGNORECASE)
# ... and what a service says of a question that did not reach it: no picture's answer holds it, so it may stand anywhere
_NOTHING_ASKED = re.compile(
    r"\bit (?:seems|looks|appears)(?: like| that| as if| as though)?(?: that)? (?:"
    r"(?:your|the) (?:message|question|prompt|input|request|query|text)\b[^.!?]{0,40}?"
    r"\b(?:is|was|were|got|has|have|may|might|did|didn['’]?t|came|seems?|appears?)\b[^.!?]{0,40}?"
    r"\b(?:empty|blank|cut off|incomplete|missing|come through|went through|go through)"
    r"|you(?:['’]ve| have)? (?:sent|submitted) (?:an? )?(?:empty|blank|incomplete) (?:message|prompt|request|query|question))\b", re.IGNORECASE)
# ... of which one of these stands in each, in small letters: `k` and `s` have capitals outside ASCII, so the search may find more
ASKED = ('t seem', 't look', 't appear', '\u017feem')
_NO_BOILERPLATE = frozenset('CDEFGHJKLOQRUWXZcdefghjkloqruwxz0123456789')  # with which nothing in _BOILERPLATE begins
_REPEAT_WORDS = 4  # a run of this many words ...
_REPEAT_TIMES = 6  # ... this many times over is a generator in a loop, not an answer
_REPEAT_SHARE = 0.5  # ... if it makes up this share of the text
_UNIT_CHARS = 20  # for texts without spaces: a unit of at most this many characters ...
_REPEAT_CHARS = re.compile(r'(\S.{0,19}?)\1{19,}', re.DOTALL)  # ... 20 times in a row
_REPEAT_CHARS_TIMES = 20
_NEAR = 8  # characters: with a unit of one more, fewer than ten units
_SEEN = frozenset(map(chr, range(ord('!'), ord('~') + 1)))  # signs of ASCII that are seen
_CHARS_NAMED = 5  # of the invisible ones, in a rejection


@dataclass(frozen=True, slots=True)
class TextBounds:
    """Bounds in characters; `boilerplate` switches the phrase list, None is no bound."""

    max_question_chars: int
    max_answer_chars: int
    min_answer_chars: int
    boilerplate: bool
    max_invisible_chars: int | None


def check_text(turns: tuple[Turn, ...], bounds: TextBounds, language: str | None = None) -> tuple[Reason, str] | None:
    """Return the first reason against a sample's text, with what was found, or None. `language` is what its answers should be in."""
    for turn in turns:
        text = turn.text.replace(IMAGE, '').strip()
        if turn.role == 'system':
            found = _system(text, bounds)
        else:
            found = _question(text, bounds) if turn.role == 'user' else _answer(text, bounds, language)
        if found:
            return found
    return None if bounds.max_invisible_chars is None else _invisible(turns, bounds.max_invisible_chars)


def is_fine(texts: list[str], n_before: int, bounds: TextBounds) -> bool:
    """Return whether `check_text` finds nothing in a sample's texts, none of which is in doubt (`doubts`); False where it might. Quick.

    After `n_before` system texts come questions and answers in turn. A text that begins and ends with a sign that is seen has no more to strip.
    """
    longest, fewest, most = bounds.max_question_chars, bounds.min_answer_chars, bounds.max_answer_chars
    for question in texts[n_before::2]:
        if question[-1:] not in _SEEN or question[-1] == '>' or len(question) > longest:
            return False
    for answer in texts[n_before + 1 :: 2]:
        if not (fewest <= len(answer) <= most and answer[:1] in _SEEN and answer[-1:] in _SEEN) or '<' in answer:
            return False
        if len(answer) >= _REPEAT_CHARS_TIMES and may_repeat_characters(answer):
            return False
        if answer[0] not in _NO_BOILERPLATE and bounds.boilerplate and _BOILERPLATE.match(answer):
            return False
    return not n_before or len(texts[0]) <= longest


def invisible_chars(turns: tuple[Turn, ...]) -> Counter[str]:
    """Return how often each invisible character stands in a sample's text where typography has no use for it."""
    return sum((found for turn in turns if (found := hidden(turn.text))), Counter())


def _invisible(turns: tuple[Turn, ...], most: int) -> tuple[Reason, str] | None:
    found = invisible_chars(turns)
    if found.total() <= most:
        return None
    named = ', '.join(f'{code_point(char)} {n}' for char, n in sorted(found.items(), key=lambda item: (-item[1], item[0]))[:_CHARS_NAMED])
    return Reason.INVISIBLE_TEXT, f'{found.total()} invisible characters ({named}), more than {most}'


def code_point(char: str) -> str:
    """Return a character's name that can be seen: U+200B."""
    return f'U+{ord(char):04X}'


def _system(text: str, bounds: TextBounds) -> tuple[Reason, str] | None:
    if len(text) > bounds.max_question_chars:
        return Reason.RECORD_TOO_LARGE, f'a system text of {len(text)} characters, more than {bounds.max_question_chars}'
    return None


def _question(text: str, bounds: TextBounds) -> tuple[Reason, str] | None:
    if is_blank(text):
        return Reason.EMPTY_QUESTION, 'the question has no words'
    if len(text) > bounds.max_question_chars:
        return Reason.RECORD_TOO_LARGE, f'a question of {len(text)} characters, more than {bounds.max_question_chars}'
    return None


def _answer(text: str, bounds: TextBounds, language: str | None) -> tuple[Reason, str] | None:
    if len(text) < bounds.min_answer_chars or is_blank(text):
        return Reason.EMPTY_ANSWER, f'an answer of {len(text)} characters, fewer than {bounds.min_answer_chars} that can be seen'
    if len(text) > bounds.max_answer_chars:
        return Reason.ANSWER_TOO_LONG, f'an answer of {len(text)} characters, more than {bounds.max_answer_chars}'
    if bounds.boilerplate and (found := _BOILERPLATE.match(text) or _nothing_asked(text)):
        return Reason.BOILERPLATE_ANSWER, text[found.start():][:120]
    if run := repeated_run(text):
        return Reason.REPETITIVE_ANSWER, f'again and again: {run[:100]!r}'
    if language and (other := other_language(text, language)):
        return Reason.WRONG_LANGUAGE, f'expected {language}, found {other}: {text[:100]}'
    return None


def _nothing_asked(text: str) -> re.Match | None:
    """Return what _NOTHING_ASKED finds; it is looked for only where its first words may stand."""
    small = text.lower()
    return _NOTHING_ASKED.search(text) if any(map(small.__contains__, ASKED)) else None


def repeated_run(text: str) -> str | None:
    """Return the run of words, or of characters, that fills the text by repetition, or None."""
    return _repeated_words(text.split()) or _repeated_characters(text)


def _repeated_words(words: list[str]) -> str | None:
    if len(words) < _REPEAT_WORDS * _REPEAT_TIMES or len(set(words)) > len(words) * (1 - _REPEAT_SHARE) + _REPEAT_WORDS:
        return None  # the second: too many different words for any run to fill its share; it spares counting
    runs = Counter(zip(*(words[i:] for i in range(_REPEAT_WORDS)), strict=False))
    run, times = max(runs.items(), key=lambda item: (item[1], item[0]))
    return ' '.join(run) if times >= _REPEAT_TIMES and times * _REPEAT_WORDS >= _REPEAT_SHARE * len(words) else None


def _repeated_characters(text: str) -> str | None:
    """Return the unit whose repetition fills the text."""
    if may_repeat_characters(text):
        for found in _REPEAT_CHARS.finditer(text):
            if len(found[0]) >= _REPEAT_SHARE * len(text):
                return found[1]
    return None


def may_repeat_characters(text: str) -> bool:
    """Return whether _REPEAT_CHARS may find what fills half of a text; quick.

    Such a repetition stands on the text's middle, and on one side of it ten times at least: the _NEAR characters there, next to the middle, stand
    again one unit further.
    """
    middle = len(text) // 2
    if middle < _NEAR + _UNIT_CHARS:
        return len(text) >= _REPEAT_CHARS_TIMES
    return (text[middle - _NEAR:middle] in text[middle - _NEAR - _UNIT_CHARS:middle - 1]
            or text[middle:middle + _NEAR] in text[middle + 1:middle + _NEAR + _UNIT_CHARS])
