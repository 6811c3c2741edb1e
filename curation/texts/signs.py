"""The second look at texts that look alike in the loose form: the same units, with the signs between them that carry a meaning.

`textmatch.units` forgets every sign, so 5 > 3 looks like 5 != 3, and 10² like 102. Here a sign is a unit as a word is: a question that differs from
another in one operator differs from it as one that differs in a word does. Signs of prose and of layout (stops, quotes, hyphens, bullets, stars
around bold words, the dollars around a formula) are none.
"""

import itertools
import re
import textwrap
import unicodedata

from curation.texts.invisible import IGNORABLE, UNSEEN_CONTROLS
from curation.texts.markup import without_markup
from curation.texts.textmatch import unescaped, units

_SIGN = 'sign'  # begins the word that a sign becomes: of letters and digits, so that the loose form keeps it
_A_SIGN = re.compile(f'{_SIGN}[0-9a-f]{{1,6}}z')
_PICTURE = re.compile('<image[0-9]*>')
_LINE_END = re.compile('\r\n?|[\x85\u2028\u2029]')
_INVISIBLE = re.compile(f'[{IGNORABLE}{UNSEEN_CONTROLS}]+')
_SOFT_BREAK = re.compile('[\u00ad\u00ac](?=[ \t]{0,8}\n)')
_BLANKS = re.compile(r'\s+')
_BEFORE_STOP = re.compile(r' (?=[?!.,:;](?:\s|$))')
_QUOTES = str.maketrans('\u201c\u201d\u201e\u00ab\u00bb\u2018\u2019', '"""""\'\'')
_ENDS = ' "\'.,:;?!\u2026\u3002\uff0c\uff1a\uff1f\uff01'
_LETTER = r'[^\W\d_]'
_RAISED = re.compile('[\u00b2\u00b3\u00b9\u2070\u2071\u2074-\u207f]+')
_GROUP = re.compile(r'(?<=[\^_])\{([^{}]{0,80})\}')  # x^{2}, in a formula without TeX's commands
_LAYOUT = re.compile(
    r'^[ \t]*(?:[-*+\u2022\u25cf\u25a0\u25aa\u25e6\u2023\u22c5]|#{1,6})[ \t]+'  # bullets and headings
    r'|\$(?!\d[\d.,]*(?:[\s?!;:)]|$))',  # around formulas; before a number that stands by itself it is money
    re.MULTILINE,
)
_BOLD = re.compile(r'(?<![\w*])(\*{1,3})(?=[^\s*])([^*\n]{1,300})(?<=\S)\1(?![\w*])')
_POINT = re.compile(r'\.(?:(?<![\w.)\]]\.)(?=[^\W_])|(?<=\w\.)(?=[^\W\d_])|(?=[/\\]))')  # of .NET, a.b, ../a: no full stop
_INDENTED = re.compile(r'[:{;][ \t]*\n[ \t]+\S')
_IN_FORMULA = rf'(?:{_LETTER}(?!{_LETTER})|\d|[^\w()\[\]])'
_FORMULA = re.compile(rf'(?:(?<=\S)([(\[])({_IN_FORMULA}+)|([(\[])({_IN_FORMULA}{{2,}}))([)\]])')  # (a) by itself counts something
_MINUS = re.compile(rf'(?<!{_LETTER}{_LETTER})(?<!{_LETTER}{_LETTER} )-(?! ?{_LETTER}{_LETTER})(?!\s*$)', re.MULTILINE)
_FACTORIAL = re.compile(rf'(?<=[\d)\]])!|(?<=\b{_LETTER})!|!(?=\w)')
_RATIO = re.compile(r'(?<=\d):(?=\d)')
_PRIME = re.compile(rf"(?<![\w'])({_LETTER})(['\u2019\u2032]{{1,3}})(?=[\s(=+*/^)\]]|$)")
_SPELLINGS = {
    '<=': '\u2264', '>=': '\u2265', '!=': '\u2260', '->': '\u2192', '=>': '\u21d2', ':=': '\u2254', '\u00d7': '*',
    '\u2217': '*', '\u00b7': '\u22c5', '\u2219': '\u22c5',
    '\u00f7': '/', '\u2215': '/', '\u2044': '/', '\u2212': '-', '\u2010': '-', '\u2011': '-', '\u2012': '-', '\u2013': '-', '\u2266': '\u2264',
    '\u2267': '\u2265', '\u27f6': '\u2192',
}  # fmt: skip
_SPELLED = re.compile('|'.join(map(re.escape, _SPELLINGS)))
_ALWAYS = frozenset('#%&*/@^|\u2030\u2032\u2033\u2308\u2309\u230a\u230b\u27e8\u27e9')  # besides Unicode's symbols
_NEVER = frozenset('`\u00b4\u00a8\u00af\u00b8$\ufffd\u00a9\u00ae\u2122\u2800')
_UNITS_OF_ANSWERS = frozenset('%\u00b0()[]\u20ac\u00a3\u00a5$')  # an answer may be given without them


def signed(text: str) -> list[str]:
    """Return the units of `text` in order, its signs among them; of what is spelled in several ways (×, *; !=, ≠; x², x^2) one spelling."""
    return units(_worded(text))


def plain(of_text: list[str]) -> list[str]:
    """Return the units that are no signs."""
    return [unit for unit in of_text if not (unit.startswith(_SIGN) and _A_SIGN.fullmatch(unit))]


def operators(text: str) -> list[str]:
    """Return the signs of `text` that calculate or compare, sorted: what may differ between two formulas of the same numbers."""
    return sorted(unit for unit in signed(text) if unit in _OPERATORS)


def share(theirs: list[str], ours: list[str], n: int) -> float:
    """Return the share of their runs of n units that ours hold, 0.0 where there are none; fewer than n units are one run."""
    size = min(n, len(theirs))
    runs = _runs(theirs, size) if size else set()
    return len(runs & _runs(ours, size)) / len(runs) if runs else 0.0


def holds(ours: list[str], theirs: list[str], n: int, least: float) -> float:
    """Return the share of an answer's runs that our text holds; 0.0 where only the words agree and a sign between them does not.

    Both are in signed form. Brackets, degrees, per cent and currency may be left out of an answer.
    """
    asked = [unit for unit in theirs if unit not in _LEFT_OUT]
    words = plain(asked)
    found = share(words, plain(ours), n)
    if len(words) == len(asked) or (words and found < least):
        return found
    with_signs = share(asked, [unit for unit in ours if unit not in _LEFT_OUT], n)
    return with_signs if with_signs >= least else 0.0


def _runs(of_text: list[str], size: int) -> set[tuple[str, ...]]:
    return {tuple(of_text[at : at + size]) for at in range(len(of_text) - size + 1)}


def _word(sign: str) -> str:
    return f' {_SIGN}{ord(sign):x}z '


_OPERATORS = frozenset(_word(sign).strip() for sign in '+-<>≤≥')


def bare(text: str) -> str:
    """Return the form in which short texts are equal: all that is seen but case, punctuation at the ends, kinds of quotes, and line breaks."""
    text = _INVISIBLE.sub('', without_markup(unescaped(_PICTURE.sub(' ', text))))
    text = _BLANKS.sub(' ', unicodedata.normalize('NFC', text).translate(_QUOTES).casefold())
    return _BEFORE_STOP.sub('', text).strip(_ENDS)


def _worded(text: str) -> str:
    """Return the text with its signs as words. A rule whose signs are not there is not asked: most texts have few of them."""
    plain = text.isascii()
    if '\r' in text or not plain:
        text = _LINE_END.sub('\n', text)
    if '&' in text:
        text = unescaped(text)
    if '<' in text:
        text = _PICTURE.sub(' ', text)
    in_tex, text = '\\' in text, without_markup(text)
    if not text.isascii():
        text = _RAISED.sub(lambda found: f'^{unicodedata.normalize("NFKC", found[0])}', text)
    if not text.isascii():
        text = _INVISIBLE.sub('', _SOFT_BREAK.sub('-', unicodedata.normalize('NFKC', text)))
    plain = text.isascii()
    if '{' in text and not in_tex:
        text = _GROUP.sub(r'\1', text)
        text = text.replace('{', _word('{')).replace('}', _word('}'))
    if '\n' in text and _INDENTED.search(text):
        text = _with_steps(text)
    if '*' in text:
        text = _BOLD.sub(r'\2', text)
    if '=' in text or '>' in text or not plain:
        text = _SPELLED.sub(lambda found: _SPELLINGS[found[0]], text)
    if '-' in text or '*' in text or '+' in text or '#' in text or '$' in text or not plain:
        text = _LAYOUT.sub('', text)
    if '.' in text:
        text = _POINT.sub(_word('.'), text)
    if "'" in text or not plain:
        text = _PRIME.sub(lambda found: found[1] + _word('\u2032') * len(found[2]), text)
    if '(' in text or '[' in text:
        text = _FORMULA.sub(lambda found: f'{_word(found[1] or found[3])}{found[2] or found[4]}{_word(found[5])}', text)
    if '-' in text:
        text = _MINUS.sub(_word('-'), text)
    if '!' in text:
        text = _FACTORIAL.sub(_word('!'), text)
    if ':' in text:
        text = _RATIO.sub(_word(':'), text)
    return text.translate(_IN_WORDS)


def _with_steps(text: str) -> str:
    """Return code with a word before each line that is indented more or less than the one before it."""
    lines = [line for line in textwrap.dedent(text.expandtabs()).strip().split('\n') if line.strip()]
    depths = [len(line) - len(line.lstrip()) for line in lines]
    steps = ['', *(_word('\u21e5') if now > before else _word('\u21e4') if now < before else '' for before, now in itertools.pairwise(depths))]
    return '\n'.join(step + line.lstrip() for step, line in zip(steps, lines, strict=True))


class _Table(dict[int, str]):
    """What stands for each code point, worked out when it is first met: a word for a sign, else itself."""

    def __missing__(self, code: int) -> str:
        char = chr(code)
        is_sign = char in _ALWAYS or char not in _NEVER and unicodedata.category(char) in ('Sm', 'So', 'Sc') or '\U0001f3fb' <= char <= '\U0001f3ff'
        self[code] = value = _word(char) if is_sign else char
        return value


_IN_WORDS = _Table()
_IN_WORDS[ord('$')] = _word('$')  # what is left of them is money
_LEFT_OUT = frozenset(_word(sign).strip() for sign in _UNITS_OF_ANSWERS)
