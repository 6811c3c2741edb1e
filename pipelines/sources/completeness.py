"""What a file that did not arrive whole looks like, from its first and last bytes and its name; nothing is read through."""

import glob
import re
import zipfile
from pathlib import Path, PurePosixPath

from schemas.errors import UserError

_LFS = b'version https://git-lfs.github.com/spec/'
_ENDS = 4096  # bytes looked at on either side
_SHARD = re.compile(r'(.*?)-(\d{5})-of-(\d{5})(-[0-9a-f]+)?(\.\w+)')
_NAMED = 3  # missing files named in a message
_ARCHIVES = ('.zip', '.tar', '.tar.gz', '.tgz')
_PACKED = (*_ARCHIVES, '.gz', '.bz2', '.xz', '.zst', '.7z', '.rar')


def check_whole(path: Path) -> None:
    """Raise UserError for a Git LFS pointer, a web page, or a .json list, .parquet or .zip file whose end is missing."""
    with open(path, 'rb') as handle:
        head = handle.read(_ENDS)
        handle.seek(max(0, path.stat().st_size - _ENDS))
        tail = handle.read(_ENDS).rstrip()
    start = head.removeprefix(b'\xef\xbb\xbf').lstrip()
    if is_pointer(head):
        raise UserError(f'expected data in {path}, found a Git LFS pointer; fetch the file itself: git lfs pull')
    if not head:
        raise UserError(f'expected data in {path}, found an empty file; download it again')
    if path.suffix in ('.json', '.jsonl') and start[:1] == b'<':
        raise UserError(f'expected JSON in {path}, found a web page: {start[:60]!r}; a data set behind a login needs one to be downloaded')
    if path.suffix == '.json' and start[:1] == b'[' and tail[-1:] != b']':
        raise UserError(f'expected a whole JSON list in {path}, found its end cut off after {tail[-40:]!r}; is the download complete?')
    if path.suffix == '.parquet' and not head[:4] == tail[-4:] == b'PAR1':
        raise UserError(f'expected Parquet data in {path}, found no footer; is the download complete?')
    if path.suffix == '.zip' and not zipfile.is_zipfile(path):
        raise UserError(f'expected a zip archive in {path}, found no directory at its end; is the download complete?')


def is_pointer(head: bytes) -> bool:
    """Return whether a file's first bytes are those of a Git LFS pointer."""
    return head.startswith(_LFS)


def check_shards(files: list[str]) -> None:
    """Raise UserError where file names count themselves (`x-00001-of-00005.parquet`) and one is missing or there twice."""
    seen: dict[tuple[str, int], dict[int, list[str]]] = {}
    for file in files:
        found = _SHARD.fullmatch(file)
        if found:
            seen.setdefault((found[1], int(found[3])), {}).setdefault(int(found[2]), []).append(file)
    for (stem, n), numbers in seen.items():
        missing = [f'{stem}-{i:05d}-of-{n:05d}*' for i in range(min(n, 100_000)) if i not in numbers]
        if missing:
            raise UserError(f'expected {n} files {stem}-*-of-{n:05d}, found {len(numbers)}, without {", ".join(missing[:_NAMED])}; '
                            'is the download complete?')
        twice = next((names for names in numbers.values() if len(names) > 1), None)
        if twice:
            raise UserError(f'expected one file for each part of {stem}, found {" and ".join(sorted(twice))}: two revisions? remove one')


def seen_nearby(names: list[str], root: Path) -> str:
    """Return '; ...' about a file that is there packed, half-fetched, or in another folder below `root`, or ''."""
    for name in names:
        if '*' in name or name in ('', '.'):
            continue
        base = PurePosixPath(name).name
        for pattern in (f'{name}.*', f'{base}.*', f'{PurePosixPath(name).stem}.zip', f'*/{base}', f'*/*/{base}'):
            found = next((path for path in sorted(root.glob(pattern)) if path.exists()), None)
            if found is None:
                continue
            there = found.relative_to(root).as_posix()
            if found.name == base:
                return f'; there is {there}: move it, or name it in the recipe'
            if found.name.endswith(_PACKED):
                return f'; there is {there}: unpack it'
            return f'; there is {there}: not whole yet?'
    return ''


def picture_nearby(name: str, folders: list[Path], root: Path) -> str:
    """Return '; ...' about a picture that lies one folder higher or deeper than its name says, or is still packed, or ''."""
    parts = PurePosixPath(name).parts
    above = ['/'.join(parts[:n]) for n in range(len(parts))]  # '', 'coco', 'coco/train2017', ...
    stems = [*above[1:], *(str(PurePosixPath(folder) / 'images') for folder in above)]
    for folder in folders:
        archive = next((path for stem in stems for end in _ARCHIVES if (path := folder / f'{stem}{end}').is_file()), None)
        if archive:
            return f'; there is {archive.relative_to(root).as_posix()}: unpack it there'
        moved = ['/'.join(parts[n:]) for n in range(1, len(parts))]
        moved += ['/'.join((*parts[:n], *parts[n - 1:])) for n in range(1, len(parts))]
        deeper = next(iter(sorted(folder.glob(f'*/{glob.escape(name)}'))), None)
        for there in (*(folder / way for way in moved), *([deeper] if deeper else [])):
            if there.is_file():
                return f'; there is {there.relative_to(root).as_posix()}: move its folder, or name where it lies in `images`'
    return ''
