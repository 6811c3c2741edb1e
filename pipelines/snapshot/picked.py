"""Rows picked from the parts of a table in an order of their own, a block at a time."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.snapshot.parquet import ROWS_AT_ONCE

BLOCK_ROWS = 4096  # of text and ids, about 1 kB a row


def rows_in_order(paths: list[Path], by_part: pd.DataFrame, order: np.ndarray) -> Iterator[dict]:
    """Yield rows of several files: those of `by_part` (part, row), in `order`. They are held as Arrow, a few at a time as Python values."""
    table = pa.concat_tables([pq.read_table(paths[part]).take(rows.to_numpy()) for part, rows in by_part.groupby('part')['row']])
    for at in range(0, len(order), ROWS_AT_ONCE):
        yield from table.take(order[at : at + ROWS_AT_ONCE]).to_pylist()
