"""Samples of a source, one shard per chunk of its annotation files; every row that is none becomes a rejection."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from curation.selection.select import lot
from curation.texts.checks import TextBounds
from pipelines.engine.step import Place, Step
from pipelines.engine.tables import ShardWriter
from pipelines.sources import containers
from pipelines.sources.containers import CHUNK_BYTES, Chunk, chunk_records, chunks, no_records, raw_rows
from pipelines.sources.reading import reading_of
from pipelines.sources.taking import Taking
from schemas.errors import PendingWork, UserError
from schemas.recipe import Recipe, Source

# what of a source does not change its samples; without it, a sample of the source's own cannot hang on it
NOT_READ = {'images', 'other_extensions', 'revision', 'answers', 'quota', 'expected_paper', 'expected_today', 'get_it', 'accept_uncalibrated'}


@dataclass(frozen=True, slots=True)
class Selected:
    """A chunk, and which of its ordinals a seeded subset chose (all: None)."""

    chunk: Chunk
    ordinals: bytes | None  # int64[k], sorted


def plan_chunks(recipe: Recipe, root: Path, index: Path | None = None) -> dict[str, list[Selected]]:
    """Return the chunks of every source, in recipe order; raises one UserError that lists all faults of all sources.

    `index` is a folder that keeps the byte ranges of large annotation files for the next run.
    """
    planned: dict[str, list[Selected]] = {}
    faults = []
    for name, source in recipe.sources.items():
        try:
            planned[name] = of_source(name, source, root, recipe.mix.seed, index)
        except PendingWork:  # no fault of the data
            raise
        except UserError as e:
            faults.append(str(e))
    if faults:
        raise UserError('\n'.join(faults))
    return planned


def of_source(name: str, source: Source, root: Path, seed: str, index: Path | None) -> list[Selected]:
    """Return the chunks of one source, as `plan_chunks` does of all; raises UserError for one without a record."""
    reading = reading_of(source)
    found = [chunk for file in source.annotations for chunk in chunks(name, root, file, index, reading)]
    if not found:
        raise UserError(no_records(name, source.annotations))
    if source.subset is None:
        return [Selected(chunk, None) for chunk in found]
    lots = np.array([lot(f'{seed}/{chunk.file}#{chunk.first + i}') for chunk in found for i in range(chunk.n)], np.uint64)
    chosen = np.zeros(len(lots), bool)
    chosen[np.argsort(lots, kind='stable')[: source.subset]] = True
    ends = np.cumsum([chunk.n for chunk in found])
    return [Selected(chunk, (np.flatnonzero(part) + chunk.first).tobytes()) for chunk, part in zip(found, np.split(chosen, ends[:-1]), strict=True)]


def _grouped(chunks: list[Selected]) -> list[tuple[Selected, ...]]:
    """Return chunks that are small, as of files with one record each, as one shard of as many records as a chunk of one file has."""
    most = chunk_records(sum(selected.chunk.n for selected in chunks))
    shards: list[tuple[Selected, ...]] = []
    group: list[Selected] = []
    n = n_bytes = 0
    for selected in chunks:
        chunk = selected.chunk
        if group and (n + chunk.n > most or n + chunk.n > containers.CHUNK_RECORDS and n_bytes + chunk.n_bytes > CHUNK_BYTES):
            shards.append(tuple(group))
            group, n, n_bytes = [], 0, 0
        group.append(selected)
        n, n_bytes = n + chunk.n, n_bytes + chunk.n_bytes
    return [*shards, tuple(group)] if group else shards


def read_sources(recipe: Recipe, root: Path, annotations: dict[str, dict[str, str]], work: Path) -> list['ReadSource']:
    """Return the step that reads each source; `annotations` are the sha256 of its files."""
    return [
        ReadSource(
            name=name,
            source=_as_read(source),
            annotations=annotations[name],
            seed=recipe.mix.seed if source.subset is not None else '',
            bounds=TextBounds(**recipe.text.model_dump()),
            max_image_bytes=recipe.images.max_bytes,
            root=str(root),
            packed=str(work / 'images'),
            offsets=str(work / 'offsets'),
        )
        for name, source in recipe.sources.items()
    ]


def _as_read(source: Source) -> Source:
    """Return the source without what does not change its samples, which alone says whether it takes a null picture."""
    defaults = {field: Source.model_fields[field].get_default() for field in NOT_READ}
    return source.model_copy(update={**defaults, 'optional': source.takes_null})


@contextmanager
def uncollected() -> Iterator[None]:
    """Look for no cycles of objects meanwhile: rows are trees, and to search a million of their parts for cycles takes a fifth of the reading."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


@dataclass(frozen=True)
class ReadSource(Step):
    """Writes `part` (SAMPLES) of one chunk; embedded image bytes go to the packed folder.

    Counts `invisible/<source>`, samples that hold invisible characters, and `invisible/<source>/<code point>`.
    """

    TABLE = 'samples'
    VERSION = 7

    name: str
    source: Source
    annotations: dict[str, str]  # file -> sha256
    seed: str
    bounds: TextBounds
    max_image_bytes: int
    root: Place[str]
    packed: Place[str]
    offsets: Place[str]

    def label(self) -> str:
        return f'samples {self.name}'

    def shards(self) -> list[tuple[Selected, ...]]:
        return _grouped(of_source(self.name, self.source, Path(self.root), self.seed, Path(self.offsets)))

    def about(self, shard: tuple[Selected, ...]) -> str:
        first, last = shard[0].chunk, shard[-1].chunk
        return f'{first.file}, from record {first.first} on' if len(shard) == 1 else f'{len(shard)} parts of files, from {first.file} to {last.file}'

    def process(self, shard: tuple[Selected, ...], writer: ShardWriter) -> None:
        with uncollected():
            taking = Taking(self.source, self.name, self.bounds, self.max_image_bytes, Path(self.packed), writer)
            for selected in shard:
                self._take(selected, taking)
            taking.finish()

    def _take(self, selected: Selected, taking: Taking) -> None:
        chunk = selected.chunk
        chosen = None if selected.ordinals is None else set(np.frombuffer(selected.ordinals, np.int64).tolist())
        for ordinal, row in raw_rows(chunk, Path(self.root), reading_of(self.source).fields):
            record_id = f'{chunk.source}/{chunk.file}#{ordinal}'
            if chosen is not None and ordinal not in chosen:
                taking.leave_out(record_id, chunk.file, ordinal, f'not in the seeded subset of {self.source.subset}')
            else:
                taking.take(record_id, chunk.file, ordinal, row)
