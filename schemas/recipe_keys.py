"""Every key of a recipe with its type, default, example and words, as the JSON Schema has them: for `phantom help` and docs/recipe.md."""

import difflib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import yaml

from schemas.errors import UserError
from schemas.recipe_examples import EXAMPLES
from schemas.recipe_schema import recipe_schema

_MOST = 2**53  # a bound of numbers that nobody meets: it is not told
REQUIRED = 'required'  # in place of a default
_NEAR = 4  # keys that may have been meant


@dataclass(frozen=True, slots=True)
class Key:
    """One key; in its path `*` stands for a name of the user's own or a place in a list. A section has keys below it."""

    path: str
    type: str
    default: str  # as YAML; REQUIRED where there is none
    text: str
    example: str  # as YAML, '' for none
    about: str  # of a section: what it is, where `text` says what it is here; '' of a key with a value

    @property
    def plain(self) -> str:
        """The path without the names of the user's own."""
        return '.'.join(part for part in self.path.split('.') if part != '*')

    @property
    def name(self) -> str:
        """What stands in the file, before the colon."""
        return self.path.rpartition('.')[2]


@cache
def all_keys() -> tuple[Key, ...]:
    """Return every key in the order of the models, a section before what is in it."""
    schema = recipe_schema()
    required = {'': schema['else']['required'], **{f'{at}.*': node['additionalProperties']['anyOf'][0]['required']
                                                    for at, node in schema['else']['properties'].items() if 'additionalProperties' in node}}
    required['judge.second'] = schema['else']['properties']['judge']['properties']['second']['anyOf'][0]['required']
    found = _Walk(schema['$defs'], required).keys_in(schema, '')
    return tuple({key.plain: key for key in found}.values())  # what may be one or a list of them is found twice


def help_on(wanted: str = '') -> str:
    """Return what there is to be said of a key, as text: of a section its keys, of nothing all sections; raises UserError for one nobody knows."""
    if not wanted:
        top = [key for key in all_keys() if '.' not in key.path]
        return f'{_listed(top)}\n\nphantom help KEY tells one of them, phantom help judge.margin a key in it; all on one page: docs/recipe.md'
    found = _found(wanted)
    if not found:
        raise UserError(f'help: expected a key of a recipe, found {wanted[:80]!r}{_meant(wanted)}; `phantom help` lists the sections')
    return '\n\n'.join(map(_told, found))


def _found(wanted: str) -> list[Key]:
    """Return the keys that a person means: by the whole path, with or without names, else by the last parts of it."""
    said = re.sub(r'\[(\w*)\]', r'.\1', wanted.strip().strip('.')).split('.')
    exact = [key for key in all_keys() if _same(key.path.split('.'), said) or key.plain.split('.') == said]
    return exact[:1] if exact else [key for key in all_keys() if key.plain.split('.')[-len(said):] == said]


def _same(path: list[str], said: list[str]) -> bool:
    return len(path) == len(said) and all(part in ('*', word) for part, word in zip(path, said, strict=True))


def _meant(wanted: str) -> str:
    plain = {key.plain: key for key in all_keys()}
    last = {key.name: key for key in all_keys()}
    near = [plain[word].path for word in difflib.get_close_matches(wanted, plain, _NEAR)]
    near += [last[word].path for word in difflib.get_close_matches(wanted.rpartition('.')[2], last, _NEAR)]
    return f'; did you mean {", ".join(list(dict.fromkeys(near))[:_NEAR])}' if near else ''


def _told(key: Key) -> str:
    default = '  required' if key.default == REQUIRED else f'  default: {key.default}' if key.default else ''
    said = list(dict.fromkeys(filter(None, (key.text, key.about))))
    example = [f'  example: {key.name}: {key.example}'] if key.example else []
    lines = [f'{key.path}', f'  {key.type}{default}', *(f'  {text}' for text in said), *example]
    if key.about:
        inner = [one for one in all_keys() if one.path.startswith(f'{key.path}.') and one.plain.count('.') == key.plain.count('.') + 1]
        lines += ['', _listed(inner)]
    return '\n'.join(lines)


def _listed(keys: list[Key]) -> str:
    width = max(len(key.path) for key in keys)
    return '\n'.join(f'{key.path:{width}}  {_first_sentence(key.text)}' for key in keys)


def _first_sentence(text: str) -> str:
    return re.split(r'(?<=[^.])[.] ', f'{text} ')[0].rstrip('. ')


@dataclass(frozen=True)
class _Walk:
    """A way through the schema."""

    defs: dict[str, Any]
    required: dict[str, list[str]]

    def keys_in(self, section: dict[str, Any], at: str) -> Iterator[Key]:
        needed = section.get('required', self.required.get(at, []))
        for name, about in section['properties'].items():
            path = f'{at}.{name}' if at else name
            below = list(self._below(about, path))
            yield Key(path, self._type(about), REQUIRED if name in needed else _shown(about), self._text(about), EXAMPLES.get(path, ''),
                      self._about(about) if below else '')
            yield from below

    def _below(self, about: dict[str, Any], at: str) -> Iterator[Key]:
        for node in self._variants(about):
            if 'properties' in node:
                yield from self.keys_in(node, at)
            else:
                for inner in _inside(node):
                    yield from self._below(inner, f'{at}.*')

    def _variants(self, about: dict[str, Any]) -> Iterator[dict[str, Any]]:
        if '$ref' in about:
            yield from self._variants(self.defs[about['$ref'].rpartition('/')[2]])
        elif 'anyOf' in about or 'oneOf' in about:
            for one in about.get('anyOf', about.get('oneOf', ())):
                yield from self._variants(one)
        else:
            yield about

    def _about(self, about: dict[str, Any]) -> str:
        for node in self._variants(about):
            told = node.get('description', '') if 'properties' in node else next(filter(None, map(self._about, _inside(node))), '')
            if told:
                return told
        return ''

    def _text(self, about: dict[str, Any]) -> str:
        return about.get('description') or next(iter(self._variants(about))).get('description', '')

    def _type(self, about: dict[str, Any]) -> str:
        return ' or '.join(dict.fromkeys(self._one(node) for node in self._variants(about)))

    def _one(self, node: dict[str, Any]) -> str:
        if 'enum' in node or 'const' in node:
            return ' | '.join(node.get('enum', [node.get('const')]))
        inner = ' or '.join(dict.fromkeys(self._type(one) for one in _inside(node)))
        of = {'array': f'list of: {inner}', 'object': 'section' if 'properties' in node else f'mapping: name -> {inner}'}
        plain = {'string': 'text', 'integer': 'whole number', 'number': 'number', 'boolean': 'true | false', 'null': 'null'}
        return (of | plain)[node['type']] + _bounds(node)


def _inside(node: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what may stand in a list or a mapping."""
    more = node.get('additionalProperties')
    return [*([node['items']] if 'items' in node else []), *node.get('patternProperties', {}).values(), *([more] if isinstance(more, dict) else [])]


def _bounds(node: dict[str, Any]) -> str:
    low, above = node.get('minimum'), node.get('exclusiveMinimum')
    high, below = node.get('maximum', _MOST), node.get('exclusiveMaximum')
    words = [f'from {low:,}' if low is not None else f'above {above:,}' if above is not None else '',
             f'to {high:,}' if high < _MOST else f'below {below:,}' if below is not None else '']
    return ''.join(f' {word}' for word in words if word)


def _shown(about: dict[str, Any]) -> str:
    """Return the default as YAML; '' of a section, whose keys have theirs."""
    return plain_yaml(about['default']) if 'default' in about else ''


def plain_yaml(value: object) -> str:
    """Return a value as YAML in one line."""
    if value in ('', [], {}):
        return json.dumps(value)
    return yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10_000, allow_unicode=True).removesuffix('...\n').strip()
