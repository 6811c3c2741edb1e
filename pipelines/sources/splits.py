"""Splits by the names that people give them, as `datasets` reads them off files and folders, and which of them a recipe reads."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from schemas.errors import UserError

# keywords and what stands around them as in datasets/data_files.py (SPLIT_KEYWORDS, NON_WORDS_CHARS)
_KEYWORDS = {'train': ('train', 'training'), 'validation': ('validation', 'valid', 'dev', 'val'), 'test': ('test', 'testing', 'eval', 'evaluation')}
_SPLIT_OF = {word: split for split, words in _KEYWORDS.items() for word in words}
_AROUND = '[-._ 0-9]'
_KEYWORD = re.compile(f'(?:^|(?<={_AROUND}))({"|".join(sorted(_SPLIT_OF, key=len, reverse=True))})(?=$|{_AROUND})')
TRAIN = 'train'
DEFAULT = (TRAIN,)
_NAMED = 8


def canonical(name: str) -> str:
    """Return train, validation or test for a word that means it, else the name itself."""
    return _SPLIT_OF.get(name.lower(), name)


def split_named(name: str) -> str:
    """Return the split whose keyword is a whole name, or ''."""
    return _SPLIT_OF.get(name.lower(), '')


def split_in(name: str) -> str:
    """Return the split whose keyword stands in a name between other signs than letters, or ''; of several one that is not train."""
    found = {_SPLIT_OF[match[1]] for match in _KEYWORD.finditer(name.lower())}
    return next((split for split in ('test', 'validation', TRAIN) if split in found), '')


def chosen(found: Iterable[str], wanted: Iterable[str], where: str) -> list[str]:
    """Return the splits to read of those found: the wanted ones, train by default; raises UserError naming them where one is not there."""
    found, wanted = list(dict.fromkeys(found)), list(wanted) or list(DEFAULT)
    names = {name: [split for split in found if split == name or canonical(split) == canonical(name)] for name in wanted}
    missing = [name for name, of in names.items() if not of]
    if missing:
        there = ', '.join(sorted(found)[:_NAMED])
        raise UserError(f'{where}: expected split {" and ".join(missing)}, found {there}; say which to read, of these: splits: [{there}]')
    return [split for split in found if any(split in of for of in names.values())]


_COUNTED = re.compile(r'(.+?)-\d{5}-of-\d{5}(-[0-9a-f]+)?$')


@dataclass(frozen=True, slots=True)
class Named:
    """What the name of a file says of its split."""

    stem: str  # `train_sft` of train_sft-00000-of-00004.parquet
    meaning: str  # train, validation or test
    counted: bool  # its name counts the files of its split


def split_of_file(path: PurePosixPath) -> Named | None:
    """Return what a file's name, or that of the nearest folder that says so, tells of its split; None for nothing."""
    stem = path.name.partition('.')[0] if path.name.count('.') == 1 else path.stem
    counted = _COUNTED.fullmatch(stem)
    name = counted[1] if counted else stem
    if split := split_in(name):
        return Named(name, split, bool(counted))
    found = next((split for folder in reversed(path.parts[:-1]) if (split := split_in(folder))), '')
    return Named(found, found, counted=False) if found else None
