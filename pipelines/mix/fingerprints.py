"""Facts of every distinct image reference, opened once each; what cannot be opened or decoded becomes a rejection."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from functools import cached_property
from itertools import groupby, islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curation.pictures.images import ImageFacts, ImageFault, ImageLimits, extension_agrees, inspect_image
from pipelines.engine.notes import noted
from pipelines.engine.step import Place, Step
from pipelines.engine.tables import ShardWriter, Table
from pipelines.sources.images import NOTHING, PACKED, UNREADABLE, ImageStore, ImageTooManyBytes, ImageUnavailable
from pipelines.sources.waits import each
from schemas.disk import readable
from schemas.errors import Unreadable
from schemas.records import IMAGE_FACTS, Reason, Rejection, Unit

STEP = 'images'
REFS = pa.schema([('ref', pa.string())])
SHARD_IMAGES = 500
FACTS = tuple(field.name for field in fields(ImageFacts))
SEEN = np.dtype([('status', 'i8', 4), ('sha', 'V32')])  # of a picture when it was read: ImageStore.status, and its sha256 or NO_SHA
NO_SHA = bytes(32)
GIVEN_UP = 'the disk did not give it, and --give-up was said'  # not why: rejections are part of a snapshot's identity
OR_ELSE = ', or add --give-up to leave these pictures out (IMAGE_UNREADABLE)'
THREADS = 4  # where the disk lets one wait: every core has a process that decodes
GROUPS_AT_ONCE = 200  # row groups whose pictures are asked for together: an archive is looked at once for all of them


@dataclass(frozen=True)
class ListReferences(Step):
    """Writes the distinct references of the samples of sources that share their folders, in order of first appearance, those of one picture beside
    each other, SHARD_IMAGES pictures to a row group. One shard.
    """

    TABLE = 'refs'
    VERSION = 5

    samples: tuple[Table, ...]

    def label(self) -> str:
        return f'refs {", ".join(table.label.removeprefix("samples ") for table in self.samples)}'

    def process(self, shard: int, writer: ShardWriter) -> None:
        of_sources = [_distinct(table.parts()) for table in self.samples]
        names = [pc.replace_substring_regex(refs, '^[^/]*/', '') for refs in of_sources]
        places = pc.unique(pa.concat_arrays(names))
        at = np.concatenate([pc.index_in(some, places).to_numpy() for some in names]).astype(np.int64)
        order = np.argsort(at, kind='stable')  # of one picture, the sources as they stand
        refs, firsts = pa.concat_arrays(of_sources).take(order), at[order]
        for first in range(0, max(1, len(places)), SHARD_IMAGES):
            start, stop = np.searchsorted(firsts, (first, first + SHARD_IMAGES)).tolist()
            writer.write('part', pa.table({'ref': refs.slice(start, stop - start).cast(pa.string())}, REFS))


def _distinct(parts: list[Path]) -> pa.LargeStringArray:
    """Return the distinct references of samples, in order of first appearance."""
    found = [pc.unique(pc.list_flatten(pq.read_table(part, columns=['images'])['images'])).cast(pa.large_string()) for part in parts]
    return pc.unique(pa.concat_arrays([pa.array([], pa.large_string()), *found]))  # of many sources more than the 2 GB of `string`


def reference_groups(refs: Table) -> Iterator[list[str]]:
    """Yield the references of each row group: those of one shard of FingerprintImages."""
    with pq.ParquetFile(refs.parts()[0]) as file:
        for group in range(file.num_row_groups):
            yield file.read_row_group(group)['ref'].to_pylist()


def name_of(reference: str) -> str:
    """Return what a reference says without its source: sources that share their folders mean one picture by it."""
    return reference.partition('/')[2]


def statuses(refs: Table, store: ImageStore) -> list[np.ndarray]:
    """Return int64[R, 4] for each row group: ImageStore.status of its references."""
    found = list[np.ndarray]()
    groups = reference_groups(refs)
    while some := list(islice(groups, GROUPS_AT_ONCE)):
        status = store.statuses([next(same) for group in some for _, same in groupby(group, name_of)])
        times = [len(list(same)) for group in some for _, same in groupby(group, name_of)]
        stops = np.cumsum([len(group) for group in some])[:-1]
        found += np.split(np.repeat(status, times, axis=0), stops)
    return found


def stamp(refs: Table, store: ImageStore, now: list[np.ndarray] | None = None) -> str:
    """Return a digest of size and modification time of every referenced file; of one that is missing, of how many folders it was looked for in.

    `now` are their statuses, if they are known. What these two do not tell: pipelines/mix/stamps.py.
    """
    digest = hashlib.sha256()
    for group, status in zip(reference_groups(refs), now or statuses(refs, store), strict=True):
        missing = (status == NOTHING).all(axis=1)
        looked_in = {source: len(store.roots.get(source, ())) for source in sorted({group[at].partition('/')[0] for at in np.flatnonzero(missing)})}
        digest.update(json.dumps([group, looked_in], ensure_ascii=False).encode())  # the rejection of one that is missing says so
        digest.update(np.packbits(missing).tobytes() + np.ascontiguousarray(status[:, :2], '<i8').tobytes())
    return digest.hexdigest()


@dataclass(frozen=True)
class FingerprintImages(Step):
    """Writes `part` (IMAGE_FACTS) for one row group of a source's references, and beside it at which status each was read (SEEN).

    Raises Unreadable while the disk does not give a picture. Where the store gives up, such a picture is IMAGE_UNREADABLE, and SEEN says so: the
    next build looks at it again (pipelines/mix/stamps.py), whatever it finds then.
    """

    TABLE = 'image_facts'
    VERSION = 8

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
    def _store(self) -> ImageStore:
        """Return where the pictures lie, opened as the settings say."""
        renamed = frozenset(self.store.roots) if self.other_extensions else frozenset()
        return replace(self.store, max_bytes=self.limits.max_bytes, other_extensions=renamed)

    def process(self, shard: int, writer: ShardWriter) -> None:
        with pq.ParquetFile(self.refs.parts()[0]) as file:
            references = file.read_row_group(shard)['ref'].to_pylist()
        places = [list(same) for _, same in groupby(references, name_of)]
        rows, kept, n_in = [], list[str](), list[str]()
        seen, waiting = [], list[Unreadable]()
        looked = each(noted(self._look), [same[0] for same in places], THREADS)
        for same, (status, sha, found) in zip(places, looked, strict=True):
            seen += [(status, sha)] * len(same)
            if isinstance(found, Unreadable):
                waiting.append(found)
                continue
            for reference in same:
                n_in.append(source := reference.partition('/')[0])
                if isinstance(found, ImageFault):
                    writer.reject(Rejection(Unit.IMAGE, reference, source, STEP, found.reason, found.detail))
                else:
                    kept.append(source)
                    rows.append((reference, source, *found.values()))
        if waiting:
            raise Unreadable.together(waiting, OR_ELSE)
        for source, n in Counter(n_in).items():
            writer.count_in(Unit.IMAGE, source, n)
        for source, n in Counter(kept).items():
            writer.count_kept(Unit.IMAGE, source, n)
        columns = zip(*rows, strict=True) if rows else [()] * len(IMAGE_FACTS)
        writer.write('part', pa.table(dict(zip(('ref', 'source', *FACTS), map(list, columns), strict=True)), IMAGE_FACTS))
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
        found = self._inspected(reference, data)
        if isinstance(found, ImageFault):
            return status, hashlib.sha256(data).digest(), found
        source, _, path = reference.partition('/')
        agrees = path.startswith(PACKED) or any(extension_agrees(name, found.format) for name in self._store.names(source, path))
        if self.limits.matching_extension and not agrees:
            told = f'expected what the name {path.rpartition("/")[2][:100]!r} says, found {found.format}'
            return status, bytes.fromhex(found.image_id), ImageFault(Reason.IMAGE_FORMAT, told)
        return status, bytes.fromhex(found.image_id), {name: getattr(found, name) for name in FACTS}

    def _inspected(self, reference: str, data: bytes) -> ImageFacts | ImageFault:
        try:
            return inspect_image(data, self.limits)
        except (OSError, MemoryError):
            with readable(reference):
                raise


def seen_in(table: Path, shard: int) -> np.ndarray:
    """Return SEEN[R], one for each reference of a shard; SEEN[0] where the shard is not made, or damaged, so that it is made again."""
    path = _seen_path(table, shard)
    return np.load(path) if path.is_file() and not Table(table).fault(shard) else np.zeros(0, SEEN)


def _seen_path(folder: Path, shard: int) -> Path:
    return folder / f'_SEEN-{shard:05d}.npy'  # no row of the table: other machines, other inodes
