"""Rows of a mix snapshot as the steps of the triples see them: turns with image marks, the answer, and pictures when a model sees."""

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow.parquet as pq

from curation.formats import IMAGE
from pipelines.chat.requests import prepare_image
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
    """Return a message's parts as one text, `<image>` for each image part."""
    return '\n'.join(IMAGE if part['type'] == 'image' else part['text'] for part in message['content'])


def mix_row(row: dict) -> MixRow:
    """Return the MixRow of a row of MIX_ROWS, with or without its `images` column."""
    *before, last = row['messages']
    images = tuple(zip(row['image_ids'], (image['bytes'] for image in row.get('images') or ()), strict=False))
    turns = tuple(Turn(message['role'], text_of(message)) for message in before)
    return MixRow(row['sample_id'], row['source'], row['answers'], turns, text_of(last), tuple(row['image_ids']), images)


ROWS_AT_ONCE = 256  # as Python values, or fewer with ...
RUN_BYTES = 8_000_000  # ... this much of pictures; the row group stays Arrow
COLUMNS = ['sample_id', 'source', 'answers', 'messages', 'image_ids']


def mix_rows(path: str, numbers: list[int], *, pixels: bool) -> Iterator[MixRow]:
    """Yield some rows of a mix file, ascending; pictures only with `pixels`."""
    for _, row in read_rows(path, numbers, [*COLUMNS, 'images'] if pixels else COLUMNS):
        yield mix_row(row)


def read_rows(path: str, numbers: list[int], columns: list[str] | None = None) -> Iterator[tuple[int, dict]]:
    """Yield (number, row) of some rows of a Parquet file, ascending; only row groups that hold one are read."""
    with pq.ParquetFile(path) as file:
        start, waiting = 0, list(numbers)
        for group in range(file.num_row_groups):
            n = file.metadata.row_group(group).num_rows
            here = [number - start for number in waiting if number < start + n]
            if here:
                rows = file.read_row_group(group, columns=columns)
                run = max(1, min(ROWS_AT_ONCE, RUN_BYTES * n // max(1, rows.nbytes)))
                for at in range(0, len(here), run):
                    some = here[at:at + run]
                    yield from zip([start + number for number in some], rows.take(some).to_pylist(), strict=True)
                del rows  # before the next group is read
                waiting = waiting[len(here):]
            start += n
