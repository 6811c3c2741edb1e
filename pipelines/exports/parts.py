"""What the targets share: picture files by id, messages as plain text with `<image>` marks, rows that a format cannot say."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from curation.formats import IMAGE
from pipelines.mix_rows import text_of
from pipelines.snapshot_rows import each_row, extension_of, splits_of
from schemas.snapshot import Snapshot

MARKS = (IMAGE, '<video>', '<audio>')  # ms-swift and LLaMA-Factory replace these wherever they stand in a text
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

    def rows(self, split: str, *, says_marks: bool = False) -> Iterator[dict]:
        """Yield the rows of a split and count them; with `says_marks` rows whose text holds a mark are left out, with the reason."""
        for row in each_row(self.snapshot, split):
            mark = _spoken_mark(row) if says_marks else ''
            if mark:
                self._leave_out(row, f'its text holds {mark!r}, which this format would take for a picture')
                continue
            self.counts['rows'] += 1
            self.counts[f'rows/{split}'] += 1
            yield row

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


def json_line(value: dict) -> str:
    """Return one line of JSON."""
    return json.dumps(value, ensure_ascii=False) + '\n'


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
    names = ('triple_id', 'sample_id', 'source', 'category', 'licence', 'kind', 'generator', 'score')
    return {name: row[name] for name in names if name in row}


def _spoken_mark(row: dict) -> str:
    messages = [*row.get('messages', ()), *row.get('prompt', ()), *row.get('chosen', ()), *row.get('rejected', ())]
    texts = [part['text'] for message in messages for part in message['content'] if part['type'] == 'text']
    return next((mark for text in texts for mark in MARKS if mark in text), '')
