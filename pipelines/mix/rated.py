"""Ratings of samples, as the steps of a mix hand them on: what was asked of whom, what came of it, and where the sample stands among the features."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.engine.tables import Table
from schemas.rating import ANSWERS_QUESTION, CORRECT, NEEDS_PICTURE, WELL_FORMED
from schemas.records import STRINGS, Reason

# score: null where there is none, for a reason; scores: JSON of what it is made of
RATED = pa.schema([
    ('part', pa.int32()), ('row', pa.int32()), ('sample_id', pa.string()), ('source', pa.string()), ('ask', pa.string()), ('by', pa.string()),
    ('score', pa.float64()), ('scores', pa.string()), ('reason', pa.string()), ('detail', pa.string()), ('reply_keys', STRINGS),
])  # fmt: skip
NARROW = ['part', 'row', 'source', 'ask', 'score']
REASON_OF = {
    CORRECT: Reason.WRONG_ANSWER, NEEDS_PICTURE: Reason.NEEDS_NO_PICTURE, ANSWERS_QUESTION: Reason.OFF_QUESTION, WELL_FORMED: Reason.ILL_FORMED,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Drop:
    """In which source what is left out: rated below for a question, by all that were heard: files, and models where they may be."""

    ask: str
    source: str
    below: float
    models: bool  # whether the ratings of models count, too: on this source they are better than chance


def reason_for(ask: str) -> Reason:
    """Return the reason under which a sample is out that is rated low for a question."""
    return REASON_OF.get(ask, Reason.LOW_RATING)


def read_narrow(tables: Iterable[Table]) -> pa.Table:
    """Return NARROW of what was rated: rows with a score."""
    found = [part.select(NARROW) for table in tables for part in table.batches(columns=NARROW)]
    rows = pa.concat_tables([pa.schema([RATED.field(name) for name in NARROW]).empty_table(), *found])
    return rows.filter(pc.is_valid(rows['score']))


def highest(rows: pa.Table, starts: np.ndarray, n: int) -> np.ndarray:
    """Return float64[n]: for each sample the highest of its ratings in `rows`, NaN where it has none; `starts`: the first sample of each part."""
    scores = np.full(n, math.nan)
    np.fmax.at(scores, starts[rows['part'].to_numpy()] + rows['row'].to_numpy(), rows['score'].to_numpy())  # what is no number counts for nothing
    return scores
