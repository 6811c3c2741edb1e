"""A prompt of the user's own as text with fields: `{question}` stands for the question, every other brace is text.

Values are put in once and never looked at again: a question that holds `{answer}` stays as it is. `{{` and `}}` are one brace each, as in
Python's format; JSON may be written so or as it is, since a brace before anything but a name is text. `{name}` of a name that is no field is
a fault, not text: a mistyped `{anwser}` would be sent as it stands, a hundred thousand times.
"""

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

IMAGES = 'images'
FIELDS = ('question', 'context', IMAGES, 'answer', 'candidate', 'first', 'second')  # of any prompt; which of them one has, its use says
_TOKEN = re.compile(r'\{\{|\}\}|\{([A-Za-z_]\w*)\}|[{}]')
_ALMOST = re.compile(r'(?<!\{)\{\s*(' + '|'.join(FIELDS) + r')\b[^{}\n]*\}')


@dataclass(frozen=True, slots=True)
class Rendered:
    """A prompt's words with the pictures' place between them; in front (`before` is empty) where the prompt names none."""

    before: str
    after: str
    repeated: bool = False  # whether it names their place again

    @property
    def text(self) -> str:
        """The words alone."""
        return (self.before + self.after).strip()


class PlainTemplate:
    """A text with fields. `lines` says on which line each name stands first."""

    def __init__(self, text: str):
        self._parts: list[tuple[str, str]] = []  # (text, then the field that follows it or '')
        self.lines: dict[str, int] = {}
        self._almost: list[tuple[int, str]] = []
        self._read(text)

    def _read(self, text: str) -> None:
        said, at = '', 0
        opened: list[str] = []  # the braces that are open: each closes by one of its own kind, so JSON's `}}` stays two
        while found := _TOKEN.search(text, at):
            said, token = said + text[at:found.start()], found[0]
            at = found.end()
            if name := found[1]:
                self.lines.setdefault(name, text.count('\n', 0, found.start()) + 1)
                self._parts.append((said, name))
                said = ''
            elif token in ('{', '{{'):
                opened.append(token)
                said += '{'
            elif token == '}}' and opened and opened[-1] == '{':
                opened.pop()
                said, at = said + '}', at - 1  # the second closes what is around it
            else:
                said += '}'
                opened[-1:] = []
        self._parts.append((said + text[at:], ''))
        for found in _ALMOST.finditer(text):
            if not _TOKEN.fullmatch(found[0]):
                self._almost.append((text.count('\n', 0, found.start()) + 1, found[0]))

    @property
    def fields(self) -> frozenset[str]:
        """The names that stand in it."""
        return frozenset(self.lines)

    def faults(self) -> Iterator[str]:
        """Yield what is surely not meant, whatever the prompt is for."""
        for line, found in self._almost:
            name = re.split(r'\W+', found.strip('{} '))[0]
            yield f'line {line}: expected {{{name}}}, found {found}; text in braces is written {{{found}}}'
        if sum(field == IMAGES for _, field in self._parts) > 1:
            yield f'line {self.lines[IMAGES]}: expected {{images}} once, found it again'

    def render(self, values: Mapping[str, str]) -> Rendered:
        """Return the prompt with a value for each field but `images`, which is where the pictures stand."""
        before, words = '', ''
        for said, field in self._parts:
            words += said
            if field == IMAGES:
                before, words = words, ''
            elif field:
                words += values[field]
        return Rendered(before, words)


@lru_cache(maxsize=64)
def plain_template(text: str) -> PlainTemplate:
    """Return the template of a text."""
    return PlainTemplate(text)


def field_faults(names: Mapping[str, int], known: tuple[str, ...], written: str) -> Iterator[str]:
    """Yield a fault for each name (and the line it stands on) that is none of the `known` fields; `written` is how the language writes one."""
    for name, line in sorted(names.items(), key=_by_line):
        if name in known:
            continue
        near = difflib.get_close_matches(name.lower(), known, n=1)
        meant = f'did you mean {written % near[0]}?' if near else f'expected one of {", ".join(written % field for field in known)}.'
        as_text = f' Text in braces is written {{{{{name}}}}}' if written == '{%s}' else ''
        yield f'line {line}: unknown field {written % name}; {meant}{as_text}'


def _by_line(named: tuple[str, int]) -> tuple[int, str]:
    return named[1], named[0]
