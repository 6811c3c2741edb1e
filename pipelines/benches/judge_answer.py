"""The answer that a judge extracted from a reply; None for a line that was cut off."""

import json
import re

from pipelines.benches.judge_markup import plain_signs
from pipelines.benches.judge_reading import CUT

_ANSWER_LABEL = re.compile(r'^(?:the\s+)?(?:(?:final|extracted|correct)\s+)?answer\s*(?:[:=]|\bis\b)[\s:]*', re.IGNORECASE)


def read_answer(text: str) -> str | None:
    """Return the extracted answer: the first line that says something, without marks and label around it; None for a line that was cut off."""
    try:
        held = json.loads(text, parse_float=str, parse_int=str).get('answer')
        text = held if isinstance(held, str) else text
    except (ValueError, RecursionError, AttributeError):
        pass
    for line in text.strip().split('\n'):
        if line.endswith(CUT):
            return None
        if found := _bared(plain_signs(line)):
            return found
    return None


def _bared(line: str) -> str:
    """Return a line without what stands around its answer."""
    before = None
    while line != before:
        before = line
        line = re.sub(r'(?<!\w)(?:\*\*+|__+)|(?:\*\*+|__+)(?!\w)', '', line)  # bold, wherever it stands
        line = re.sub(r'^(```|~~~)\w*|^#+\s+|^</?[A-Za-z]+>|</?[A-Za-z]+>$', '', line.strip()).strip()
        line = _ANSWER_LABEL.sub('', line)
        line = re.sub(r'^([*_$]|`+)([^*_$`]*)\1$|^\\\((.*)\\\)$|^\\\[(.*)\\\]$|^\\(?:boxed|text|mathrm)\{(.*)\}$', _inner, line)
        line = line.lstrip('"\'`“‘ ').rstrip('"\'`”’ .')
    return line


def _inner(match: re.Match) -> str:
    return next(part for part in match.groups()[1:] if part is not None)
