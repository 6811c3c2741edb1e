"""Byte ranges of the records of a JSON file: a list, or one object a line. One pass over the mapped file; nothing is loaded whole."""

import json
import mmap
import re
from collections.abc import Iterator
from pathlib import Path

from schemas.errors import UserError

_TOKENS = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[\[\]{},"]', re.DOTALL)
_HEAD_BYTES = 4096
_SEEN_BYTES = 64_000_000  # pages of the map that were passed are given back at this pace: memory stays flat however long the file
_BLOCK_BYTES = 1 << 22
_BOM = b'\xef\xbb\xbf'
MAX_DEPTH = 100  # brackets in brackets; Python's own bound hangs on its stack, so on the runner, and is lower for writing than for reading


def json_spans(source: str, path: Path) -> Iterator[tuple[int, int]]:
    """Yield (start, stop) of every record; raises UserError for a file that is neither a list nor JSON Lines.

    The content decides, not the name: POPE's `coco_pope_popular.json` is JSON Lines.
    """
    if path.suffix == '.jsonl' or is_lines(path):
        return line_spans(path)
    return list_spans(source, path)


def is_lines(path: Path) -> bool:
    """Return whether a file's first line is a whole JSON object."""
    with open(path, 'rb') as handle:
        if not _strip(handle.read(_HEAD_BYTES)).startswith(b'{'):
            return False
        handle.seek(0)
        first = handle.readline(64_000_000)
    try:
        return isinstance(json.loads(first.decode('utf-8-sig')), dict)
    except (ValueError, RecursionError):
        return False


def refuse_deep(data: bytes) -> None:
    """Raise ValueError for JSON whose brackets nest deeper than MAX_DEPTH."""
    depth = 0
    for token in _TOKENS.finditer(data) if data.count(b'[') + data.count(b'{') > MAX_DEPTH else ():
        depth += (token[0] in b'[{') - (token[0] in b']}')
        if depth > MAX_DEPTH:
            raise ValueError(f'brackets more than {MAX_DEPTH} deep')


def _strip(head: bytes) -> bytes:
    return head.removeprefix(_BOM).lstrip()


def line_spans(path: Path) -> Iterator[tuple[int, int]]:
    """Yield (start, stop) of every line that is not blank; holds a block of the file, however long a line is."""
    start, at, blank = 0, 0, True
    with open(path, 'rb') as handle:
        while block := handle.read(_BLOCK_BYTES):
            begin = 0
            while (end := block.find(b'\n', begin)) >= 0:
                if not blank or block[begin:end].strip():
                    yield start, at + end + 1
                start, begin, blank = at + end + 1, end + 1, True
            blank = blank and not block[begin:].strip()
            at += len(block)
    if not blank:
        yield start, at


def list_spans(source: str, path: Path) -> Iterator[tuple[int, int]]:
    """Yield (start, stop) of every element of a top-level JSON list; raises UserError for another file, or one that is cut off."""
    with open(path, 'rb') as handle:
        head = _strip(handle.read(_HEAD_BYTES))
        if not head.startswith(b'['):
            raise UserError(f'source {source}: expected a JSON list or JSON Lines in {path}, found {head[:20]!r} first')
        with mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as data:
            depth, start, kept = 0, 0, 0
            for token in _TOKENS.finditer(data):
                if token.start() - kept > _SEEN_BYTES:
                    data.madvise(mmap.MADV_DONTNEED, 0, token.start() // mmap.PAGESIZE * mmap.PAGESIZE)
                    kept = token.start()
                match token[0]:
                    case b'[' | b'{':
                        depth += 1
                        start = token.end() if depth == 1 else start
                    case b',' | b']' | b'}':
                        if depth == 1:
                            if data[start:token.start()].strip():
                                yield start, token.start()
                            start = token.end()
                        depth -= token[0] != b','
                    case b'"':
                        break  # a string that never ends: reported below
                if depth == 0:
                    return
            raise UserError(f'source {source}: expected a whole JSON list in {path}, found its end with {depth} bracket(s) open; '
                            'is the download complete?')
