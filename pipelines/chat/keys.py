"""A model's API key: read from the environment, hidden where messages might show it. What a model wrote is never rewritten."""

import base64
import os
import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from pipelines.chat.decoding import readings, strings_of
from schemas.errors import UserError

HIDDEN = '***'
QUOTED = f'{HIDDEN} (left out: it quotes the API key)'
PLACEHOLDER_CHARS = 8  # a shorter one (EMPTY, none, x) protects nothing, and words of every message are spelt like it
# Keys that services hand out are random: 24 and more letters and digits that take turns (OpenAI sk-..., Anthropic sk-ant-..., Hugging Face hf_...,
# Google AIza..., Azure's and Together's hexadecimal). Words that people put in place of one (`anything`, `token-abc123`, `sk-no-key-required`,
# `lm-studio`) are shorter or change once or twice, and a reply may well hold them.
SECRET = ((16, 4), (24, 2))  # letters and digits, and how often they take turns at least: at 16 hexadecimal digits 7 times are expected
_USERINFO = re.compile(r'(?<=://)[^/\s@\'"]+@')  # name and password in an address, such as that of a proxy
_BREAK = r'(?:\s|\\{1,4}[nrt]|=\r?\n){0,20}'  # between two characters of a key that a text wraps, plain, escaped in JSON, or quoted-printable


@dataclass(frozen=True, slots=True)
class Key:
    """The key a variable holds; '' where there is none. Nothing prints it."""

    variable: str
    value: str = field(repr=False)

    @property
    def is_secret(self) -> bool:
        """Return whether the key is so random that a text which holds it has it from us: letters and digits that take turns, as SECRET says."""
        plain = re.sub(r'[^A-Za-z0-9]', '', self.value)
        turns = sum(a.isdigit() != b.isdigit() for a, b in zip(plain, plain[1:]))
        return any(len(plain) >= least and turns >= often for least, often in SECRET)

    def hide(self, text: str) -> str:
        """Return a message without the key, in whatever form, and without passwords in addresses: servers and libraries quote what they were sent."""
        text = _USERINFO.sub(f'{HIDDEN}@', text)
        text = _forms(self.value).sub(HIDDEN, text) if len(self.value) >= PLACEHOLDER_CHARS else text
        return QUOTED if self.leaked_in(text) else text  # in a form of which no part can be cut out

    def leaked_in(self, text: str) -> bool:
        """Return whether a text holds the key: as it is, or as it reads with escapes, wrappings and encodings undone. Never for an ordinary word."""
        if not self.is_secret:
            return False
        sought = self.value.casefold()
        return _forms(self.value).search(text) is not None or any(sought in reading for reading in readings(text))

    def leaked_by(self, payload: Any) -> bool:
        """Return whether what a server sent, decoded, holds the key: in one of its texts, or over several tokens, parts or pieces of one."""
        return self.is_secret and any(map(self.leaked_in, strings_of(payload)))


def read_key(variable: str) -> Key:
    """Return the key in `variable`; raises UserError, without it, for one that no HTTP header can carry."""
    value = os.environ.get(variable, '').strip()  # a file read into a variable often ends with a blank or a carriage return
    if not (value.isascii() and value.isprintable()) or ' ' in value:
        # refused here: the HTTP library would quote it, escaped, in its own message
        raise UserError(f'${variable}: expected an API key of printable ASCII without blanks, found something else in it; export the right key')
    return Key(variable, value)


@lru_cache(maxsize=64)
def _forms(value: str) -> re.Pattern[str]:
    """Return what finds `value` in any of its forms."""
    spelt = _BREAK.join(_character(c) for c in value)
    encoded = [_BREAK.join(re.escape(c) for c in code) for code in _base64(value)]
    return re.compile('|'.join((spelt, *encoded)))


def _character(c: str) -> str:
    """Return what finds one character: itself, or as JSON (escaped again, too), an address, or HTML write it."""
    code = f'{ord(c):02x}'
    forms = [re.escape(c), rf'\\{{1,4}}u00(?i:{code})', rf'%(?:25){{0,3}}(?i:{code})', rf'&#(?:x0{{0,4}}(?i:{code})|0{{0,4}}{ord(c)});']
    if not c.isalnum():
        forms.append(rf'\\{{1,4}}{re.escape(c)}')  # no bound is open: a text of backslashes would be searched again from each
    return f'(?:{"|".join(forms)})'


def _base64(value: str) -> list[str]:
    """Return what base64 of any text around `value` holds of it, wherever it begins in a group of three bytes, in both alphabets."""
    found = []
    for before in range(3):
        code = base64.b64encode(b'\0' * before + value.encode()).decode().rstrip('=')
        cut = (0, 2, 3)[before]  # characters that what stands before has a part in; the last one may have a part in what follows
        found.append(code[cut:-1])
    return [*found, *(code.replace('+', '-').replace('/', '_') for code in found if set('+/') & set(code))]
