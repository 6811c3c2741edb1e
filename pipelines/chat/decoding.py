"""A text as it reads once what programs wrap texts in is undone: escapes of JSON and of languages, addresses, HTML, mails, hexadecimal, base64."""

import base64
import html
import re
import urllib.parse
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

ROUNDS = 4  # of wrapping inside wrapping
MOST_CHARS = 4_000_000  # that are undone: each round may treble what is coded
LEAST_CODED = 20  # characters of base64 or hexadecimal that are worth undoing: a key has 16 and more ...
MOST_CODED = 20_000  # ... and what is longer is a picture or a file
MOST_PLACE = 500  # characters of the names that lead to a text
_ESCAPE = re.compile(r'\\+(?:u\{([0-9a-fA-F]{1,6})\}|[uU]([0-9a-fA-F]{8}|[0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|([0-3][0-7]{2})|([nrt])|(.))', re.DOTALL)
_MAIL = re.compile(r'=(?:\r?\n|([0-9A-Fa-f]{2}))')
_PERCENT_U = re.compile(r'%u([0-9a-fA-F]{4})')
_HEX = re.compile(r'(?:[0-9a-fA-F]{2}[\s:,]?){8,}|(?:0x[0-9a-fA-F]{2}[\s,;]*){8,}')
_BASE64 = re.compile(rf'[A-Za-z0-9+/_-](?:[A-Za-z0-9+/_-]|\\?\r?\n *){{{LEAST_CODED},}}')
_UNSEEN = re.compile('[\x00-\x20\x7f-\xa0\xad\u034f\u061c\u1680\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufe00-\ufe0f\ufeff]')


def readings(text: str) -> Iterator[str]:
    """Yield a text without blanks and what is not seen, in small letters: as it is, and as it reads with one wrapping after the other undone."""
    for _ in range(ROUNDS):
        yield ''.join(text.split()).lower() if text.isascii() and text.isprintable() else _UNSEEN.sub('', text).casefold()
        plain = _undone(text)
        coded = list(_coded(text))
        if plain == text and not coded or len(text) > MOST_CHARS:
            return
        text = '\n'.join([plain, *coded])


def _undone(text: str) -> str:
    if '\\' in text:
        text = _ESCAPE.sub(_unescaped, text)
    if '%' in text:
        text = urllib.parse.unquote(_PERCENT_U.sub(_character, text))
    if '&' in text:
        text = html.unescape(text)
    return _MAIL.sub(_character, text) if '=' in text else text


def _unescaped(found: re.Match) -> str:
    braced, wide, narrow, octal, blank, other = found.groups()
    if code := braced or wide or narrow:
        number = int(code, 16)
        return chr(number) if number < 0x110000 else ''
    return chr(int(octal, 8)) if octal else '' if blank else other


def _character(found: re.Match) -> str:
    return chr(int(found[1], 16)) if found[1] else ''


def _coded(text: str) -> Iterator[str]:
    """Yield what stands in a text as hexadecimal or base64, wherever in a group of four it begins."""
    for found in _short(_HEX, text):
        digits = re.sub('0x|[^0-9a-fA-F]', '', found[0])
        yield bytes.fromhex(digits[: len(digits) // 2 * 2]).decode('latin-1')
    for found in _short(_BASE64, text):
        code = re.sub('[^A-Za-z0-9+/]', '', found[0].replace('-', '+').replace('_', '/'))
        for begin in range(4):
            part = code[begin:]
            part = part[:-1] if len(part) % 4 == 1 else part  # six bits are no byte
            yield base64.b64decode(part + '=' * (-len(part) % 4)).decode('latin-1')


def _short(pattern: re.Pattern[str], text: str) -> Iterator[re.Match]:
    return (found for found in pattern.finditer(text) if found.end() - found.start() <= MOST_CODED)


def strings_of(payload: Any) -> Iterator[str]:
    """Yield the texts of a JSON value, those of each place put together: one may come in tokens, parts or pieces. Then the names in it."""
    told: dict[str, list[str]] = defaultdict(list)
    names: set[str] = set()
    waiting: list[tuple[str, Any]] = [('', payload)]  # no recursion: a body may be nested deeper than Python's stack
    while waiting:
        place, value = waiting.pop()
        if isinstance(value, str):
            told[place].append(value)
        elif isinstance(value, list):
            waiting += [(place, item) for item in reversed(value)]
        elif isinstance(value, dict):
            names.update(value)
            waiting += [(_inside(place, name), item) for name, item in reversed(value.items())]
    yield from (''.join(pieces) for pieces in told.values())
    yield '\n'.join(sorted(name for name in names if not name.isdigit()))


def _inside(place: str, name: str) -> str:
    """Return where the value of a name stands; the number of a token is its name in vLLM's log-probabilities of a prompt."""
    return place if len(place) > MOST_PLACE else f'{place}/{"#" if name.isdigit() else name}'
