"""Samples of a source, one shard per chunk of its annotation files; every row that is none becomes a rejection."""

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from curation.rows.fields import ignored_fields
from curation.rows.formats import Conversation, Fault, read_record, split_turns
from curation.selection.select import lot
from curation.texts.checks import TextBounds, check_text, code_point, invisible_chars
from pipelines.engine.step import Place, Step
from pipelines.engine.tables import ShardWriter
from pipelines.sources import containers
from pipelines.sources.containers import Chunk, Malformed, chunks, no_records, rows
from pipelines.sources.images import pack
from pipelines.sources.packed import sync_packed
from pipelines.sources.reading import reading_of
from schemas.errors import PendingWork, UserError
from schemas.recipe import Recipe, Source
from schemas.records import SAMPLES, Reason, Rejection, Unit, as_content, rows_table

STEP = 'samples'
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
    """Return chunks that are small, as of files with one record each, as one shard of about CHUNK_RECORDS."""
    shards: list[tuple[Selected, ...]] = []
    group: list[Selected] = []
    n = 0
    for selected in chunks:
        if group and n + selected.chunk.n > containers.CHUNK_RECORDS:
            shards.append(tuple(group))
            group, n = [], 0
        group.append(selected)
        n += selected.chunk.n
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


@dataclass(frozen=True)
class ReadSource(Step):
    """Writes `part` (SAMPLES) of one chunk; embedded image bytes go to the packed folder.

    Counts `invisible/<source>`, samples that hold invisible characters, and `invisible/<source>/<code point>`.
    """

    TABLE = 'samples'
    VERSION = 6

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
        samples: list[dict] = []
        for selected in shard:
            self._read(selected, writer, samples)
        sync_packed(Path(self.packed), samples)
        writer.write('part', rows_table(samples, SAMPLES))

    def _read(self, selected: Selected, writer: ShardWriter, samples: list[dict]) -> None:
        chunk, source = selected.chunk, self.source
        chosen = None if selected.ordinals is None else set(np.frombuffer(selected.ordinals, np.int64).tolist())
        for ordinal, row in rows(chunk, Path(self.root), reading_of(source).fields):
            writer.count_in(Unit.RECORD, chunk.source)
            record_id = f'{chunk.source}/{chunk.file}#{ordinal}'
            fault: Fault | None
            if chosen is not None and ordinal not in chosen:
                fault = Fault(Reason.RECORD_NOT_SELECTED, f'not in the seeded subset of {source.subset}')
            else:
                fault = self._samples(row, source, record_id, chunk, ordinal, writer, samples)
            if fault is None:
                writer.count_kept(Unit.RECORD, chunk.source)
            else:
                content = '' if isinstance(row, Malformed) or fault.reason == Reason.RECORD_NOT_SELECTED else as_content(row)
                writer.reject(Rejection(Unit.RECORD, record_id, chunk.source, STEP, fault.reason, fault.detail, content))

    def _samples(
        self, row: dict | Malformed, source: Source, record_id: str, chunk: Chunk, ordinal: int, writer: ShardWriter, samples: list[dict]
    ) -> Fault | None:
        if isinstance(row, Malformed):
            return Fault(Reason.RECORD_MALFORMED, row.found)
        conversation = read_record(row, source)
        if isinstance(conversation, Fault):
            return conversation
        fault = self._too_large(conversation)
        if fault:
            return fault
        for field in sorted(ignored_fields(row, source, conversation)):
            writer.count_ignored(Unit.RECORD, chunk.source, field)
        for turn, part in split_turns(conversation, source.turns):
            sample_id = f'{record_id}/{turn}'
            writer.count_in(Unit.SAMPLE, chunk.source)
            if part is None:
                writer.reject(Rejection(Unit.SAMPLE, sample_id, chunk.source, STEP, Reason.TURN_NOT_SELECTED, f'turns: {source.turns}'))
                continue
            found = check_text(part.turns, self.bounds, source.language)
            if found:
                writer.reject(Rejection(Unit.SAMPLE, sample_id, chunk.source, STEP, *found, as_content(asdict(part))))
                continue
            self._count_invisible(part, writer)
            samples.append(
                {
                    'sample_id': sample_id,
                    'source': chunk.source,
                    'category': source.category,
                    'licence': source.licence,
                    'file': chunk.file,
                    'ordinal': ordinal,
                    'turns': [{'role': t.role, 'text': t.text} for t in part.turns],
                    'images': [self._reference(chunk.source, image) for image in part.images],
                }
            )
        return None

    def _count_invisible(self, part: Conversation, writer: ShardWriter) -> None:
        """Count the sample if it holds invisible characters, and once for each kind."""
        if found := invisible_chars(part.turns):
            writer.counts.update([f'invisible/{self.name}', *(f'invisible/{self.name}/{code_point(char)}' for char in found)])

    def _too_large(self, conversation: Conversation) -> Fault | None:
        for image in conversation.images:
            if isinstance(image, bytes) and len(image) > self.max_image_bytes:
                return Fault(Reason.IMAGE_TOO_LARGE, f'an embedded image of {len(image)} bytes, more than {self.max_image_bytes}')
        return None

    def _reference(self, source: str, image: str | bytes) -> str:
        return f'{source}/{image if isinstance(image, str) else pack(Path(self.packed), image)}'
