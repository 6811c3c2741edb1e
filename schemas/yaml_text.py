"""YAML as people and strangers write it: plain values, or a UserError that names the place. A key that stands twice is refused."""

from typing import Any

import yaml
from yaml.constructor import ConstructorError
from yaml.nodes import MappingNode, ScalarNode

from schemas.errors import UserError


class _Loader(yaml.SafeLoader):
    """The safe loader, which would silently keep the last of two equal keys: a whole source could vanish that way."""

    def compose_mapping_node(self, anchor: str | None) -> MappingNode:  # merge keys (<<) are still apart here
        node = super().compose_mapping_node(anchor)
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, ScalarNode) and key.value in seen:
                raise ConstructorError(None, None, f'the key {key.value!r} stands twice in one mapping', key.start_mark)
            seen.add(key.value if isinstance(key, ScalarNode) else '')
        return node


def parse_yaml(text: str, where: str) -> object:
    """Return the value of a YAML text; raises UserError, which begins with `where`, for one that cannot be read."""
    try:
        return yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, ValueError) as e:  # ValueError: the 45th of May, a number of 5,000 digits
        raise UserError(f'{where}: expected readable YAML, found: {e}') from e
    except RecursionError as e:
        raise UserError(f'{where}: expected readable YAML, found brackets too deep to follow') from e


def parse_settings(words: list[str]) -> dict[str, Any]:
    """Return name -> value of `name=value` words, values read as YAML; raises UserError for a word without "="."""
    for word in words:
        if '=' not in word:
            raise UserError(f'--set {word}: expected name=value, found no "="')
    return {name: parse_yaml(value, f'--set {name}') for name, _, value in (word.partition('=') for word in words)}
