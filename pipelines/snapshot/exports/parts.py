"""What the targets share: picture files by id, messages as plain text with `<image>` marks, typed rows, rows that a format cannot say."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from curation.rows.formats import IMAGE
from pipelines.snapshot.mix_rows import text_of
from pipelines.snapshot.rows import extension_of, sound_rows, splits_of
from schemas.json_text import json_line
from schemas.snapshot import Snapshot

MARKS = (IMAGE, '<video>', '<audio>')  # ms-swift and LLaMA-Factory replace these wherever they stand in a text
BATCH_ROWS = 1000  # of text and paths, some kB each, held and written at once
_ABOUT = {
    'mix': ('sample_id', 'source', 'category', 'licence'),
    'triples': ('triple_id', 'sample_id', 'source', 'category', 'licence', 'kind', 'generator', 'score'),
}
ID_COLUMN = {'mix': 'sample_id', 'triples': 'triple_id'}


@dataclass
class Export:
    """One export on its way: where from, where to, what was written and what was left out."""

    snapshot: Snapshot
    folder: Path
    counts: Counter = field(default_factory=Counter)

    def splits(self) -> list[str]:
        """Return the splits to write."""
        return splits_of(self.snapshot)

    def rows(self, split: str, marks: tuple[str, ...] = (), *, no_pictures: str = '', counted: bool = True) -> Iterator[dict]:
        """Yield the rows of a split and count them; rows whose text holds one of `marks` are left out, with the reason.

        So are rows with pictures where `no_pictures` says why. What is not `counted` was before: rows that are written in two forms.
        """
        for row in sound_rows(self.snapshot, split):
            if why := _unsaid(row, marks, no_pictures):
                if counted:
                    self._leave_out(row, why)
                continue
            if counted:
                self.counts['rows'] += 1
                self.counts[f'rows/{split}'] += 1
            yield row

    def write_rows(self, name: str, rows: Iterator[dict], columns: dict[str, pa.DataType], *, images: bool = True) -> None:
        """Write NAME.parquet with these columns, `images` (paths) unless there are none, and `phantom` (where a row comes from).

        Not JSONL: `datasets` (seen in 5.2.0), by which both trainers read, guesses the types of JSON every 10 MB. Answers that are all dates become
        timestamps, and a file that begins with text-only rows does not load.
        """
        about_type = pa.struct([(name, pa.float64() if name == 'score' else pa.string()) for name in _ABOUT[self.snapshot.kind]])
        paths = [('images', pa.list_(pa.string()))] if images else []
        schema = pa.schema([*columns.items(), *paths, ('phantom', about_type)])
        with pq.ParquetWriter(self.folder / f'{name}.parquet', schema, compression='zstd') as writer:
            while some := list(islice(rows, BATCH_ROWS)):
                writer.write_table(pa.Table.from_pylist(some, schema))

    def save_images(self, row: dict) -> list[str]:
        """Return the paths, relative to the export, of the row's pictures; each distinct picture is written once, its own bytes."""
        return [self._save(image['bytes'], image_id) for image, image_id in zip(row['images'], row['image_ids'], strict=True)]

    def _save(self, data: bytes, image_id: str) -> str:
        name = f'images/{image_id[:2]}/{image_id}.{extension_of(data)}'
        path = self.folder / name
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            self.counts['images'] += 1
        return name

    def _leave_out(self, row: dict, reason: str) -> None:
        self.counts['left_out'] += 1
        with open(self.folder / 'left_out.jsonl', 'a', encoding='utf-8') as out:
            out.write(json_line({'id': row[ID_COLUMN[self.snapshot.kind]], 'reason': reason}))


def conversation(row: dict) -> list[dict]:
    """Return what is said before the last answer, as plain messages {role, content} with `<image>` marks."""
    return [{'role': message['role'], 'content': text_of(message)} for message in row.get('prompt') or row['messages'][:-1]]


def answers(row: dict) -> tuple[str, ...]:
    """Return (chosen, rejected) of a triple, (answer,) of a mix row."""
    if 'chosen' in row:
        return text_of(row['chosen'][0]), text_of(row['rejected'][0])
    return (text_of(row['messages'][-1]),)


def about(row: dict) -> dict:
    """Return where a row comes from."""
    return {name: row[name] for name in _ABOUT['triples' if 'triple_id' in row else 'mix']}


def _unsaid(row: dict, marks: tuple[str, ...], no_pictures: str) -> str:
    """Return why a format cannot say a row, '' where it can."""
    if no_pictures and row['images']:
        return no_pictures
    mark = _spoken_mark(row, marks)
    return f'its text holds {mark!r}, which this format would take for a picture' if mark else ''


def _spoken_mark(row: dict, marks: tuple[str, ...]) -> str:
    messages = [*row.get('messages', ()), *row.get('prompt', ()), *row.get('chosen', ()), *row.get('rejected', ())]
    texts = [part['text'] for message in messages for part in message['content'] if part['type'] == 'text']
    return next((mark for text in texts for mark in marks if mark in text), '')
