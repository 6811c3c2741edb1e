"""Markup read away, so that a text compares as it is seen: HTML's tags, TeX's commands, escapes of JSON and of source code.

Only what is known is read. `<String>` of a generic type, `<x>` and `\\foo` stay, since they may be all that two texts differ in.
"""

import re

_INLINE = 'b|i|em|strong|u|s|small|big|mark|font|span|a|code|tt|kbd|samp|var|cite|q|wbr|abbr|label'
_BLOCK = ('br|p|div|ul|ol|li|dl|dt|dd|table|thead|tbody|tfoot|tr|td|th|caption|h[1-6]|hr|pre|blockquote|center|section|article|header|footer|main|'
          'figure|figcaption|img|sub')  # fmt: skip
_AROUND = r'(?:\s[^<>]{0,500})?\s?/?>'
_INLINE_TAG = re.compile(rf'</?(?:{_INLINE}){_AROUND}|<!--.{{0,500}}?-->', re.IGNORECASE | re.DOTALL)
_BLOCK_TAG = re.compile(rf'</?(?:{_BLOCK}){_AROUND}|</sup>|<!\[CDATA\[|\]\]>', re.IGNORECASE)
_RAISED = re.compile(r'<sup(?:\s[^<>]{0,500})?>', re.IGNORECASE)
_QUOTED = re.compile(r'^[ \t]{0,20}(?:>[ \t]?)+|^[ \t]{0,20}//+[ \t]', re.MULTILINE)
_UNICODE = re.compile(r'(?:\\{1,4}u[0-9a-fA-F]{4})+')
_BYTE = re.compile(r'\\{1,4}x([0-9a-fA-F]{2})')
_BLANK = re.compile(r'\\{1,4}[nrt](?![a-z])')  # before a small letter it may be \nabla, \rho, \theta
_TEX_FACE = re.compile(
    r'\\(?:text(?:bf|it|rm|tt|sf|sc|sl|normal|color ?\{\w+\})?|emph|underline|mbox|math(?:rm|bf|it|sf|tt|normal)|operatorname)\s?\{([^{}]{0,500})\}')
_TEX_SPACE = re.compile(r'\\(?:[,;:! ]|quad|qquad|left|right|displaystyle|limits)(?![a-zA-Z])')
_FRACTION = re.compile(r'\\[dt]?frac ?\{([^{}]{0,80})\} ?\{([^{}]{0,80})\}')
_TIE = re.compile(r'(?<=[\w.,;:])~(?=[^\W\d_]{2})|(?<=[^\W\d_]{2})~(?=\w)|(?<=\.)~(?=\d)')
_TEX_SIGNS = {
    'times': '×', 'cdot': '·', 'div': '÷', 'pm': '±', 'mp': '∓', 'le': '≤', 'leq': '≤', 'leqslant': '≤', 'ge': '≥', 'geq': '≥', 'geqslant': '≥',
    'ne': '≠', 'neq': '≠', 'approx': '≈', 'equiv': '≡', 'sim': '∼', 'to': '→', 'rightarrow': '→', 'leftarrow': '←', 'Rightarrow': '⇒', 'implies': '⇒',
    'iff': '⇔', 'Leftrightarrow': '⇔', 'infty': '∞', 'cup': '∪', 'cap': '∩', 'in': '∈', 'notin': '∉', 'subset': '⊂', 'subseteq': '⊆',
    'supset': '⊃', 'supseteq': '⊇', 'wedge': '∧', 'land': '∧', 'vee': '∨', 'lor': '∨', 'neg': '¬', 'lnot': '¬', 'forall': '∀', 'exists': '∃',
    'emptyset': '∅', 'varnothing': '∅', 'perp': '⊥', 'parallel': '∥', 'angle': '∠', 'triangle': '△', 'degree': '°', 'sum': '∑',
    'prod': '∏', 'int': '∫',
    'partial': '∂', 'nabla': '∇', 'sqrt': '√', 'alpha': 'α', 'beta': 'β', 'gamma': 'γ', 'delta': 'δ', 'epsilon': 'ε', 'theta': 'θ', 'lambda': 'λ',
    'mu': 'μ', 'pi': 'π', 'rho': 'ρ', 'sigma': 'σ', 'tau': 'τ', 'phi': 'φ', 'omega': 'ω', 'Delta': 'Δ', 'Sigma': 'Σ', 'Omega': 'Ω',
}  # fmt: skip
_TEX_SIGN = re.compile(rf'\\({"|".join(sorted(_TEX_SIGNS, key=len, reverse=True))})(?![a-zA-Z])')
_TEX_DEGREE = re.compile(r'\^ ?(?:\\circ(?![a-zA-Z])|\{ ?\\circ ?\})')


def without_markup(text: str) -> str:
    """Return a text as it is seen: tags that part words as blanks, others gone, signs that TeX and JSON spell in letters as signs."""
    if '<' in text or ']]>' in text:
        text = _BLOCK_TAG.sub(' ', _INLINE_TAG.sub('', _RAISED.sub('^', text)))
    if '\n' in text and ('>' in text or '//' in text):
        text = _QUOTED.sub('', text)
    if '\\' in text:
        text = _without_commands(text)
    return _TIE.sub(' ', text) if '~' in text else text


def _without_commands(text: str) -> str:
    text = _BYTE.sub(lambda found: chr(int(found[1], 16)), _UNICODE.sub(_of_escapes, text))
    text = _TEX_SPACE.sub(' ', _TEX_FACE.sub(r'\1', _BLANK.sub(' ', text)))
    text = _FRACTION.sub(r' \1/\2 ', _TEX_DEGREE.sub('°', text))
    return _TEX_SIGN.sub(lambda found: _TEX_SIGNS[found[1]], text)


def _of_escapes(found: re.Match) -> str:
    """Return what \\u00e9 stands for; of two that stand for one sign beyond 16 bits that one."""
    units = b''.join(int(code, 16).to_bytes(2, 'little') for code in re.findall('u([0-9a-fA-F]{4})', found[0]))
    return units.decode('utf-16-le', 'replace')
