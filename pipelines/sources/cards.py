"""The configurations that a data set's card (README.md of a Hub folder) names: which files are which split."""

import re
from dataclasses import dataclass
from pathlib import Path

from schemas.errors import UserError
from schemas.yaml_text import parse_yaml

_CARD = 'README.md'
_CARD_BYTES = 1_000_000
_ALIAS = re.compile(r'(?:^|[\s\[{:,-])[&*][A-Za-z0-9]|<<', re.MULTILINE)  # of YAML: few lines that mean millions


@dataclass(frozen=True, slots=True)
class Config:
    """A name, and for each split the patterns of its files, relative to the card."""

    name: str
    patterns: dict[str, list[str]]


def configs_of(folder: Path) -> list[Config]:
    """Return the configurations with files of their own that the card in a folder names; none where there is no card, or it cannot be read."""
    try:
        with open(folder / _CARD, 'rb') as handle:
            text = handle.read(_CARD_BYTES).decode('utf-8-sig')
    except (OSError, UnicodeDecodeError):
        return []
    start, _, rest = text.partition('---\n')
    head, end, _ = rest.partition('\n---')
    if start.strip() or not end or _ALIAS.search(head):
        return []
    try:
        found = parse_yaml(head, _CARD)
    except UserError:
        return []
    configs = found.get('configs') if isinstance(found, dict) else None
    return [config for one in configs if (config := _config(one))] if isinstance(configs, list) else []


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
                patterns.setdefault(split, []).append(f'{folder}/{path}' if folder else path)
    return Config(str(one.get('config_name', 'default')), patterns) if patterns else None
