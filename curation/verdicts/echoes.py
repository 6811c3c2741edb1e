"""Answers that are none: words of the generator's own task in place of an answer, a placeholder, the question again."""

import re

from curation.answers.exclusive import spelt_the_same
from curation.answers.polarity import polarity_of
from curation.answers.wording import contained, said
from curation.english.remembered import lacks
from curation.verdicts.echo_words import ELSEWHERE, ELSEWHERE_BEFORE, ELSEWHERE_UNKNOWN, TRUTH_ELSEWHERE

_LABELS = ('incorrect', 'wrong', 'ambiguous', 'unclear', 'vague', 'inaccurate', 'invalid', 'rejected', 'misleading', 'uncertain', 'evasive',
           'implausible', 'erroneous', 'mistaken', 'distractor', 'hallucination')  # fmt: skip
_LABEL = rf'(?:{"|".join(_LABELS)})'
_JUDGING = rf'(?:{_LABEL}|false|fake|bad|correct|right|plausible|true)'
_SAID_OF = r'(?:answer|response|reply|statement|option|one|choice|value|result|question)'
# The label alone or in a sentence about itself: `Incorrect answer`, `The answer is wrong`, `This is too vague`, `That's not right`.
_ALONE = re.compile(
    rf"(?:(?:the|this|that|it|an?|my|your)(?:['’]s)?\s+)?(?:(?:given|following)\s+)?(?:{_SAID_OF}\s+)?"
    rf'(?:(?:is|was|are|seems|would be|remains)\s+)?(?:(?:an?|the)\s+)?(?:(?:completely|clearly|too|very|somewhat|factually|deliberately|not)\s+)*'
    rf'{_JUDGING}(?:\s*(?:or|and|/|,)\s*{_JUDGING})*(?:\s+{_SAID_OF})?(?:\s+here)?'
)
_ABOUT = re.compile(rf'\b(?:answer|response|reply)\s+(?:is|was|would be|seems)\s+(?:\w+\s+)?{_LABEL}\b', re.IGNORECASE)
# The label in front of something: `Wrong: 270`, `Incorrect. 270`, `[incorrect] 270`, `Answer (wrong): 270`.
_BEFORE = re.compile(
    rf'\W*(?:(?:the|an?)\s+)?(?:{_JUDGING}\s+{_SAID_OF}|{_LABEL}|(?:answer|response|reply)(?:\s*\({_JUDGING}\))?)\s*(?:is\s*)?'
    rf'[\])"\'*]*(?:\s*[:=–—]|\s-\s)\s*\S'
    rf'|[\[(<]\s*{_LABEL}[^\])>]*[\])>]\s*\S|\W*{_LABEL}(?:[.,!;]\s+\S|\s+\d)',
    re.IGNORECASE)
# Behind it: `270 (incorrect)`, `270 - wrong`, `270, which is incorrect`.
_BEHIND = re.compile(
    rf'\S\s*(?:[\[(<{{]\s*(?:{_LABEL}|false)\b[^\])>}}]{{0,40}}[\])>}}]|\s[-–—]\s*{_LABEL}(?:\s+{_SAID_OF})?'
    rf'|[,;]\s*(?:but\s+)?(?:which|that|this|it)\s+(?:is|was|would be)\s+{_LABEL})\W*$', re.IGNORECASE)
_PLACEHOLDERS = frozenset((
    'n/a', 'n.a', 'not applicable', 'not available', 'no answer', 'placeholder', 'lorem ipsum', 'answer', 'the answer', 'your answer',
    'new answer', 'other answer', 'another answer', 'something else', 'anything else', 'same as above', 'see above', 'tbd', 'todo', 'option',
))  # fmt: skip
_GOES_HERE = re.compile(r'(?:(?:insert|add|write|put|your|the|an?|new|wrong|incorrect)\s+){0,3}(?:answer|response|text)\s+(?:goes\s+)?here|x{3,}')
_EVASIONS = frozenset((  # vague, which is what an ambiguous candidate is asked to be
    'unknown', 'unanswerable', 'unspecified', 'not specified', 'not sure', 'unsure', 'not clear', 'not enough information',
    'insufficient information', 'cannot be determined', 'can not be determined', 'cannot determine', 'i do not know', "i don't know", 'idk',
    'no idea', 'it depends', "i'm not sure", 'i am not sure', 'cannot say', "can't say", 'cannot tell', "can't tell", 'hard to tell', 'hard to say',
    'impossible to tell', 'none of above',
)) | ELSEWHERE_UNKNOWN  # fmt: skip
# What a question is about that `incorrect` and `unclear` answer, after the word with which a yes-or-no question begins.
_ASKED_WHETHER = re.compile(
    r"(?:^|[.?!,:;\n]\s*)(?:is|are|was|were|does|do|did|has|have|can|could|would|should|judge|decide|tell|check|determine)(?:n['’]t)?\b[^.?!\n]{0,300}?"
    r'\b(?:in|un|im)?(?P<root>correct|accurate|valid|plausible|clear|certain|ambiguous|vague|misleading|wrong|right|true|false|mistaken)(?:ly)?\b',
    re.IGNORECASE)
_OF_TRUTH = ('correct', 'wrong', 'right', 'true', 'false', 'mistaken', 'accurate', 'valid')
_ROOT = re.compile(r'^(?:in|un|im)(?=correct|accurate|valid|plausible|clear|certain)')
_WHETHER = re.compile(rf'(?:yes|no|not)\b|(?:it is |it\'s )?(?:not )?(?:{_JUDGING}|valid|clear|certain|accurate)(?:ly)?\b')
BEGINNING = 400  # characters of an answer that a label may stand in
# They answer a question more often than they label an answer.
_ANSWERS = ('true', 'false', 'right', 'correct', 'bad', 'fake', 'not bad', 'not right', 'not true', 'not false')
LONG_QUESTION = 3  # words of a question that a candidate may not repeat: a shorter one may be its answer ("Red?")


def echo_of(candidate: str, *, chosen: str, question: str, kind: str) -> str:
    """Return what shows that a candidate is no answer, '' if it may be one.

    `incorrect` is an answer where it is offered, to "Is the sum correct or incorrect?", and where the right answer is such a word, too.
    """
    words, right = said(candidate), said(chosen)
    bare = _inside(words)
    if not bare and _has_words(chosen) or candidate.strip(' .') == 'NA' and len(right) > 2:
        return candidate.strip()
    if bare in _PLACEHOLDERS or _GOES_HERE.fullmatch(bare) or bare in _EVASIONS and kind != 'ambiguous':
        return '' if right in _PLACEHOLDERS | _EVASIONS or _offered(bare.removeprefix('not '), question) else candidate.strip()
    if _ALONE.fullmatch(bare) and bare not in _ANSWERS:
        label = re.findall(_JUDGING, bare)[-1]
        free = _ALONE.fullmatch(right) or _offered(label, question) or _asked_whether(label, question) and _WHETHER.match(right)
        return '' if free else candidate.strip()
    if ELSEWHERE.fullmatch(bare) and right not in TRUTH_ELSEWHERE and bare not in question.casefold():
        return candidate.strip()
    begins, right_begins = (' '.join(text[:BEGINNING].split()) for text in (candidate, chosen))
    if not lacks(candidate, 'answer', 'response', 'reply') and (about := _ABOUT.search(candidate)) and not _ABOUT.search(chosen):
        return about[0]
    if (before := _BEFORE.match(begins)) and not _BEFORE.match(right_begins):
        return before[0].strip()
    end = candidate[-BEGINNING:]
    behind = None if lacks(end, *_LABELS, 'false') else _BEHIND.search(end)
    if behind and not _BEHIND.search(chosen[-BEGINNING:]) and polarity_of(words) is None:
        return behind[0].strip()
    if (before := ELSEWHERE_BEFORE.match(begins)) and not ELSEWHERE_BEFORE.match(right_begins):
        return before[0].strip()
    if 2 * len(candidate) < len(question):  # too short to repeat it
        return ''
    asked = said(question)
    if len(asked.split()) >= LONG_QUESTION and (spelt_the_same(words, asked) or contained(question, candidate)):
        return f'the question again: {candidate.strip()[:120]}'
    return ''


def _inside(words: str) -> str:
    """Return words without Markdown, quotes and brackets around them."""
    start, end = 0, len(words)
    while start < end and not words[start].isalnum():
        start += 1
    while start < end and not words[end - 1].isalnum():
        end -= 1
    return words[start:end]


def _has_words(text: str) -> bool:
    return any(char.isalnum() for char in text)


def _asked_whether(label: str, question: str) -> bool:
    """Return whether a yes-or-no question asks for what the label says: "Is the sum correct?", "Is the text clear?"."""
    root = _ROOT.sub('', label)
    found = {match['root'].casefold() for match in _ASKED_WHETHER.finditer(question)}
    return root in found or root in _OF_TRUTH and not found.isdisjoint(_OF_TRUTH)


def _offered(word: str, question: str) -> bool:
    """Return whether a question names the word as one of its possible answers."""
    one = re.escape(word)
    offers = rf'\b{one}\s*(?:,|/|\bor\b)|(?:\bor|/|,)\s*(?:is it |an? |the )?{one}\b|[A-H][).:]\s*{one}\b'
    return bool(re.search(offers, question, re.IGNORECASE))
