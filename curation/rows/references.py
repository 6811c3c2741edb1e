"""Image references as sources write them: which are safe to open, and under what other names a picture may lie."""

import re
from collections.abc import Sequence

_DRIVE = re.compile('[A-Za-z]:/')
_EXTENSIONS = ('.jpg', '.png', '.jpeg')  # tried in this order; OCR-VQA publishes one and ships another, MGM's loader falls back too


def is_safe(reference: str) -> bool:
    """Return whether a reference is a plain relative path: no URL, no absolute path, no `..`, no NUL or backslash, not the name of packed bytes.

    `C:/` is an absolute path.
    """
    return bool(reference.strip()) and not (
        reference.startswith(('/', 'data:', 'sha256:', '~')) or '..' in reference and '..' in reference.split('/') or '://' in reference
        or '\\' in reference or '\0' in reference or _DRIVE.match(reference) is not None)


def strip_prefix(reference: str, prefixes: Sequence[str]) -> str:
    """Return a reference with `/` between its parts, without the longest of `prefixes` that it begins with, whole folders of it.

    `C:\\data\\imgs\\1.png` is `imgs/1.png` without `C:\\data`; a prefix `''` turns separators and nothing else.
    """
    path = _from_here(reference)
    written = str.casefold if _DRIVE.match(path) else str  # on drives capitals are not told from small letters
    for prefix in sorted(filter(None, map(_from_here, prefixes)), key=len, reverse=True):
        rest = path[len(prefix):]
        if written(path[:len(prefix)]) == written(prefix) and (prefix.endswith('/') or rest.startswith('/')):
            return rest.lstrip('/')
    return path


def _from_here(path: str) -> str:
    return path.replace('\\', '/').removeprefix('./')


def say_unsafe(reference: str) -> str:
    """Return what a message says of a reference that is not safe, and what helps where it is one of another machine."""
    told = f'expected a path inside the image root, found {reference[:200]!r}'
    elsewhere = '\\' in reference or reference.startswith('/') or '://' in reference or _DRIVE.match(reference)
    return f'{told}; where absolute paths or Windows separators are meant: strip_prefix of the source' if elsewhere else told


def other_names(name: str) -> tuple[str, ...]:
    """Return the names a picture may have instead: the same path with each other extension of _EXTENSIONS, in that order."""
    stem, dot, extension = name.rpartition('.')
    if dot + extension.lower() not in _EXTENSIONS:
        return ()
    return tuple(stem + other for other in _EXTENSIONS if other != dot + extension)
