"""YAML as people and strangers write it: plain values, or a UserError that names the place. A key that stands twice is refused.

What a text may ask for is bounded before it is made: a few lines of anchors and merges (`<<`) stand for more values than any memory holds.
"""

from collections.abc import Iterable
from typing import Any

import yaml
from yaml.constructor import ConstructorError
from yaml.nodes import CollectionNode, MappingNode, Node, ScalarNode

from schemas.errors import UserError

MAX_CHARS = 400_000  # of a text; the paper's mix of 14 sources has 11,000, a thousand picture ids 70,000
MAX_VALUES = 10_000  # keys among them, once every alias is what it stands for
MAX_DEPTH = 50
TOO_DEEP = f'lists and mappings more than {MAX_DEPTH} deep'
MAX_DIGITS = 40  # of a number; hexadecimal and sexagesimal ones may be of any length in a few bytes
_SHOWN_CHARS = 80
_NUMBERS = ('tag:yaml.org,2002:int', 'tag:yaml.org,2002:float')


class _Loader(yaml.SafeLoader):
    """The safe loader, which would silently keep the last of two equal keys: a whole source could vanish that way."""

    def __init__(self, text: str, most: int) -> None:
        super().__init__(text)
        self.n_values, self.most = 0, most

    def fetch_flow_collection_start(self, token: type) -> None:  # before thousands of brackets are looked at, each for all before it
        if self.flow_level > MAX_DEPTH:
            raise ConstructorError(None, None, TOO_DEEP, self.get_mark())
        super().fetch_flow_collection_start(token)

    def add_indent(self, column: int) -> bool:
        if len(self.indents) > MAX_DEPTH:
            raise ConstructorError(None, None, TOO_DEEP, self.get_mark())
        return super().add_indent(column)

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:
        self.n_values += 1
        if self.n_values > self.most:
            raise ConstructorError(None, None, f'more than {self.most:,} values', self.get_mark())
        return super().compose_node(parent, index)

    def compose_mapping_node(self, anchor: str | None) -> MappingNode:  # merge keys (<<) are still apart here
        node = super().compose_mapping_node(anchor)
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, ScalarNode) and key.value in seen:
                raise ConstructorError(None, None, f'the key {key.value[:_SHOWN_CHARS]!r} stands twice in one mapping', key.start_mark)
            seen.add(key.value if isinstance(key, ScalarNode) else '')
        return node

    def bounded_data(self) -> object:
        """Return the value of the text."""
        node = self.get_single_node()
        if node is None:
            return None
        _weigh(node, {}, most=self.most)
        return self.construct_document(node)


def _weigh(node: Node, known: dict[int, int], depth: int = 0, *, most: int) -> int:
    """Return how many values a node stands for; raises ConstructorError for too many, too deep, and what no value can be."""
    if id(node) in known:
        if not known[id(node)]:
            raise ConstructorError(None, None, 'a value that holds itself', node.start_mark)
        return known[id(node)]
    if depth > MAX_DEPTH:
        raise ConstructorError(None, None, TOO_DEEP, node.start_mark)
    known[id(node)] = 0
    if isinstance(node, CollectionNode):
        known[id(node)] = 1 + sum(_weigh(inner, known, depth + 1, most=most) for inner in _inside(node))
    else:
        _check_scalar(node)
        known[id(node)] = 1
    if known[id(node)] > most:
        raise ConstructorError(None, None, f'more than {most:,} values once each alias is what it stands for', node.start_mark)
    return known[id(node)]


def _inside(node: CollectionNode) -> Iterable[Node]:
    return (inner for pair in node.value for inner in pair) if isinstance(node, MappingNode) else node.value


def _check_scalar(node: Node) -> None:
    if node.tag in _NUMBERS and len(node.value) > MAX_DIGITS:
        raise ConstructorError(None, None, f'a number of {len(node.value)} digits', node.start_mark)
    if any('\ud800' <= char <= '\udfff' for char in node.value):
        raise ConstructorError(None, None, 'half a surrogate pair, which is no text', node.start_mark)


def parse_yaml(text: str, where: str, *, most_chars: int = MAX_CHARS, most_values: int = MAX_VALUES) -> object:
    """Return the value of a YAML text; raises UserError, which begins with `where`, for one that cannot be read or is beyond the bounds above."""
    if len(text) > most_chars:
        raise UserError(f'{where}: expected at most {most_chars:,} characters of YAML, found {len(text):,}')
    loader = None
    try:
        loader = _Loader(text, most_values)
        return loader.bounded_data()
    except (yaml.YAMLError, ValueError, OverflowError) as e:  # ValueError: the 45th of May; OverflowError: a time before the first year
        raise UserError(f'{where}: expected readable YAML, found: {e}') from e
    except (KeyError, IndexError, AttributeError, TypeError) as e:  # how PyYAML says that `!!bool abc`, `!!int ""` and `!!timestamp abc` are none
        raise UserError(f'{where}: expected readable YAML, found a value that is not what its tag says ({type(e).__name__}: {e})') from e
    except RecursionError as e:
        raise UserError(f'{where}: expected readable YAML, found brackets too deep to follow') from e
    finally:
        if loader is not None:
            loader.dispose()


def parse_settings(words: list[str]) -> dict[str, Any]:
    """Return name -> value of `name=value` words, values read as YAML; raises UserError for a word without "="."""
    for word in words:
        if '=' not in word:
            raise UserError(f'--set {word}: expected name=value, found no "="')
    return {name: parse_yaml(value, f'--set {name}') for name, _, value in (word.partition('=') for word in words)}
