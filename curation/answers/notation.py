"""Numbers in digits, as formulas, LaTeX and the habits of several countries write them."""

import math
import re
import unicodedata
from fractions import Fraction

EXPONENTS = 200  # of a power of ten that is looked at
NESTED = 2  # fractions of roots, roots of fractions
Read = tuple[tuple[Fraction, ...], int]  # what a number may mean, the usual reading first, and where it ends

_LATEX = (
    (re.compile(r'\\(?:boxed|text|mathrm|mathbf|textbf|operatorname)\s*\{([^{}]*)\}'), r'\1'),
    (re.compile(r'\\[dt]?frac\s*\{([^{}]+)\}\s*\{([^{}]+)\}'), r'(\1)/(\2)'), (re.compile(r'\\[dt]?frac\s*(\d)\s*(\d)'), r'(\1)/(\2)'),
    (re.compile(r'\\sqrt\s*\{([^{}]+)\}'), r'√(\1)'), (re.compile(r'\^\s*\{?\s*\\circ\s*\}?|\\degree\b|\\circ\b'), '°'),
    (re.compile(r'\\(?:times|cdot)(?![a-zA-Z])\s*'), '×'), (re.compile(r'\\pi(?![a-zA-Z])\s*'), 'π'),
    (re.compile(r'\\(?:left|right|displaystyle)\b'), ''), (re.compile(r'\\([%$#&{}])'), r'\1'),
    (re.compile(r'\\[,;:! ]|~'), ' '), (re.compile(r'\^\{([^{}]*)\}'), r'^\1'), (re.compile(r'\\approx\b'), '≈'), (re.compile(r'\{,\}'), ','),
)  # fmt: skip
_RAISED = str.maketrans('⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺', '0123456789-+')
_RAISED_RUN = re.compile('[⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺]+')
_VULGAR = re.compile('[¼½¾⅐-⅞]')
_RUN_OF_BLANKS = re.compile(r'[^\S\n]+')
_TIMES = re.compile(r'(?<=[\d.])\s*(?:[×x*·⋅∙]|&times;)\s*(?=10\s*\^|10e)')
_NUMBER = re.compile(r"\d{1,3}(?:[ '’_]\d{3})+(?!\d)(?:[.,]\d+)?|\d+(?:[.,]\d+)*(?:[eE][-+]?\d{1,3}(?![\w.]))?|[.,]\d+")
_MIXED = re.compile(r' (\d{1,6})/(\d{1,6})(?![\d/])')
_POWER = re.compile(r'\s?\^\s?\(?([-+]?\d{1,3})\)?')


def plain_formula(text: str) -> str:
    """Return `text` without LaTeX, raised digits and vulgar fractions: `\\frac{1}{2}` as (1)/(2), 10⁵ as 10^5, ½ as 1/2."""
    if '\\' in text or '{' in text or '~' in text:
        for _ in range(NESTED):
            for pattern, plain in _LATEX:
                text = pattern.sub(plain, text)
    if not text.isascii():
        text = _RAISED_RUN.sub(lambda run: '^' + run[0].translate(_RAISED), text)
        text = _VULGAR.sub(lambda sign: ' ' + unicodedata.normalize('NFKC', sign[0]).replace('⁄', '/'), text)
        text = text.replace('−', '-').replace('⁄', '/').replace('÷', '/')
    return _RUN_OF_BLANKS.sub(' ', _TIMES.sub('×', text)).strip()


def read_number(text: str, at: int) -> Read | None:
    """Read factors parted by `/`, a power of ten behind ×, and roots or π that stand beside a number."""
    first = _factor(text, at)
    if first is None or text.count('/', at) > 1 and '(' not in text:  # 12/05/2020
        return None
    values, at = first
    if (mixed := _MIXED.match(text, at)) and int(mixed[2]) and values[0] == int(values[0]):
        return (values[0] + Fraction(int(mixed[1]), int(mixed[2])),), mixed.end()
    while at < len(text):
        ahead = at + (text[at] == ' ')
        sign = text[ahead : ahead + 1]
        if sign in ('/', '×'):
            behind = ahead + 1 + (text[ahead + 1 : ahead + 2] == ' ')
            nxt = _factor(text, behind) if sign == '/' or text.startswith('10^', behind) else None
            if nxt is None or sign == '/' and not nxt[0][0]:
                break
            values = tuple(value / nxt[0][0] if sign == '/' else value * nxt[0][0] for value in values[:1])
            at = nxt[1]
        elif sign in ('√', 'π') and (nxt := _factor(text, ahead)):
            values, at = (values[0] * nxt[0][0],), nxt[1]
        else:
            break
    return values, at


def _factor(text: str, at: int) -> Read | None:
    """Read one number, bracket, root or π, with its exponent."""
    if text[at : at + 1] == '(':
        inner = read_number(text, at + 1)
        if inner is None or text[inner[1] : inner[1] + 1] != ')':
            return None
        values, at = inner[0], inner[1] + 1
    elif text[at : at + 1] == '√':
        below = _factor(text, at + 1)
        if below is None or below[0][0] < 0 or below[0][0] > 1e300:
            return None
        values, at = (Fraction(math.sqrt(below[0][0])),), below[1]
    elif text[at : at + 1] == 'π':
        values, at = (Fraction(math.pi),), at + 1
    elif number := _NUMBER.match(text, at):
        values, at = _readings(number[0]), number.end()
        if not values:
            return None
    else:
        return None
    if power := _POWER.match(text, at):
        return _raised(values[0], int(power[1]), power.end())
    return values, at


def _raised(base: Fraction, exponent: int, at: int) -> Read | None:
    if not base or abs(exponent) * abs(math.log10(abs(base))) > EXPONENTS:
        return None
    return (base**exponent,), at


def _readings(digits: str) -> tuple[Fraction, ...]:
    """Return what a run of digits, points and commas may mean: 1,500 is rather 1500 than 1.5, 1.500 the other way round."""
    mantissa, _, exponent = digits.lower().partition('e')
    if abs(int(exponent or 0)) > EXPONENTS:
        return ()
    power = Fraction(10) ** int(exponent or 0)
    compact = re.sub(r"[ '’_]", '', mantissa)
    if re.fullmatch(r'\d{1,3}(?:,\d{3})+(?:\.\d+)?', compact) or re.fullmatch(r'\d{1,2}(?:,\d{2})+,\d{3}(?:\.\d+)?', compact):  # Indian: 1,00,000
        usual = Fraction(compact.replace(',', ''))
        other = compact.count(',') == 1 and '.' not in compact
        return (usual * power, Fraction(compact.replace(',', '.')) * power) if other else (usual * power,)
    if re.fullmatch(r'\d{1,3}(?:\.\d{3})+,\d+|\d{1,3}(?:\.\d{3}){2,}', compact):
        return (Fraction(compact.replace('.', '').replace(',', '.')) * power,)
    if re.fullmatch(r'[1-9]\d{0,2}\.\d{3}', compact):
        return Fraction(compact) * power, Fraction(compact.replace('.', '')) * power
    if re.fullmatch(r'\d*[.,]?\d+', compact):
        return (Fraction(compact.replace(',', '.')) * power,)
    return ()  # 1.2.3
