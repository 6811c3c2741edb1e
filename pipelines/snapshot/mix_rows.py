"""Rows of a mix snapshot as the steps of the triples see them: turns with image marks, the answer, and pictures when a model sees."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from curation.rows.formats import IMAGE
from pipelines.chat.requests import prepare_image
from schemas.disk import readable
from schemas.errors import UserError
from schemas.recipe import Model
from schemas.records import Turn
from schemas.replies import SentImage


@dataclass(frozen=True, slots=True)
class MixRow:
    """`turns` end with the question; `images` are (image id, bytes), empty unless they were read."""

    sample_id: str
    source: str
    answers: str
    turns: tuple[Turn, ...]
    answer: str
    image_ids: tuple[str, ...]
    images: tuple[tuple[str, bytes], ...]

    @property
    def question(self) -> str:
        """Return the last question, without image marks."""
        return self.turns[-1].text.replace(IMAGE, '').strip()

    def shown(self, model: Model) -> tuple[SentImage, ...]:
        """Return the pictures as they are sent to `model`; none to a model that cannot see."""
        return tuple(prepare_image(data, image_id, model.max_image_px) for image_id, data in self.images) if model.images else ()


def text_of(message: dict) -> str:
    """Return a message's parts as one text, `<image>` for each image part: what `messages_of` was given.

    A line break stands between pictures, and between them and the text before or behind all of them, unless the text has a blank there.
    """
    parts = [IMAGE if part['type'] == 'image' else part['text'] or '' for part in message['content'] or ()]
    shown = [part['type'] == 'image' for part in message['content'] or ()]
    said = [at for at, part in enumerate(parts) if not shown[at] and part.strip()]
    if len(said) > 1 or (said and any(shown[: said[0]]) and any(shown[said[0] :])):
        return ''.join(parts)
    return parts[0] + ''.join(_between(before, part) + part for before, part in pairwise(parts)) if parts else ''


def _between(before: str, after: str) -> str:
    return '' if before[-1:].isspace() or after[:1].isspace() else '\n'


def mix_row(row: dict) -> MixRow:
    """Return the MixRow of a row of MIX_ROWS, with or without its `images` column."""
    *before, last = row['messages']
    images = tuple(zip(row['image_ids'], (image['bytes'] for image in row.get('images') or ()), strict=False))
    turns = tuple(Turn(message['role'], text_of(message)) for message in before)
    return MixRow(row['sample_id'], row['source'], row['answers'], turns, text_of(last), tuple(row['image_ids']), images)


ROWS_AT_ONCE = 256  # as Python values, or fewer with ...
RUN_BYTES = 8_000_000  # ... this much of pictures
BUFFER_BYTES = 1_000_000  # of each column, read from the file at a time; without it a column of pictures is read whole
COLUMNS = ['sample_id', 'source', 'answers', 'messages', 'image_ids']


def mix_rows(path: str, numbers: list[int], *, pixels: bool) -> Iterator[MixRow]:
    """Yield some rows of a mix file, in the order asked for; pictures only with `pixels`."""
    for _, row in read_rows(path, numbers, [*COLUMNS, 'images'] if pixels else COLUMNS):
        yield mix_row(row)


def read_rows(path: str, numbers: Iterable[int], columns: list[str] | None = None) -> Iterator[tuple[int, dict]]:
    """Yield (number, row) of some rows of a Parquet file, in the order asked for, as often as asked for.

    Of row groups that hold one, a run of rows is held at a time; where the numbers do not ascend, all that are asked for.
    """
    asked = [int(number) for number in numbers]
    ascending = sorted(set(asked))
    if asked == ascending:
        yield from _ascending(path, ascending, columns)
        return
    rows = dict(_ascending(path, ascending, columns))
    yield from ((number, rows[number]) for number in asked)


def _ascending(path: str, numbers: list[int], columns: list[str] | None) -> Iterator[tuple[int, dict]]:
    with readable(path), pq.ParquetFile(path, buffer_size=BUFFER_BYTES, pre_buffer=False) as file:
        wanted, at, start = np.asarray(numbers, np.int64), 0, 0
        for group in range(file.num_row_groups):
            about = file.metadata.row_group(group)
            if at < len(wanted) and wanted[at] < start + about.num_rows:
                run = max(1, min(ROWS_AT_ONCE, RUN_BYTES * about.num_rows // max(1, about.total_byte_size)))
                first = start
                for rows in file.iter_batches(run, row_groups=[group], columns=columns):
                    stop = int(np.searchsorted(wanted, first + rows.num_rows))
                    for number, row in zip(wanted[at:stop].tolist(), rows.take(pa.array(wanted[at:stop] - first)).to_pylist(), strict=True):
                        _refuse_other_pictures(path, number, row)
                        yield number, row
                    at, first = stop, first + rows.num_rows
                    if at == len(wanted) or wanted[at] >= start + about.num_rows:
                        break  # the rest of the row group is not read
            start += about.num_rows


def _refuse_other_pictures(path: str, number: int, row: dict) -> None:
    """Raise UserError where a picture of a snapshot's row is not the one that its id names."""
    for image, image_id in zip(row.get('images') or (), row.get('image_ids') or (), strict=False):
        if (found := hashlib.sha256(image['bytes'] or b'').hexdigest()) != image_id:
            raise UserError(f'{path}, row {number}: expected a picture with sha256 {str(image_id)[:12]}..., found {found[:12]}...; '
                            'it changed since it was sealed: `phantom verify` names all such rows; remove it and build it again')
