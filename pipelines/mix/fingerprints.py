"""Facts of every distinct image reference, opened once each; what cannot be opened or decoded becomes a rejection."""

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields

import pyarrow as pa
import pyarrow.parquet as pq

from curation.images import ImageFacts, ImageFault, ImageLimits, extension_agrees, inspect_image
from pipelines.engine.steps import ShardStep
from pipelines.engine.tables import ShardWriter, Table
from pipelines.sources.images import PACKED, ImageStore, ImageTooManyBytes, ImageUnavailable
from schemas.records import IMAGE_FACTS, Reason, Rejection, Unit, rows_table

VERSION = 5
STEP = 'images'
REFS = pa.schema([('ref', pa.string())])
SHARD_IMAGES = 500
FACTS = tuple(field.name for field in fields(ImageFacts))
THREADS = 4  # Pillow releases the interpreter lock while it decodes


@dataclass
class ListReferences(ShardStep):
    """Writes the distinct references of all samples in order of first appearance, SHARD_IMAGES to a row group."""

    def process(self, shard: list[str], writer: ShardWriter) -> None:
        run: list[str] = []
        for reference in _distinct(shard):
            run.append(reference)
            if len(run) == SHARD_IMAGES:
                writer.write('part', pa.table({'ref': run}, REFS))
                run = []
        writer.write('part', pa.table({'ref': run}, REFS))


def _distinct(parts: list[str]) -> Iterator[str]:
    seen: set[bytes] = set()
    for part in parts:
        for references in pq.read_table(part, columns=['images'])['images'].to_pylist():
            for reference in references:
                key = hashlib.sha256(reference.encode()).digest()[:16]
                if key not in seen:
                    seen.add(key)
                    yield reference


def stamp(refs: Table, store: ImageStore) -> tuple[str, int]:
    """Return a digest of size and modification time of every referenced file, and how many row groups of references there are."""
    digest = hashlib.sha256()
    n_groups = 0
    for path in refs.parts():
        with pq.ParquetFile(path) as file:
            n_groups += file.num_row_groups
            for group in range(file.num_row_groups):
                for reference in file.read_row_group(group)['ref'].to_pylist():
                    digest.update(f'{reference}={store.stamp(reference)}\n'.encode())
    return digest.hexdigest(), n_groups


@dataclass
class FingerprintImages(ShardStep):
    """Writes `part` (IMAGE_FACTS) for one row group of references."""

    refs: str
    store: ImageStore
    limits: ImageLimits

    def setup(self) -> None:
        self._pool = ThreadPoolExecutor(THREADS)

    def process(self, shard: int, writer: ShardWriter) -> None:
        with pq.ParquetFile(self.refs) as file:
            references = file.read_row_group(shard)['ref'].to_pylist()
        rows = []
        for reference, found in zip(references, self._pool.map(self._inspect, references), strict=True):
            source = reference.partition('/')[0]
            writer.count_in(Unit.IMAGE, source)
            if isinstance(found, ImageFault):
                writer.reject(Rejection(Unit.IMAGE, reference, source, STEP, found.reason, found.detail))
            else:
                writer.count_kept(Unit.IMAGE, source)
                rows.append({'ref': reference, 'source': source, **found})
        writer.write('part', rows_table(rows, IMAGE_FACTS))

    def _inspect(self, reference: str) -> dict | ImageFault:
        try:
            data = self.store.read(reference)
        except ImageUnavailable as e:
            return ImageFault(Reason.IMAGE_MISSING, str(e))
        except ImageTooManyBytes as e:
            return ImageFault(Reason.IMAGE_TOO_LARGE, str(e))
        found = inspect_image(data, self.limits)
        if isinstance(found, ImageFault):
            return found
        source, _, path = reference.partition('/')
        agrees = path.startswith(PACKED) or any(extension_agrees(name, found.format) for name in self.store.names(source, path))
        if self.limits.matching_extension and not agrees:
            return ImageFault(Reason.IMAGE_FORMAT, f'expected what the name {path.rpartition("/")[2][:100]!r} says, found {found.format}')
        return {name: getattr(found, name) for name in FACTS}

    def teardown(self) -> None:
        self._pool.shutdown()
