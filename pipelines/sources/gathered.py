"""Samples and rejections of one shard as they gather: a list a column, so that Arrow takes them as they are."""

from collections import Counter

import numpy as np
import pyarrow as pa

from curation.rows.conversation import Talk
from pipelines.engine.tables import ShardWriter
from schemas.records import REJECTIONS, SAMPLES, TURNS, Reason, Unit

_ROLES = pa.array(['user', 'assistant', 'system'])


class Samples:
    """Rows of SAMPLES of one source; the turns of all stand one after the other, and so do their pictures."""

    def __init__(self, source: str, category: str, licence: str) -> None:
        self._same = {'source': source, 'category': category, 'licence': licence}
        self._ids: list[str] = []
        self._files: list[str] = []
        self._ordinals: list[int] = []
        self._texts: list[str] = []
        self._n_texts: list[int] = []
        self._n_before: list[int] = []
        self._images: list[str] = []
        self._n_images: list[int] = []

    def add(self, sample_id: str, file: str, ordinal: int, talk: Talk, images: list[str]) -> None:
        """Add one sample; `images` are the references of its talk's pictures."""
        self._ids.append(sample_id)
        self._files.append(file)
        self._ordinals.append(ordinal)
        self._texts += talk.texts
        self._n_texts.append(len(talk.texts))
        self._n_before.append(talk.n_before)
        self._images += images
        self._n_images.append(len(images))

    def table(self) -> pa.Table:
        """Return the rows."""
        n = len(self._ids)
        columns = {name: pa.repeat(pa.scalar(value, pa.string()), n) for name, value in self._same.items()}
        columns |= {'sample_id': pa.array(self._ids, pa.string()), 'file': pa.array(self._files, pa.string()),
                    'ordinal': pa.array(self._ordinals, pa.int64())}
        turns = pa.StructArray.from_arrays([self._roles(), pa.array(self._texts, pa.string())], fields=list(TURNS.value_type))
        columns['turns'] = pa.ListArray.from_arrays(_offsets(self._n_texts), turns)
        columns['images'] = pa.ListArray.from_arrays(_offsets(self._n_images), pa.array(self._images, pa.string()))
        return pa.table(columns).select(SAMPLES.names).cast(SAMPLES)

    def _roles(self) -> pa.Array:
        """Return the role of each text: perhaps a system text first, then users and assistants in turn."""
        n_texts, n_before = np.array(self._n_texts, np.int64), np.array(self._n_before, np.int64)
        first = np.cumsum(n_texts) - n_texts + n_before  # the first question of each sample
        place = np.arange(len(self._texts)) - np.repeat(first, n_texts)
        return _ROLES.take(pa.array(np.where(place < 0, 2, place % 2)))


class Rejected:
    """Rejections of one source at one step, in the order in which they were found."""

    def __init__(self, source: str, step: str) -> None:
        self._same = {'source': source, 'step': step}
        self._columns: dict[str, list[str]] = {name: [] for name in ('unit', 'id', 'reason', 'detail', 'content')}

    def __len__(self) -> int:
        return len(self._columns['id'])

    def add(self, unit: Unit, id: str, reason: Reason, detail: str, content: str = '') -> None:
        """Add one rejection."""
        self.add_each(unit, [id], reason, detail, content)

    def add_each(self, unit: Unit, ids: list[str], reason: Reason, detail: str, content: str = '') -> None:
        """Add a rejection for each of some ids, all for the same reason."""
        self._columns['id'] += ids
        for name, value in (('unit', unit), ('reason', reason), ('detail', detail), ('content', content)):
            self._columns[name] += [value] * len(ids)

    def write(self, writer: ShardWriter) -> None:
        """Write and count what was added, and forget it."""
        if not len(self):
            return
        for (unit, reason), n in Counter(zip(self._columns['unit'], self._columns['reason'], strict=True)).items():
            writer.counts[f'rejected/{unit}/{self._same["source"]}/{reason}'] += n
        columns = {name: pa.array(values, pa.string()) for name, values in self._columns.items()}
        columns |= {name: pa.repeat(pa.scalar(value, pa.string()), len(self)) for name, value in self._same.items()}
        writer.write('rejections', pa.table(columns).select(REJECTIONS.names))
        for values in self._columns.values():
            values.clear()


def _offsets(lengths: list[int]) -> pa.Array:
    return pa.array(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32))
