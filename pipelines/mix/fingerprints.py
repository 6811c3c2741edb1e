"""Facts of every distinct image reference, opened once each; what cannot be opened or decoded becomes a rejection."""

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from curation.pictures.images import ImageFacts, ImageFault, ImageLimits, extension_agrees, inspect_image
from pipelines.engine.notes import noted
from pipelines.engine.step import Place, Step
from pipelines.engine.tables import ShardWriter, Table
from pipelines.sources.images import PACKED, UNREADABLE, ImageStore, ImageTooManyBytes, ImageUnavailable, said
from schemas.disk import readable
from schemas.errors import Unreadable
from schemas.records import IMAGE_FACTS, Reason, Rejection, Unit, rows_table

STEP = 'images'
REFS = pa.schema([('ref', pa.string())])
SHARD_IMAGES = 500
FACTS = tuple(field.name for field in fields(ImageFacts))
SEEN = np.dtype([('status', 'i8', 4), ('sha', 'V32')])  # of a picture when it was read: ImageStore.status, and its sha256 or NO_SHA
NO_SHA = bytes(32)
GIVEN_UP = 'the disk did not give it, and --give-up was said'  # not why: rejections are part of a snapshot's identity
OR_ELSE = ', or add --give-up to leave these pictures out (IMAGE_UNREADABLE)'
THREADS = 4  # Pillow releases the interpreter lock while it decodes


@dataclass(frozen=True)
class ListReferences(Step):
    """Writes the distinct references of a source's samples in order of first appearance, SHARD_IMAGES to a row group. One shard."""

    TABLE = 'refs'
    VERSION = 5

    samples: Table

    def label(self) -> str:
        return f'refs{self.samples.label.removeprefix("samples")}'

    def process(self, shard: int, writer: ShardWriter) -> None:
        run: list[str] = []
        for reference in _distinct(self.samples.parts()):
            run.append(reference)
            if len(run) == SHARD_IMAGES:
                writer.write('part', pa.table({'ref': run}, REFS))
                run = []
        writer.write('part', pa.table({'ref': run}, REFS))


def _distinct(parts: list[Path]) -> Iterator[str]:
    seen: set[bytes] = set()
    for part in parts:
        for references in pq.read_table(part, columns=['images'])['images'].to_pylist():
            for reference in references:
                key = hashlib.sha256(reference.encode()).digest()[:16]
                if key not in seen:
                    seen.add(key)
                    yield reference


def reference_groups(refs: Table) -> Iterator[list[str]]:
    """Yield the references of each row group: those of one shard of FingerprintImages."""
    with pq.ParquetFile(refs.parts()[0]) as file:
        for group in range(file.num_row_groups):
            yield file.read_row_group(group)['ref'].to_pylist()


def statuses(refs: Table, store: ImageStore) -> list[np.ndarray]:
    """Return int64[R, 4] for each row group: ImageStore.status of its references."""
    return [np.array([store.status(reference) for reference in group], np.int64).reshape(-1, 4) for group in reference_groups(refs)]


def stamp(refs: Table, store: ImageStore, now: list[np.ndarray] | None = None) -> str:
    """Return a digest of size and modification time of every referenced file; of one that is missing, of how many folders it was looked for in.

    `now` are their statuses, if they are known. What these two do not tell: pipelines/mix/stamps.py.
    """
    digest = hashlib.sha256()
    for group, status in zip(reference_groups(refs), now or statuses(refs, store), strict=True):
        for reference, one in zip(group, status.tolist(), strict=True):
            found = said(tuple(one)) or f'none of {len(store.roots.get(reference.partition("/")[0], ()))}'  # its rejection says so
            digest.update(f'{reference}={found}\n'.encode())
    return digest.hexdigest()


@dataclass(frozen=True)
class FingerprintImages(Step):
    """Writes `part` (IMAGE_FACTS) for one row group of a source's references, and beside it at which status each was read (SEEN).

    Raises Unreadable while the disk does not give a picture. Where the store gives up, such a picture is IMAGE_UNREADABLE, and SEEN says so: the
    next build looks at it again (pipelines/mix/stamps.py), whatever it finds then.
    """

    TABLE = 'image_facts'
    VERSION = 7

    refs: Table
    stamp: str  # of the files behind the references, see pipelines/mix/stamps.py
    other_extensions: bool
    limits: ImageLimits
    store: Place[ImageStore]

    RISKY = True

    def label(self) -> str:
        return f'image_facts{self.refs.label.removeprefix("refs")}'

    def shards(self) -> range:
        with pq.ParquetFile(self.refs.parts()[0]) as file:
            return range(file.num_row_groups)

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(THREADS)

    @cached_property
    def _store(self) -> ImageStore:
        """Return where the pictures lie, opened as the settings say."""
        renamed = frozenset(self.store.roots) if self.other_extensions else frozenset()
        return replace(self.store, max_bytes=self.limits.max_bytes, other_extensions=renamed)

    def process(self, shard: int, writer: ShardWriter) -> None:
        with pq.ParquetFile(self.refs.parts()[0]) as file:
            references = file.read_row_group(shard)['ref'].to_pylist()
        rows, seen, waiting = [], [], list[Unreadable]()
        for reference, (status, sha, found) in zip(references, self._pool.map(noted(self._look), references), strict=True):
            seen.append((status, sha))
            if isinstance(found, Unreadable):
                waiting.append(found)
                continue
            source = reference.partition('/')[0]
            writer.count_in(Unit.IMAGE, source)
            if isinstance(found, ImageFault):
                writer.reject(Rejection(Unit.IMAGE, reference, source, STEP, found.reason, found.detail))
            else:
                writer.count_kept(Unit.IMAGE, source)
                rows.append({'ref': reference, 'source': source, **found})
        if waiting:
            raise Unreadable.together(waiting, OR_ELSE)
        writer.write('part', rows_table(rows, IMAGE_FACTS))
        np.save(_seen_path(writer.folder, shard), np.array(seen, SEEN))

    def digest(self, reference: str) -> bytes:
        """Return the sha256 of a picture's bytes, zeros for one that cannot be had; raises Unreadable."""
        try:
            return hashlib.sha256(self._store.read(reference)).digest()
        except (ImageUnavailable, ImageTooManyBytes):
            return NO_SHA

    def _look(self, reference: str) -> tuple[tuple[int, int, int, int], bytes, dict | ImageFault | Unreadable]:
        """Return status and sha256 of a picture, and its facts or fault, or that the disk does not give it now.

        The status is from before it is read: what changes later is seen then.
        """
        try:
            return self._look_now(reference)
        except Unreadable as e:
            return UNREADABLE, NO_SHA, ImageFault(Reason.IMAGE_UNREADABLE, GIVEN_UP) if self.store.give_up else e

    def _look_now(self, reference: str) -> tuple[tuple[int, int, int, int], bytes, dict | ImageFault]:
        status = self._store.status(reference)
        try:
            data = self._store.read(reference)
        except ImageUnavailable as e:
            return status, NO_SHA, ImageFault(Reason.IMAGE_MISSING, str(e))
        except ImageTooManyBytes as e:
            return status, NO_SHA, ImageFault(Reason.IMAGE_TOO_LARGE, str(e))
        with readable(reference):
            found = inspect_image(data, self.limits)
        if isinstance(found, ImageFault):
            return status, hashlib.sha256(data).digest(), found
        source, _, path = reference.partition('/')
        agrees = path.startswith(PACKED) or any(extension_agrees(name, found.format) for name in self._store.names(source, path))
        if self.limits.matching_extension and not agrees:
            told = f'expected what the name {path.rpartition("/")[2][:100]!r} says, found {found.format}'
            return status, bytes.fromhex(found.image_id), ImageFault(Reason.IMAGE_FORMAT, told)
        return status, bytes.fromhex(found.image_id), {name: getattr(found, name) for name in FACTS}

    def teardown(self) -> None:
        if '_pool' in self.__dict__:
            self._pool.shutdown()


def seen_in(table: Path, shard: int) -> np.ndarray:
    """Return SEEN[R], one for each reference of a shard; SEEN[0] where the shard is not made, or damaged, so that it is made again."""
    path = _seen_path(table, shard)
    return np.load(path) if path.is_file() and not Table(table).fault(shard) else np.zeros(0, SEEN)


def _seen_path(folder: Path, shard: int) -> Path:
    return folder / f'_SEEN-{shard:05d}.npy'  # no row of the table: other machines, other inodes
