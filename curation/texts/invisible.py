"""Characters that nobody sees: which they are, and which of them have no business where they stand.

A soft hyphen or a zero-width space inside a word hides the word from every comparison; tag characters and runs of variation selectors
carry whole messages past a reader's eye (Boucher et al., Bad Characters, arXiv 2106.09898). What typography needs is left alone: joiners in
emoji, Persian and Indic words, one variation selector after its sign, marks of direction beside right-to-left letters, break hints in scripts
without blanks.
"""

import re
import unicodedata
from collections import Counter
from functools import cache

# Default_Ignorable_Code_Point of DerivedCoreProperties.txt, Unicode 15: what is drawn as nothing
IGNORABLE = (
    '\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0'
    '\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff'
)
# By the first word of their Unicode name. Hangul has blanks, Tibetan marks between its syllables.
WITHOUT_BLANKS = frozenset(
    {'CJK', 'IDEOGRAPHIC', 'HIRAGANA', 'KATAKANA', 'KATAKANA-HIRAGANA', 'BOPOMOFO', 'YI', 'THAI', 'LAO', 'KHMER', 'MYANMAR', 'TAI', 'NEW',
     'JAVANESE', 'BALINESE'})  # fmt: skip
_JOINERLESS = frozenset({'LATIN', 'GREEK', 'CYRILLIC', 'ARMENIAN', 'GEORGIAN', 'HEBREW', 'HANGUL', 'CJK', 'IDEOGRAPHIC', 'HIRAGANA', 'KATAKANA'})
_CONTROLS = '\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f'  # without blanks and line ends
UNSEEN_CONTROLS = f'{_CONTROLS}\ufff9-\ufffc'  # drawn as nothing, too; the last stands for an object that is gone
_BLANK = re.compile(f'[{_CONTROLS}{IGNORABLE}\\s\u2800]')  # the last: a Braille cell without dots
_MAYBE = re.compile(f'[{_CONTROLS}{IGNORABLE}\ufff9-\ufffb]')
_FLAG = re.compile('\U0001f3f4[\U000e0020-\U000e007e]{1,6}\U000e007f')  # England, Scotland, Wales: UTS 51, emoji tag sequences
_RIGHT_TO_LEFT = re.compile('[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff]')
_DIRECTIONS = frozenset('\u061c\u200e\u200f\u202a\u202b\u202c\u2066\u2067\u2068\u2069')  # not the overrides U+202D and U+202E
_SELECTED = frozenset({'CJK', 'MONGOLIAN', 'MYANMAR', 'PHAGS-PA'})
_SELECTORS = re.compile('[\u180b-\u180d\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef]')


@cache
def script(char: str) -> str:
    """Return the first word of a character's Unicode name, which is its script where it is a letter; '' where it has no name."""
    return unicodedata.name(char, '').partition(' ')[0]


def is_blank(text: str) -> bool:
    """Return whether nothing of a text can be seen: a zero-width space is neither white space nor a letter."""
    if '!' <= text[-1:] <= '~':  # nearly every text ends so
        return False
    return not any(char.isprintable() and not _BLANK.match(char) for char in text)


def hidden(text: str) -> Counter[str]:
    """Return how often each invisible character stands in `text` where typography has no use for it."""
    if text.isascii() and (text.isprintable() or not _MAYBE.search(text)):
        return Counter()
    text = _FLAG.sub('\U0001f3f4', text)
    right_to_left = _RIGHT_TO_LEFT.search(text) is not None
    found: Counter[str] = Counter()
    for place in _MAYBE.finditer(text):
        char, at = place[0], place.start()
        if not (right_to_left and char in _DIRECTIONS or _has_use(text[at - 1] if at else '', char, text[at + 1 : at + 2])):
            found[char] += 1
    return found


def _has_use(before: str, char: str, after: str) -> bool:
    """Return whether a character that is drawn as nothing changes how its neighbours are drawn, or marks a text's beginning."""
    if char == '\ufeff':
        return not before
    if not before:
        return False
    if char in '\u200c\u200d':
        return bool(after) and (unicodedata.category(before)[0] in 'SM' or before.isalpha() and script(before) not in _JOINERLESS)
    if char == '\u200b':
        return script(before) in WITHOUT_BLANKS or bool(after) and script(after) in WITHOUT_BLANKS
    if _SELECTORS.match(char):
        return before in '#*0123456789\u2139' or unicodedata.category(before)[0] in 'SP' or script(before) in _SELECTED
    return False
