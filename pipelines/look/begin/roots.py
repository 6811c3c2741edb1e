"""Under which folders or archives the pictures lie that records name, and what must be taken off those names first."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

_MOST = 8  # folders
_EXTENSIONS = ('.jpg', '.png', '.jpeg')  # that stand for each other where `other_extensions` says so


@dataclass(frozen=True, slots=True)
class Roots:
    """The settings of a source by which its pictures are found, and of how many names they were."""

    images: list[str]
    strip_prefix: list[str]
    other_extensions: bool
    n_found: int
    n: int


def roots_of(references: Sequence[str], pictures: dict[str, list[str]]) -> Roots:
    """Return where pictures lie, from names as records have them and from the paths of all pictures by their base names."""
    ways = [_ways(reference, pictures) for reference in references]
    found = [(way, False) for way in ways if way]
    if not found:
        by_stem = defaultdict[str, list[str]](list)
        for name, paths in pictures.items():
            stem, dot, ending = name.rpartition('.')
            if dot + ending.lower() in _EXTENSIONS:
                by_stem[stem] += [path.rpartition('.')[0] for path in paths]
        found = [(way, True) for reference in references if PurePosixPath(reference).suffix.lower() in _EXTENSIONS
                 if (way := _ways(reference.rpartition('.')[0], by_stem))]
    images, prefixes = list[str](), list[str]()
    left = [way for way, _ in found]
    while left and len(images) < _MOST:
        ((root, prefix), _), = Counter(one for way in left for one in way).most_common(1)
        images += [root] if root not in images else []
        prefixes += [prefix] if prefix is not None and prefix not in prefixes else []
        left = [way for way in left if (root, prefix) not in way]
    return Roots(images, prefixes, any(other for _, other in found), len(found) - len(left), len(references))


def _ways(reference: str, pictures: dict[str, list[str]]) -> frozenset[tuple[str, str | None]]:
    """Return each (folder, what is taken off, if anything) by which a picture is found, with as much of its name as possible."""
    path = reference.replace('\\', '/').removeprefix('./')
    parts = path.split('/')
    for cut in range(len(parts)):
        tail = '/'.join(parts[cut:])
        found = [there for there in pictures.get(parts[-1], ()) if there == tail or there.endswith(f'/{tail}')]
        if found and tail and not tail.startswith('/'):
            prefix = '/'.join(parts[:cut]) or ('/' if cut else '' if '\\' in reference else None)  # '' turns separators and takes nothing off
            return frozenset((there[: len(there) - len(tail)].rstrip('/') or '.', prefix) for there in found)
    return frozenset()
