"""Texts compared: a strict form that decides equality, a loose one that proposes candidates, and the joint verdict with the picture.

`strict` decides: two texts are the same if their strict forms are. It forgives what a copy does to a text and nobody reads (Unicode's composition,
line ends, blanks), and nothing else: an operator, a sign, a case, an indentation may be all that two questions differ in.

`loose` proposes: texts that share runs of its units are worth a second look. It forgives case, width, punctuation, and whatever hides words.
Its units are words, and characters in scripts without blanks; runs of them are looked up in pipelines/mix/word_runs.py. n characters stand for n
words: "What is the person in the picture doing?" has eight words, in Chinese eight characters. Thai needs more of them for a word, so that a run says
less there: rather a candidate too many than an item not found.
"""

import html
import re
import unicodedata
from typing import Literal

from curation.texts.invisible import IGNORABLE, UNSEEN_CONTROLS, WITHOUT_BLANKS, script
from curation.texts.markup import without_markup

Evidence = Literal['', 'image', 'image+question', 'text', 'question']

_LINE_END = re.compile('\r\n?|[\x85\u2028\u2029]')
_INNER_BLANKS = re.compile(r'(?<=\S)[^\S\n]+')
_EMPTY_LINE = re.compile(r'^[^\S\n]+$', re.MULTILINE)
_OTHER_BLANK = re.compile(r'[^\S \n]')  # and a line end that is no newline
_LETTER = r'[^\W\d_]'
# A soft hyphen that parts a word at a line's end: there it is drawn.
_DRAWN = rf'(?<={_LETTER}\u00ad)[^\S\r\n\x85\u2028\u2029]*[\r\n\x85\u2028\u2029]\s*{_LETTER}'
_SOFT_BREAK = re.compile(f'\u00ad(?={_DRAWN})')
# Say where a line may or may not be broken, or how bytes are ordered. The other invisible ones change what is seen: a joiner makes one emoji
# of three and ends a Persian prefix, a variation selector picks the picture, a direction mark turns the order.
_BREAK_HINTS = re.compile(f'[\u200b\u2060\ufeff]|\u00ad(?!{_DRAWN})')

_INVISIBLE = re.compile(f'[{IGNORABLE}{UNSEEN_CONTROLS}]+')
_RAISED = re.compile('[\u00b2\u00b3\u00b9\u2070\u2071\u2074-\u207f]+')  # x² is written x^2 as well
_ENTITY = re.compile('&(?:#[0-9]{1,7};?|#[xX][0-9a-fA-F]{1,6};?|[a-zA-Z][a-zA-Z0-9]{1,31};|nbsp)')  # html.unescape alone fails on 5,000 digits
_MARKED_BREAK = re.compile(r'(?<=[^\W\d_])\\-(?=[^\W\d_])')  # TeX's place for a hyphen
_HYPHENATED = re.compile(rf'({_LETTER})[-\u2010\u00ac]\s+(?=({_LETTER}))')  # PDF readers write \u00ac for one
_LINE_BREAK = re.compile('[\r\n\x85\u2028\u2029]')
_NO_NUMBER = re.compile(r'[.,-](?:(?!\d)|(?<=[.,])(?<!\d[.,])|(?<=[^\s.,-]-))')
_END, _MARK = '\0', '\1'  # in no text of words: a unit ends, unless a mark follows


def strict(text: str) -> str:
    """Return the form in which equal texts are equal: NFC, lines ended by a newline, no blanks around a text or behind a line, one blank for many.

    Every blank inside a line is one (tabs, no-break and thin spaces too); those before its first sign are its indentation and stay as they are.
    """
    if not text.isascii():
        hinted = '\u00ad' in text or '\u200b' in text or '\u2060' in text or '\ufeff' in text
        text = unicodedata.normalize('NFC', _BREAK_HINTS.sub('', text) if hinted else text)
    if '  ' not in text and ' \n' not in text and (text.replace('\n', '').isprintable() or not _OTHER_BLANK.search(text)):
        return text.strip()  # nearly every text; what is printed and a blank is a space
    text = _INNER_BLANKS.sub(' ', _LINE_END.sub('\n', text)).replace(' \n', '\n')
    return _EMPTY_LINE.sub('', text).strip()


def loose(text: str) -> str:
    """Return the units of `text` parted by one blank: words of letters, marks and numbers, or characters where a script has no blanks; NFKC.

    Case is folded, entities are read, what is invisible goes, a word that a hyphen parts at a line's end is joined. A point or comma between two
    digits stays, and so does a sign before one: 3.5, 1,000 and -2 are answers.
    """
    return ' '.join(units(text))


def units(text: str) -> list[str]:
    """Return what the loose form of `text` is made of, in order."""
    if '&' in text:
        text = unescaped(text)
    if '\\-' in text:
        text = _MARKED_BREAK.sub('', text)
    text = without_markup(text)
    if not text.isascii():
        text = _SOFT_BREAK.sub('-', text) if '\u00ad' in text else text
        if not unicodedata.is_normalized('NFKC', text):
            text = unicodedata.normalize('NFKC', _RAISED.sub(r' \g<0> ', text))
        text = _INVISIBLE.sub('', text)
    if '-' in text or '\u2010' in text or '\u00ac' in text:
        text = _HYPHENATED.sub(_joined, text)
    text = text.casefold()
    if not text.isascii():
        text = unicodedata.normalize('NFKC', text)
    text = text.translate(_IN_WORDS)
    if not text.isascii():
        text = text.replace(_END + _MARK, '').replace(_END, ' ').replace(_MARK, '')
    return _NO_NUMBER.sub(' ', text).split()


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


def unescaped(text: str) -> str:
    """Return `text` with its entities read, twice: &amp;nbsp; is what careless exports write."""
    once = _ENTITY.sub(lambda found: html.unescape(found[0]), text)
    return _ENTITY.sub(lambda found: html.unescape(found[0]), once)


def _joined(found: re.Match) -> str:
    """Return a word parted at a line's end in one; Anglo-Saxon has two, by the change of case."""
    left, right = found.groups()
    if not _LINE_BREAK.search(found[0]):
        return found[0]
    return left if left.isupper() == right.isupper() else f'{left} '


class _Table(dict[int, str]):
    """What stands in words for each code point, worked out when it is first met: itself, itself as a unit, or a blank."""

    def __missing__(self, code: int) -> str:
        self[code] = value = _in_words(chr(code))
        return value


def _in_words(char: str) -> str:
    kind = unicodedata.category(char)[0]
    if char in '.,-':
        return char  # unless it stands in no number
    if char in '−‐‒–':
        return '-'
    if unicodedata.category(char) == 'Cc' and not char.isspace():
        return ''
    if kind in 'LM' and script(char) in WITHOUT_BLANKS:
        return f'{" " if kind == "L" else _MARK}{char}{_END}'
    if unicodedata.category(char) == 'Nd':
        return str(unicodedata.decimal(char))  # \u0663 and 3 are one digit
    return char if kind in 'LNM' else ' '


_IN_WORDS = _Table()
