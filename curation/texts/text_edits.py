"""Planted edits of a question: what canaries look for again, in the script that the question is written in."""

from collections import Counter
from collections.abc import Callable

from curation.texts.invisible import WITHOUT_BLANKS, script

TEXT_FOUND = ('text_copy', 'text_reformatted', 'text_word_around', 'text_hidden')  # a build fails if fewer than 0.95 of these are found again
BY_SCRIPT = ('text_word_around', 'text_hidden')
_AROUND = {  # a word before, a word behind
    'Latin': ('ehm', 'ok'), 'Greek': ('λοιπόν', 'εντάξει'), 'Cyrillic': ('итак', 'спасибо'), 'Hebrew': ('נו', 'תודה'), 'Arabic': ('طيب', 'شكرا'),
    'Devanagari': ('अच्छा', 'धन्यवाद'), 'Bengali': ('আচ্ছা', 'ধন্যবাদ'), 'Tamil': ('சரி', 'நன்றி'), 'Hangul': ('저기', '감사합니다'),
    'Han': ('请问', '谢谢'), 'Kana': ('では', 'どうぞ'), 'Thai': ('ขอถาม', 'ขอบคุณ'), 'Lao': ('ຂໍຖາມ', 'ຂອບໃຈ'), 'Khmer': ('សូម', 'អរគុណ'),
    'Myanmar': ('ကဲ', 'ကျေးဇူး'),
}  # fmt: skip
_INSIDE = ('\u00ad', '\u200b', '\u200c', '\u2060', '\ufeff', '&shy;', '&#8203;')  # in a word, or between characters
_BETWEEN = ('&nbsp;', '\u00a0', '\u2009')  # for a blank
_NAMES = {'CJK': 'Han', 'IDEOGRAPHIC': 'Han', 'HIRAGANA': 'Kana', 'KATAKANA': 'Kana', 'KATAKANA-HIRAGANA': 'Kana'}
_READ_CHARS = 2000


def main_script(text: str) -> str:
    """Return the script of most letters of a text, 'Kana' where Chinese characters stand among kana, '' where there are no letters."""
    found = Counter[str]()
    for char, times in Counter(text[:_READ_CHARS]).items():
        if char.isalpha() and (name := script(char)):
            found[_NAMES.get(name, name.capitalize())] += times
    if found['Kana'] and found['Kana'] + found['Han'] > found.total() / 2:
        return 'Kana'
    return min(found, key=lambda name: (-found[name], name)) if found else ''


def edit_text(question: str, name: str, draw: int) -> str:
    """Return an edited question; `draw` decides where it is edited and by what. Raises KeyError for an unknown name."""
    return TEXT_EDITS[name](question, draw)


def _same(text: str, _: int) -> str:
    return text


def _reformat(text: str, _: int) -> str:
    """Change what carries no words: case, spaces, quotes, the closing mark."""
    return '  '.join(text.upper().replace('?', ' ?').replace('"', '\u201c').split()) + '\n'


def _instruct(text: str, _: int) -> str:
    return f'Please look at this task. {text} Answer with a single word or number.'


def _word_around(text: str, draw: int) -> str:
    """Put a word of the text's script before it, behind it, or both."""
    named = main_script(text)
    before, behind = _AROUND.get(named, _AROUND['Latin'])
    blank = '' if named in _GLUED else ' '
    return (f'{before}{blank}' if draw % 3 != 1 else '') + text.strip() + (f'{blank}{behind}' if draw % 3 else '')


def _hide(text: str, draw: int) -> str:
    """Put what nobody sees into each word, or between the characters of a script without blanks, or for each blank."""
    way = draw % (len(_INSIDE) + len(_BETWEEN))
    if main_script(text) in _GLUED:
        return _INSIDE[way % len(_INSIDE)].join(text)
    words = text.split(' ')
    if way >= len(_INSIDE):
        return _BETWEEN[way - len(_INSIDE)].join(words)
    return ' '.join(f'{word[:2]}{_INSIDE[way]}{word[2:]}' if word[:4].isalpha() and len(word) > 3 else word for word in words)


_GLUED = {_NAMES.get(name, name.capitalize()) for name in WITHOUT_BLANKS}
TEXT_EDITS: dict[str, Callable[[str, int], str]] = {
    'text_copy': _same, 'text_reformatted': _reformat, 'text_in_instruction': _instruct, 'text_word_around': _word_around, 'text_hidden': _hide,
}  # fmt: skip
