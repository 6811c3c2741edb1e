"""Replies of a checkpoint to a benchmark's items, kept as they are given: a run that was killed goes on where it was."""

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from schemas.errors import UserError
from schemas.json_text import json_line
from schemas.publish import publish_bytes
from schemas.refusals import refused
from schemas.snapshot import file_sha256

VERSION = 1
WEIGHTS = ('config.json', 'processor_config.json', 'tokenizer.json', 'tokenizer_config.json', '*.safetensors', '*.model')


class ReplyLog:
    """replies.jsonl: a first line that says whose replies they are, then a line a reply. A torn last line is given again."""

    def __init__(self, path: Path, whose: dict[str, Any]):
        """`whose`: what the replies depend on besides question and pictures; raises UserError if the file holds others'."""
        self._path = path
        self._replies: dict[str, str] = {}
        header = {'version': VERSION, **whose}
        whole = path.read_bytes().rpartition(b'\n')[0] if path.is_file() else b''
        if not whole:
            try:
                publish_bytes(path, f'{json.dumps(header)}\n'.encode())
            except OSError as e:
                raise refused(e, path) from e
            return
        try:
            first, *lines = [json.loads(line) for line in whole.split(b'\n')]
            self._replies = {line['asked']: line['reply'] for line in lines}
        except (ValueError, KeyError, TypeError) as e:
            raise UserError(f'{path}: expected replies, one JSON object a line, found: {e!r}; remove it, or choose another --out') from e
        if first != header:
            others = ', '.join(f'{name} {first.get(name)!r} instead of {value!r}' for name, value in header.items() if first.get(name) != value)
            raise UserError(f'{path}: expected replies of this checkpoint, found {others}; choose another --out, or remove the file')
        with open(path, 'r+b') as handle:
            handle.truncate(len(whole) + 1)

    def find(self, asked: str) -> str | None:
        """The reply to what was asked, None if there is none yet."""
        return self._replies.get(asked)

    def add(self, rows: Sequence[tuple[str, str, str]]) -> None:
        """Keeps (item id, what was asked, reply) before it returns."""
        lines = [json_line({'item_id': item_id, 'asked': asked, 'reply': reply}) for item_id, asked, reply in rows]
        try:
            with open(self._path, 'a', encoding='utf-8') as handle:
                handle.writelines(lines)
                handle.flush()
                os.fsync(handle.fileno())
        except OSError as e:
            raise refused(e, self._path) from e
        self._replies |= {asked: reply for _, asked, reply in rows}


def digest_asked(question: str, images: Sequence[bytes]) -> str:
    """What identifies a question with its pictures."""
    return hashlib.sha256(json.dumps([question, [hashlib.sha256(image).hexdigest() for image in images]]).encode()).hexdigest()


def digest_checkpoint(folder: Path) -> str:
    """What identifies a checkpoint's weights, configuration and tokenizer, wherever it lies."""
    files = sorted({path for pattern in WEIGHTS for path in folder.glob(pattern)})
    return hashlib.sha256(json.dumps([[path.name, file_sha256(path)] for path in files]).encode()).hexdigest()
