"""Image references as sources write them: which are safe to open, and under what other names a picture may lie."""

from pathlib import PurePosixPath

_EXTENSIONS = ('.jpg', '.png', '.jpeg')  # tried in this order; OCR-VQA publishes one and ships another, MGM's loader falls back too


def is_safe(reference: str) -> bool:
    """Return whether a reference is a plain relative path: no URL, no absolute path, no `..`, no NUL or backslash, not the name of packed bytes."""
    path = PurePosixPath(reference)
    return bool(reference.strip()) and not (
        path.is_absolute() or '..' in path.parts or '://' in reference or '\\' in reference or '\0' in reference
        or reference.startswith(('data:', 'sha256:', '~')))


def other_names(name: str) -> tuple[str, ...]:
    """Return the names a picture may have instead: the same path with each other extension of _EXTENSIONS, in that order."""
    stem, dot, extension = name.rpartition('.')
    if dot + extension.lower() not in _EXTENSIONS:
        return ()
    return tuple(stem + other for other in _EXTENSIONS if other != dot + extension)
