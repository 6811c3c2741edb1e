"""What lies in the folders and files that somebody names: data, pictures, archives. Bounded, and no link is followed."""

import itertools
import os
import re
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from curation.rows.webdataset import is_hidden, is_picture
from pipelines.sources.completeness import PACKED, unpacking
from pipelines.sources.containers import ARROW, SUFFIXES
from pipelines.sources.folders import NO_DATA, is_junk
from pipelines.sources.tar_samples import BadTar, members
from schemas.disk import is_file, is_folder, raise_moment
from schemas.errors import UserError

MOST_FILES = 100_000  # looked at by name
MOST_DEEP = 12  # folders in folders
MOST_UNITS = 200  # of data
MOST_MEMBERS = 20_000  # of an archive, by name
_STATE = ('state.json', 'dataset_dict.json')  # of what `datasets.save_to_disk` writes
_COUNTED = re.compile(r'-\d{5}-of-\d{5}')
_DIGITS = re.compile(r'\d+')
_PICTURES_ENOUGH = 3  # members of a tar, nothing but pictures: they are pictures that something else speaks of
_TEXTS = ('.md', '.txt', '.rst', '.html', '.pdf', '.py', '.ipynb', '.yaml', '.yml', '.toml', '.cfg', '.sh', '.license', '')  # for people: not told


@dataclass
class Found:
    """Names relative to `root`."""

    root: Path
    units: list[str] = field(default_factory=list)  # as an entry of `annotations`: a file, a glob of shards, a folder of `save_to_disk`
    pictures: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))  # base name -> where, also in archives: a.zip/in/1.png
    n_pictures: int = 0
    left_out: dict[str, str] = field(default_factory=dict)  # name -> why, and what to do

    def add_picture(self, path: str) -> None:
        """Remember where a picture lies."""
        self.pictures[path.rpartition('/')[2]].append(path)
        self.n_pictures += 1


def look_around(paths: list[Path]) -> Found:
    """Return what lies below these paths; raises UserError for one that is not there, or where they have no folder in common."""
    absent = [str(path) for path in paths if not (is_folder(path) or is_file(path))]  # a FIFO would be waited for
    if absent:
        raise UserError(f'init: expected folders or files, found none at {", ".join(absent[:8])}')
    real = [path.resolve() for path in paths]  # a link that is named is meant
    root = Path(os.path.commonpath([path if path.is_dir() else path.parent for path in real]))
    if root == Path(root.anchor):
        raise UserError(f'init: expected folders and files below one folder, found only {root} above {", ".join(map(str, paths[:8]))}; '
                        'put them, or links to them, into one')
    found, files = Found(root), list[str]()
    for path in real:
        if path.is_dir():
            files += itertools.islice(_files(path, found), MOST_FILES)
        else:
            files.append(path.relative_to(root).as_posix())
    if len(files) >= MOST_FILES:
        found.left_out['(more files)'] = f'the names of {MOST_FILES:,} files were looked at, there are more; name the folders that are meant'
    _sort_out(sorted(dict.fromkeys(files)), found)
    return found


def _files(folder: Path, found: Found, deep: int = 0) -> Iterator[str]:
    """Yield the files of a folder by their names; of one that `datasets` saved nothing, since it is a unit itself."""
    entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    if {entry.name for entry in entries} & set(_STATE):
        found.units.append(_named(folder, found.root) or '.')
        return
    for entry in entries:
        name = _named(folder, found.root, entry.name)
        if entry.name.startswith(('.', '_')) or entry.name in ('node_modules', 'lost+found'):
            continue
        if entry.is_symlink():
            found.left_out[name] = f'a link, which is not followed; name what it leads to: phantom init {os.path.realpath(entry.path)}'
        elif entry.is_dir():
            if deep < MOST_DEEP:
                yield from _files(Path(entry.path), found, deep + 1)
            else:
                found.left_out[name] = f'more than {MOST_DEEP} folders deep; name it to have it looked at'
        elif entry.is_file():
            yield name


def _named(folder: Path, root: Path, name: str = '') -> str:
    return (folder / name).relative_to(root).as_posix().removeprefix('./').removesuffix('/.') if (folder / name) != root else ''


def _sort_out(files: list[str], found: Found) -> None:
    data = []
    for file in files:
        suffix = PurePosixPath(file).suffix.lower()
        if is_picture(suffix[1:]) and suffix != '.pdf':
            found.add_picture(file)
        elif suffix == '.zip' or (suffix == '.tar' and _is_of_pictures(found.root / file)):
            _look_into(file, found)
        elif file.lower().endswith(PACKED) and suffix != '.tar':
            found.left_out[file] = unpacking(found.root / file)
        elif suffix in SUFFIXES:
            data += [] if PurePosixPath(file).name in NO_DATA or is_junk(file) else [file]
        elif suffix not in _TEXTS:
            found.left_out[file] = f'no kind of file that is read; expected {", ".join(SUFFIXES)}, found {suffix}'
    units = list(_together(data))
    found.units += units[:MOST_UNITS]
    if len(units) > MOST_UNITS:
        found.left_out['(more data)'] = f'{len(units):,} files of data; the first {MOST_UNITS} were looked at, name those that are meant'


def _together(files: list[str]) -> Iterator[str]:
    """Yield one entry for the shards of one thing: a glob, where their names differ in numbers only and it matches nothing else."""
    groups = defaultdict(list)
    for file in files:
        counts = PurePosixPath(file).suffix.lower() in (*ARROW, '.tar') or _COUNTED.search(file)
        groups[_pattern(file) if counts else file].append(file)
    for pattern, group in groups.items():
        alone = len(group) == 1 or [file for file in files if fnmatchcase(file, pattern)] != group
        yield from group if alone else [pattern]


def _pattern(file: str) -> str:
    folder, slash, name = file.rpartition('/')
    counted = _COUNTED.sub('-*', name)
    return folder + slash + (counted if counted != name else _DIGITS.sub('*', name))


def _is_of_pictures(path: Path) -> bool:
    """Return whether the first members of a tar are pictures and nothing beside them."""
    try:
        with open(path, 'rb') as handle:
            some = [one for one in itertools.islice(members(handle, 0, path.stat().st_size), 200) if one.size and not is_hidden(one.name)]
    except (OSError, BadTar) as e:
        raise_moment(e)
        return False
    return len(some) >= _PICTURES_ENOUGH and all(is_picture(one.extension) for one in some)


def _look_into(file: str, found: Found) -> None:
    """Remember the pictures in an archive, which is read as it is."""
    try:
        names = [name for name in itertools.islice(_members(found.root / file), MOST_MEMBERS) if is_picture(PurePosixPath(name).suffix.lower()[1:])]
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile) as e:
        raise_moment(e)
        found.left_out[file] = f'expected an archive, found: {" ".join(str(e).split())[:200]}; is the download complete?'
        return
    for name in names:
        if not is_hidden(name) and '..' not in PurePosixPath(name).parts and not name.startswith('/'):
            found.add_picture(f'{file}/{name.removeprefix("./")}')
    if not names:
        found.left_out[file] = f'no pictures in it; annotations are not read inside archives: {unpacking(found.root / file)}'


def _members(path: Path) -> Iterator[str]:
    if path.suffix.lower() == '.zip':
        with zipfile.ZipFile(path) as archive:
            yield from (one.filename for one in archive.filelist)
    else:
        with open(path, 'rb') as handle:
            yield from (one.name for one in members(handle, 0, path.stat().st_size))
