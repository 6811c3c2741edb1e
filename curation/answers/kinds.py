"""What kind of answer a text is, and when two answers are the same: normal form, numbers, option letters, yes and no."""

import enum
import re
import unicodedata
from functools import lru_cache

from curation.english.remembered import remembered

_WORDS = ('zero', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine', 'ten', 'eleven', 'twelve', 'thirteen', 'fourteen',
          'fifteen', 'sixteen', 'seventeen', 'eighteen', 'nineteen', 'twenty')
WORD_NUMBERS = {word: float(value) for value, word in enumerate(_WORDS)}
ARTICLES = frozenset({'a', 'an', 'the'})
NEGATIONS = frozenset({'not', 'no', 'never', 'none', 'neither', 'nor', 'without', 'isn', 'aren', 'don', 'doesn', 'cannot'})
SILENT = frozenset('.,;:?!"\'`’‘“”()[]{}')  # marks that do not change what a short answer says; < > = - / stay
_THOUSANDS = re.compile(r'(?<=\d),(?=\d{3}(?!\d))')
_TOKEN = re.compile(r'\d+(?:\.\d+)?|[^\W\d_]+|[^\w\s]')
_NUMBER = re.compile(
    r'^[\s("“]{0,3}(?:about|approximately|around|roughly)?\s*[$€£¥]?\s*([-−+]?\d[\d,]*(?:\.\d+)?|[-−+]?\.\d+)'
    r'(?:\s*/\s*(\d[\d,]*(?:\.\d+)?))?'
    r'\s*(%|percent)?\s*(million|billion|thousand|k|m|bn)?\.?\s*([^\W\d_]{0,12}(?:/[^\W\d_]{1,4})?)\W{0,2}$',
    re.IGNORECASE)
_SCALE = {'thousand': 1e3, 'k': 1e3, 'million': 1e6, 'billion': 1e9, 'bn': 1e9}
_LETTER = re.compile(
    r'^\W{0,3}(?i:(?:the )?(?:correct )?(?:answer|option|choice)? ?(?:is)?) ?:? ?\(?([A-Ha-h])\)?(?: ?[.):] ?\S.*|\W{0,3})$', re.DOTALL)
_LETTER_BEGINS = re.compile(r'\W{0,3}(?i:(?:the )?(?:correct )?(?:answer|option|choice)? ?(?:is)?) ?:? ?\(?[A-Ha-h](?!\w)')
_LETTER_WORDS = 9  # of an answer that are looked at first: more stand before no letter
_NAMED_LETTER = re.compile(r'(?i:the )?(?i:correct )?(?i:answer|option|choice)(?i: is)?:? ?\(?[A-Ha-h]\)?\W{0,3}$')
_OPTION = re.compile(r'(?:^|[\s(;,])\(?([A-H])[).:．：）、]\s*(.+?)(?=\s*(?:[\n;]|(?:^|[\s;,])\(?[A-H][).:．：）、]\s?)|$)', re.DOTALL)
_SMALL_OPTION = re.compile(r'(?:^|[\s(;,])\(?([a-h])[):）]\s*(.+?)(?=\s*(?:[\n;]|(?:^|[\s;,])\(?[a-h][):）]\s?)|$)', re.DOTALL)
_JOINS = re.compile(r'(?:,|\s+(?:or|and))+$', re.IGNORECASE)  # A) up, B) down or C) left
_DATE = re.compile(
    r'^\W*(?:\d{4}-\d{1,2}-\d{1,2}|\d{1,2}[/.]\d{1,2}[/.]\d{2,4}|(?:1[5-9]|20)\d{2}'
    r'|(?:\d{1,2}\s+)?(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)'
    r'[a-z]*\.?\s*(?:\d{1,2}(?:st|nd|rd|th)?)?,?\s*(?:\d{4})?)\W*$', re.IGNORECASE)
_YES_NO = re.compile(r'\W*(?:yes|no)(?:\W*$|\s*[^\w\s]|\s+(?:it|he|she|they|there|this|that|these|those|we|i'
    r'|you)\b)', re.IGNORECASE)  # no answer: No parking
_UNPARTED = re.compile(r'[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\u0e00-\u0e7f]')  # scripts that put no blanks between words
YEAR = re.compile(r'\b(1[5-9]|20)\d{2}\b')
SHORT_CHARS = 80  # numbers, dates and bare letters are shorter; patterns with several gaps never see more
ENTITY_WORDS = 6  # an answer of at most this many words without a verb-like sentence mark names something
_SENTENCE = re.compile(r'[.!?]\s*$')
_RUNS = re.compile(r'\d[\d,]*')
_LETTERS = re.compile(r'[^\W\d_]+')


class AnswerType(enum.StrEnum):
    """How a wrong answer to it can be made by rule."""

    YES_NO = 'yes_no'
    OPTION = 'option'
    DATE = 'date'
    NUMBER = 'number'
    ENTITY = 'entity'
    CAPTION = 'caption'


def tokens(text: str) -> list[str]:
    """Return the normal form of `text`: case, width, thousands separators, sentence marks and articles do not count."""
    return list(_tokens(text))


@remembered
def _tokens(text: str) -> tuple[str, ...]:
    plain = unicodedata.normalize('NFKC', text).casefold().replace('−', '-')
    found = [t for t in _TOKEN.findall(_THOUSANDS.sub('', plain) if ',' in plain else plain) if t not in SILENT]
    content = [t for t in found if t not in ARTICLES]
    return tuple(content or found)


def number_of(text: str) -> tuple[float, str] | None:
    """Return (value, unit) if the whole answer is one number: '1,200 cm', '$3.5 million', '3/4', '12%', 'seven'."""
    return _number_of(text) if len(text) <= SHORT_CHARS else None


@lru_cache(maxsize=65_536)  # the answers of a pool are compared with each other
def _number_of(text: str) -> tuple[float, str] | None:
    words = text.strip(' .').casefold().split()
    if words and len(words) <= 2 and words[0] in WORD_NUMBERS:
        return WORD_NUMBERS[words[0]], words[1] if len(words) == 2 else ''
    found = _NUMBER.match(unicodedata.normalize('NFKC', text.strip()).replace('⁄', '/'))
    if not found:
        return None
    digits, below, percent, scale, unit = found.groups()
    value = float(digits.replace(',', '').replace('−', '-'))
    if below:
        divisor = float(below.replace(',', ''))
        if divisor == 0:
            return None
        value /= divisor
    unit = unit.casefold()
    if scale:
        if scale.casefold() == 'm':
            unit = 'm'  # metres or millions: left as a unit, so that only equal texts compare
        else:
            value *= _SCALE[scale.casefold()]
    return (value / 100 if percent else value), unit


def same_number(one: str, other: str) -> bool:
    """Return whether both answers are the same number; a missing unit matches any."""
    a, b = number_of(one), number_of(other)
    if a is None or b is None:
        return False
    return abs(a[0] - b[0]) <= 1e-9 * max(abs(a[0]), abs(b[0])) and (a[1] == b[1] or not (a[1] and b[1]))


def options_of(question: str) -> dict[str, str]:
    """Return letter -> text of the options that a question lists; fewer than two are none."""
    return dict(_options_of(question))


@lru_cache(maxsize=256)  # of one question all the answers of a pool are looked at
def _options_of(question: str) -> dict[str, str]:
    lines = '\n'.join(' '.join(line.split()) for line in question.splitlines())
    for pattern in (_OPTION, _SMALL_OPTION):
        found = {letter.upper(): _JOINS.sub('', text.strip()) for letter, text in pattern.findall(lines)}
        if len(found) > 1 and '\n' not in lines:  # the question's own mark ends the last of them
            found = {letter: text.rstrip(' ?？') or text for letter, text in found.items()}
        if len(found) > 1 and (pattern is _OPTION or list(found) == list('ABCDEFGH'[:len(found)])):
            return found
    return {}


def option_of(answer: str, question: str) -> str | None:
    """Return the option letter that `answer` names, by letter or by the option's text."""
    options = _options_of(question)
    begins = _LETTER_BEGINS.match(' '.join(answer.split(None, _LETTER_WORDS)[:_LETTER_WORDS]))
    found = _LETTER.match(' '.join(answer.split())) if begins else None
    alone = found and (options or len(answer.strip(' ().*_$')) == 1 or _NAMED_LETTER.match(answer.strip()))
    if found and alone and (not options or found[1].upper() in options):
        return found[1].upper()
    if not options:
        return None
    wanted = tokens(answer)
    return next((letter for letter, text in options.items() if tokens(text) == wanted), None)


def yes_or_no(answer: str) -> str | None:
    """Return 'yes' or 'no' if the answer begins with it."""
    first = _tokens(answer)[:1]
    return first[0] if first in (('yes',), ('no',)) else None


def answer_type(answer: str, question: str = '') -> AnswerType:
    """Return how `answer` reads; the first type that fits in the order of the enum."""
    if _YES_NO.match(answer) and len(tokens(answer)) <= 3:
        return AnswerType.YES_NO
    if option_of(answer, question):
        return AnswerType.OPTION
    if len(answer) <= SHORT_CHARS and _DATE.match(answer):
        return AnswerType.DATE
    if number_of(answer):
        return AnswerType.NUMBER
    if _n_words(answer) <= ENTITY_WORDS and not _SENTENCE.search(answer.strip()[-2:] if len(answer.split()) > 3 else ''):
        return AnswerType.ENTITY
    return AnswerType.CAPTION


def is_unparted(text: str) -> bool:
    """Return whether `text` holds letters of a script that puts no blanks between words."""
    return not text.isascii() and _UNPARTED.search(text) is not None


def _n_words(text: str) -> int:
    return len(text.split()) + (len(_UNPARTED.findall(text)) // 2 if is_unparted(text) else 0)  # a Chinese word has two characters


@lru_cache(maxsize=65_536)
def notation(text: str) -> str:
    """Return the text with its runs of digits and of letters as one mark each."""
    return _LETTERS.sub('a', _RUNS.sub('0', text))
