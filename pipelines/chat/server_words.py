"""What a server says of a failure, in whatever form: an object, a list, a plain string, JSON inside a message, a page of a proxy."""

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

CODES = ('code', 'type', 'status', 'reason', 'error_code', 'error_type', 'blockReason')  # hold a name for the fault
WORDS = ('message', 'msg', 'error', 'errors', 'detail', 'error_message', 'error_msg', 'error_description', 'description', 'raw', '')  # hold sentences
ECHOED = ('input', 'ctx', 'url', 'body', 'messages', 'prompt', 'flagged_input', 'failed_generation', 'choices', 'usage')  # hold what was sent or made
BEFORE = re.compile(r"^(?:HTTP \d+: ?)?(?:Error code: \d+(?: - )?)?", re.IGNORECASE)  # ours, and what the openai client puts before a body
MAX_CHARS = 20_000  # of a body that are looked at
MAX_WORDS = 500  # characters of what is shown of it
VALUE = re.compile(r'\{|\[(?=\s*[{\["\']\s*\w)')  # where JSON may begin; a sentence has brackets, too: "should be [1, 30720]", "messages[0]"
TITLE = re.compile(r'<(title|h1)\b[^<>]{0,200}>([^<]{0,500})</(?:title|h1)>', re.IGNORECASE)
PAGE = re.compile(r'<(!doctype|html|head|body|title|center|h1)\b', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Said:
    """Names of the fault, as they stand, and sentences about it, the outer ones first; of a page neither."""

    codes: tuple[str, ...]
    words: tuple[str, ...]


def read_fault(text: str) -> Said:
    """Return what a failure's body says, without what it repeats of the request."""
    plain = BEFORE.sub('', text[:MAX_CHARS].strip())
    if PAGE.search(plain[:2000]):
        return Said((), ())
    found = list(_leaves(_parsed(plain), ''))
    codes = [value for name, value in found if name in CODES]
    words = [value for name, value in found if name in WORDS]
    return Said(tuple(codes), tuple(words))


def server_words(text: str) -> str:
    """Return the sentence of a failure's body that says most: the innermost, a page's title, or the text as it stands. One line."""
    plain = BEFORE.sub('', text[:MAX_CHARS].strip())
    if PAGE.search(plain[:2000]):
        titles = [found for _, found in TITLE.findall(plain)] or [re.sub(r'<[^>]*>', ' ', plain)]
        return _line(f'{titles[0]} (a page, no answer of a chat server)')
    words = [word for word in read_fault(text).words if not word.lstrip().startswith(('{', '['))]
    return _line(words[-1] if words else _outside(plain))


def same_way(text: str) -> str:
    """Return the words of a failure without numbers and names of single requests: equal for all that fail in one way."""
    words = re.sub(r"\b(?=[\w-]*\d)[\w-]{6,}\b|\d+(?:\.\d+)?|'[^']{40,}'", '#', server_words(text).lower())
    return re.sub(r'[\W_]*#[\W_]*(?:#[\W_]*)*', ' # ', words)[:120].strip()


def _line(text: str) -> str:
    return ' '.join(text.split())[:MAX_WORDS]


def _outside(plain: str) -> str:
    """Return what stands before a body that says nothing itself, or all of it."""
    return re.split(rf'(?: in|:)? ?(?:{VALUE.pattern})', plain, maxsplit=1)[0].strip() or plain


def _parsed(text: str) -> Any:
    """Return the value that a text holds, JSON or as Python shows it; the text where it holds none that is whole."""
    if text.startswith('"') and text.endswith('"'):
        text = text[1:-1]
    start = VALUE.search(text)
    if start is None:
        return text
    rest = text[start.start():]
    try:
        return json.JSONDecoder().raw_decode(rest)[0]
    except (ValueError, RecursionError):
        pass
    try:
        return ast.literal_eval(rest[: max(rest.rfind('}'), rest.rfind(']')) + 1])
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return _torn(text)


def _torn(text: str) -> Any:
    """Return the fields that can be told in a body that is cut off, or the text."""
    pairs = re.findall(r"""['"](\w+)['"]\s*:\s*(?:"((?:[^"\\]|\\.)*)"?|'((?:[^'\\]|\\.)*)'?|(\d+))""", text)
    told = [{name: a or b or c} for name, a, b, c in pairs if name in CODES or name in WORDS]
    return told or text


def _leaves(value: Any, name: str, depth: int = 0) -> Iterator[tuple[str, str]]:
    if depth > 20:
        return
    if isinstance(value, dict):
        if isinstance(value.get('loc'), list | tuple) and isinstance(value.get('msg'), str):  # how pydantic names a field
            yield 'msg', f'{".".join(map(str, value["loc"]))}: {value["msg"]}'
            return
        for key, item in value.items():
            if key not in ECHOED:
                yield from _leaves(item, str(key), depth + 1)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _leaves(item, name, depth + 1)
    elif isinstance(value, str):
        yield name, value
        inner = _parsed(value) if name in WORDS and value else value
        if not isinstance(inner, str):
            yield from _leaves(inner, name, depth + 1)
    elif isinstance(value, int) and not isinstance(value, bool):
        yield name, str(value)
