"""What a file that did not arrive whole looks like, from its first and last bytes and its name; nothing is read through."""

import codecs
import glob
import re
import shlex
import zipfile
from pathlib import Path, PurePosixPath

from schemas.errors import UserError

_LFS = b'version https://git-lfs.github.com/spec/'
_ENDS = 4096  # bytes looked at on either side
_SHARD = re.compile(r'(.*?)-(\d{5})-of-(\d{5})(-[0-9a-f]+)?(\.\w+)')
_NAMED = 3  # missing files named in a message
_ARCHIVES = ('.zip', '.tar', '.tar.gz', '.tgz')
PACKED = (*_ARCHIVES, '.gz', '.bz2', '.xz', '.zst', '.lz4', '.7z', '.rar')
_UNPACK = (
    (('.tar.gz', '.tgz', '.tar.bz2', '.tar.xz', '.tar.zst'), 'tar -xf {name} -C {folder}'),
    (('.gz',), 'gunzip -k {name}'), (('.zst',), 'zstd -d {name}'),
    (('.bz2',), 'bunzip2 -k {name}'), (('.xz',), 'unxz -k {name}'), (('.lz4',), 'lz4 -d {name}'), (('.zip',), 'unzip {name} -d {folder}'),
    (('.7z',), '7z x {name} -o{folder}'), (('.rar',), 'unrar x {name} {folder}'))
_LINES, _TEXTS = ('.jsonl', '.ndjson', '.jsonlines'), ('.json', '.csv', '.tsv')
_MARKS = ((codecs.BOM_UTF32_LE, 'UTF-32'), (codecs.BOM_UTF32_BE, 'UTF-32'), (codecs.BOM_UTF16_LE, 'UTF-16'), (codecs.BOM_UTF16_BE, 'UTF-16'))


def check_whole(path: Path) -> None:
    """Raise UserError for a Git LFS pointer, a web page, text that is UTF-16 or UTF-32, or a .json, .parquet or .zip file whose end is missing."""
    with open(path, 'rb') as handle:
        head = handle.read(_ENDS)
        handle.seek(max(0, path.stat().st_size - _ENDS))
        tail = handle.read(_ENDS).rstrip()
    start = head.removeprefix(b'\xef\xbb\xbf').lstrip()
    if is_pointer(head):
        raise UserError(f'expected data in {path}, found a Git LFS pointer; fetch the file itself: git lfs pull')
    lines = path.suffix.lower() in _LINES
    if not head and lines:
        return  # a shard without a record
    if not head:
        raise UserError(f'expected data in {path}, found an empty file; download it again')
    text = lines or path.suffix.lower() in _TEXTS
    if text and (encoding := _wide(head)):
        raise UserError(f'expected UTF-8 in {path}, found {encoding}; convert it: '
                        f'iconv -f {encoding} -t UTF-8 {shlex.quote(path.name)} > new{path.suffix}')
    if text and start[:1] == b'<':
        raise UserError(f'expected JSON in {path}, found a web page: {start[:60]!r}; a data set behind a login needs one to be downloaded')
    if path.suffix.lower() == '.json' and start[:1] == b'[' and tail[-1:] not in (b']', b'}'):
        raise UserError(f'expected a whole JSON list in {path}, found its end cut off after {tail[-40:]!r}; is the download complete?')
    if path.suffix == '.parquet' and not head[:4] == tail[-4:] == b'PAR1':
        raise UserError(f'expected Parquet data in {path}, found no footer; is the download complete?')
    if path.suffix == '.zip' and not zipfile.is_zipfile(path):
        raise UserError(f'expected a zip archive in {path}, found no directory at its end; is the download complete?')


def _wide(head: bytes) -> str:
    """Return the name of an encoding of two or four bytes a letter, '' for none: by its mark, or the zeros of its ASCII letters."""
    for mark, name in _MARKS:
        if head.startswith(mark):
            return name
    first = bytes(head[:64])
    if len(first) < 8 or first.count(0) * 3 < len(first):
        return ''
    if first.count(0) * 3 > 2 * len(first):
        return 'UTF-32BE' if first[0] == 0 else 'UTF-32LE'
    return 'UTF-16BE' if first[0] == 0 else 'UTF-16LE'


def unpacking(path: Path) -> str:
    """Return what a message says of a packed file."""
    name, folder = shlex.quote(str(path)), shlex.quote(str(path.parent))
    lower = path.name.lower()
    for ends, how in _UNPACK:
        if lower.endswith(ends):
            return f'unpack it first: {how.format(name=name, folder=folder)}'
    return 'unpack it first'


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
            if found.name.endswith(PACKED):
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
