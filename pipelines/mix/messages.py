"""The turns of samples as TRL messages, whole columns at a time."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.rows.formats import IMAGE
from schemas.records import MESSAGES, PARTS

_PARTS = pa.array(['image', 'text'])


def messages_of(turns: pa.ListArray) -> pa.ListArray:
    """Return MESSAGES for the turns of samples: of each turn an image part for each `<image>`, text parts between, blank ends trimmed."""
    flat = turns.flatten()
    content = _content(flat.field('text'))
    message = pa.StructArray.from_arrays([flat.field('role'), content], fields=list(MESSAGES.value_type))
    return pa.ListArray.from_arrays(_offsets(pc.list_value_length(turns)), message, type=MESSAGES)


def _content(texts: pa.StringArray) -> pa.ListArray:
    pieces = pc.split_pattern(texts, IMAGE)
    spoken = pc.utf8_trim_whitespace(pieces.flatten())
    starts = np.asarray(pieces.offsets) - pieces.offsets[0].as_py()
    after_image = np.ones(len(spoken), bool)
    after_image[starts[:-1]] = False  # a turn has one piece at least, before its first image
    has_text = pc.greater(pc.binary_length(spoken), 0).to_numpy(zero_copy_only=False)
    ends = np.cumsum(after_image.astype(np.int32) + has_text)  # of the parts of each piece: its image, then its text
    is_text = np.zeros(int(ends[-1]) if len(ends) else 0, bool)
    is_text[ends[has_text] - 1] = True
    piece = np.zeros(len(is_text), np.int64)
    piece[is_text] = np.flatnonzero(has_text)
    part = pa.StructArray.from_arrays(
        [_PARTS.take(pa.array(is_text.astype(np.int8))), spoken.take(pa.array(piece, mask=~is_text))], fields=list(PARTS.value_type)
    )
    return pa.ListArray.from_arrays(pa.array(np.concatenate([[0], ends])[starts], pa.int32()), part, type=PARTS)


def _offsets(lengths: pa.Array) -> pa.Array:
    return pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32())
