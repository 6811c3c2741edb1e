"""Answers that are none: words of the generator's own task in place of an answer, a placeholder, the question again."""

import re

from curation.wording import contained, said

_LABEL = r'(?:incorrect|wrong|ambiguous|unclear|vague|inaccurate|invalid|rejected|misleading|uncertain|evasive|implausible)'
_JUDGING = rf'(?:{_LABEL}|false|correct|right|plausible|true)'
_SAID_OF = r'(?:answer|response|reply|statement|option|one|choice|value|result)'
# The label alone or in a sentence about itself: `Incorrect answer`, `The answer is wrong`, `This is too vague`.
_ALONE = re.compile(
    rf'(?:(?:the|this|that|it|an?|my|your)\s+)?(?:{_SAID_OF}\s+)?(?:(?:is|was|are|seems|would be|remains)\s+)?(?:(?:an?|the)\s+)?'
    rf'(?:(?:completely|clearly|too|very|somewhat|factually|deliberately|not)\s+)?{_JUDGING}(?:\s*(?:or|and|/|,)\s*{_JUDGING})*(?:\s+{_SAID_OF})?(?:\s+here)?'
)
_ABOUT = re.compile(rf'\b(?:answer|response|reply)\s+(?:is|was|would be|seems)\s+(?:\w+\s+)?{_LABEL}\b', re.IGNORECASE)
# The label in front of something: `Wrong: 270`, `[incorrect] 270`, `Answer (wrong): 270`.
_BEFORE = re.compile(
    rf'\W*(?:(?:the|an?)\s+)?(?:{_JUDGING}\s+{_SAID_OF}|{_LABEL}|(?:answer|response|reply)(?:\s*\({_JUDGING}\))?)\s*(?:is\s*)?'
    rf'[\])"\'*]*(?:\s*[:=–—]|\s-\s)\s*\S'
    rf'|[\[(<]\s*{_LABEL}[^\])>]*[\])>]\s*\S',
    re.IGNORECASE)
_ELSEWHERE = frozenset((
    '错误', '不正确', '错误答案', '错误的答案', '模糊', '不明确', '不清楚', '間違い', '不正解', '曖昧',
    'falsch', 'falsche antwort', 'mehrdeutig', 'unklar',
    'incorrecto', 'incorrecta', 'ambiguo', 'ambigu', 'неверно', 'неправильно',
))  # fmt: skip
_TRUTH_WORDS = _ELSEWHERE | {'正确', '对', '错', '是', '不是', '正解', '正しい', 'richtig', 'wahr', 'correcto', 'correcta', 'верно', 'правильно'}
_PLACEHOLDERS = frozenset((
    'n/a', 'n.a', 'not applicable', 'not available', 'no answer', 'placeholder', 'lorem ipsum', 'answer', 'the answer', 'your answer',
    'your answer here', 'new answer', 'other answer', 'another answer', 'same as above', 'see above', 'tbd', 'todo', '?', '...',
))  # fmt: skip
_EVASIONS = frozenset((  # vague, which is what an ambiguous candidate is asked to be
    'unknown', 'unanswerable', 'unspecified', 'not specified', 'not sure', 'unsure', 'not clear', 'not enough information',
    'insufficient information', 'cannot be determined', 'can not be determined', 'cannot determine', 'i do not know', "i don't know", 'idk',
    'no idea', 'it depends',
))  # fmt: skip
BEGINNING = 400  # characters of an answer that a label may stand in
LONG_QUESTION = 3  # words of a question that a candidate may not repeat: a shorter one may be its answer ("Red?")


def echo_of(candidate: str, *, chosen: str, question: str, kind: str) -> str:
    """Return what shows that a candidate is no answer, '' if it may be one.

    `incorrect` is an answer where it is offered, to "Is the sum correct or incorrect?", and where the right answer is such a word, too.
    """
    words, right = said(candidate), said(chosen)
    bare = re.sub(r'^[\[(<{]+\s*|\s*[\])>}]+$', '', words)
    if bare in _PLACEHOLDERS or bare in _EVASIONS and kind != 'ambiguous':
        return '' if right in _PLACEHOLDERS | _EVASIONS or _offered(bare, question) else candidate.strip()
    if _ALONE.fullmatch(bare) and bare not in ('true', 'false', 'right', 'correct'):  # these answer a question more often than they label an answer
        label = re.findall(_JUDGING, bare)[-1]
        return '' if _ALONE.fullmatch(right) or _offered(label, question) else candidate.strip()
    if bare in _ELSEWHERE and right not in _TRUTH_WORDS and bare not in question:
        return candidate.strip()
    begins, right_begins = (' '.join(text[:BEGINNING].split()) for text in (candidate, chosen))
    if (about := _ABOUT.search(candidate)) and not _ABOUT.search(chosen):
        return about[0]
    if (before := _BEFORE.match(begins)) and not _BEFORE.match(right_begins):
        return before[0].strip()
    if 2 * len(candidate) < len(question):  # too short to repeat it
        return ''
    asked = said(question)
    if len(asked.split()) >= LONG_QUESTION and (words == asked or contained(question, candidate)):
        return f'the question again: {candidate.strip()[:120]}'
    return ''


def _offered(word: str, question: str) -> bool:
    """Return whether a question names the word as one of its possible answers."""
    one = re.escape(word)
    offers = rf'\b{one}\s*(?:,|/|\bor\b)|(?:\bor|/|,)\s*(?:is it |an? |the )?{one}\b|[A-H][).:]\s*{one}\b'
    return bool(re.search(offers, question, re.IGNORECASE))
