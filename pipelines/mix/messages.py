"""The turns of samples as TRL messages, whole columns at a time; `text_of` (pipelines/snapshot/mix_rows.py) gives the texts back.

Where pictures stand before or behind all that is said ("<image>\nWhat is it?", LLaVA's way), one line break between is no part of the text: chat
templates and trainers put their own there. Of a text that pictures stand within ("Is <image> the same as <image>?") every blank is kept.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.rows.formats import IMAGE
from schemas.records import MESSAGES, PARTS

_PARTS = pa.array(['image', 'text'])


def messages_of(turns: pa.ListArray) -> pa.ListArray:
    """Return MESSAGES for the turns of samples: an image part for each `<image>`, text parts between; blank ends of a turn are trimmed."""
    flat = turns.flatten()
    content = _content(flat.field('text'))
    message = pa.StructArray.from_arrays([flat.field('role'), content], fields=list(MESSAGES.value_type))
    return pa.ListArray.from_arrays(_offsets(pc.list_value_length(turns)), message, type=MESSAGES)


def _content(texts: pa.StringArray) -> pa.ListArray:
    pieces = pc.split_pattern(texts, IMAGE)
    starts = np.asarray(pieces.offsets) - pieces.offsets[0].as_py()
    first, last = (np.zeros(starts[-1], bool) for _ in range(2))
    first[starts[:-1]] = last[starts[1:] - 1] = True  # a turn has one piece at least, before its first image
    spoken = _spoken(pieces.flatten(), starts, first, last)
    after_image = ~first
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


def _spoken(pieces: pa.StringArray, starts: np.ndarray, first: np.ndarray, last: np.ndarray) -> pa.StringArray:
    """Return the text of each piece of a turn, '' where nothing stands between two pictures but what `text_of` puts there."""
    pieces = pc.if_else(pa.array(first), pc.utf8_ltrim_whitespace(pieces), pieces)
    pieces = pc.if_else(pa.array(last), pc.utf8_rtrim_whitespace(pieces), pieces)
    before, behind = pc.utf8_ltrim_whitespace(pieces), pc.utf8_rtrim_whitespace(pieces)
    is_said = pc.greater(pc.binary_length(before), 0).to_numpy(zero_copy_only=False)
    within = np.add.reduceat(np.stack([is_said, is_said & ~first & ~last]), starts[:-1], axis=1) if len(is_said) else np.zeros((2, 0))
    aside = np.repeat((within[0] <= 1) & (within[1] == 0), np.diff(starts))  # all pictures on one side of what is said
    breaks = aside & is_said & last & ~first & pc.equal(pieces, pc.binary_join_element_wise('\n', before, '')).to_numpy(zero_copy_only=False)
    pieces = pc.if_else(pa.array(breaks), before, pieces)
    breaks = aside & is_said & first & ~last & pc.equal(pieces, pc.binary_join_element_wise(behind, '\n', '')).to_numpy(zero_copy_only=False)
    pieces = pc.if_else(pa.array(breaks), behind, pieces)
    none = aside & ~is_said & pc.equal(pieces, '\n').to_numpy(zero_copy_only=False)
    return pc.if_else(pa.array(none), '', pieces)


def _offsets(lengths: pa.Array) -> pa.Array:
    return pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32())
