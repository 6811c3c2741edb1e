"""The configurations that a data set's card (README.md of a Hub folder) names: which files are which split."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from schemas.disk import raise_moment
from schemas.errors import UserError
from schemas.yaml_text import parse_yaml

_CARD = 'README.md'
_CARD_BYTES = 1_000_000
_CONFIGS = re.compile(r'^["\']?configs["\']?\s*:', re.MULTILINE)
_ALIAS = re.compile(r'[&*][A-Za-z0-9]')  # perhaps of YAML: few lines that mean millions
_BRACES = re.compile(r'\{([^{}]*)\}')
_PATTERNS = 1000  # that the braces of one may stand for


@dataclass(frozen=True, slots=True)
class Config:
    """A name, and for each split the patterns of its files, relative to the card."""

    name: str
    patterns: dict[str, list[str]]


@dataclass(frozen=True, slots=True)
class Card:
    """The configurations with files of their own that a card names, and why they are none though it seems to name some."""

    configs: tuple[Config, ...] = ()
    unread: str = ''


def card_of(folder: Path) -> Card:
    """Return what the card in a folder says of its files: nothing where there is no card, or it names none."""
    try:
        with open(folder / _CARD, 'rb') as handle:
            text = handle.read(_CARD_BYTES).decode('utf-8-sig').replace('\r\n', '\n')
    except OSError as e:
        raise_moment(e)
        return Card()
    except UnicodeDecodeError as e:
        return Card(unread=f'no UTF-8 ({e})')
    start, _, rest = text.partition('---\n')
    head, end, _ = f'\n{rest}'.partition('\n---')
    if start.strip() or not _CONFIGS.search(head):
        return Card()
    if not end:
        return Card(unread='its front matter never ends')
    try:
        if _ALIAS.search(head) and any(isinstance(token, yaml.AnchorToken | yaml.AliasToken) for token in yaml.scan(head, yaml.SafeLoader)):
            return Card(unread='anchors and aliases of YAML')
        found = parse_yaml(head, _CARD, most_chars=_CARD_BYTES, most_values=_CARD_BYTES)
    except (UserError, yaml.YAMLError) as e:
        return Card(unread=' '.join(str(e).split())[:200])
    listed = found.get('configs') if isinstance(found, dict) else None
    configs = tuple(config for one in listed if (config := _config(one))) if isinstance(listed, list) else ()
    return Card(configs, '' if configs else 'no configuration that names files')


def _config(one: object) -> Config | None:
    if not isinstance(one, dict):
        return None
    files, folder = one.get('data_files'), str(one.get('data_dir') or '').strip('/')
    entries = files if isinstance(files, list) else [files]
    patterns: dict[str, list[str]] = {}
    for entry in entries:
        split, paths = (str(entry.get('split', 'train')), entry.get('path')) if isinstance(entry, dict) else ('train', entry)
        for path in paths if isinstance(paths, list) else [paths]:
            if isinstance(path, str) and '://' not in path:
                patterns.setdefault(split, []).extend(_each_of_braces(f'{folder}/{path}' if folder else path))
    return Config(str(one.get('config_name', 'default')), patterns) if patterns else None


def _each_of_braces(pattern: str) -> Iterator[str]:
    """Yield the patterns that `{one,two}/*` stands for."""
    found = [pattern]
    while len(found) < _PATTERNS and (braces := _BRACES.search(found[0])) and ',' in braces[1]:
        found = [one[:match.start()] + word + one[match.end():] for one in found if (match := _BRACES.search(one)) for word in match[1].split(',')]
    yield from found
