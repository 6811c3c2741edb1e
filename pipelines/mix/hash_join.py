"""What a join by hash looks into, each part opened when it is first asked for: near-duplicates and benchmarks are both found in it."""

from functools import cached_property

import numpy as np

from curation.selection.hamming import HammingIndex, open_index, rows_by_code
from pipelines.engine.tables import Table
from pipelines.mix.compare import Pictures
from pipelines.mix.index import ImageIndex
from pipelines.sources.images import ImageStore


class HashJoin:
    """The images of an index, the Hamming index of their hashes, and their pictures."""

    def __init__(self, index: Table, hashes: Table, store: ImageStore) -> None:
        self._index, self._hashes, self._store = index, hashes, store

    @cached_property
    def images(self) -> ImageIndex:
        """Return the images by number."""
        return ImageIndex(self._index.path)

    @cached_property
    def codes(self) -> HammingIndex:
        """Return the distinct hashes, to be joined."""
        return open_index(self._hashes.path)

    @cached_property
    def by_code(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the hashes by number, code by code, and where those of each code start."""
        return rows_by_code(self.codes)

    @cached_property
    def pictures(self) -> Pictures:
        """Return the pictures, to be compared on pixels."""
        return Pictures(self._index, self._store)

    def close(self) -> None:
        """End the threads of the pictures, if any were opened."""
        if 'pictures' in self.__dict__:
            self.pictures.close()
