"""Whether the texts of a source belong to its pictures, from some hundred of them in the order of the file: `phantom validate --deep`."""

import tempfile
from dataclasses import asdict
from itertools import groupby
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from curation.pictures.images import ImageLimits
from curation.texts.alignment import FALSE_RATE, LEAST_PICTURES, Alignment, alignment, picture_features, together, words_about
from pipelines.engine.step import make_here
from pipelines.engine.tables import Table
from pipelines.mix.fingerprints import FingerprintImages, ListReferences
from pipelines.sources.files import resolve_source
from pipelines.sources.images import ImageStore
from pipelines.sources.pictures import picture_folders
from pipelines.sources.read import Selected, of_source, read_sources
from schemas.recipe import Recipe
from schemas.records import STRINGS

RUNS = 4  # pieces of the annotations that are looked at
RECORDS = 12_000  # of all pieces together, at most
PICTURES = 600  # different ones, one after the other
TOLD = 4.0  # standard deviations at which texts fit their pictures for all to see
_FACTS = ('ref', 'thumb', 'width', 'height', 'kind')


def look_at_alignment(name: str, recipe: Recipe, root: Path) -> Alignment | None:
    """Return how the texts of a source fit its pictures; None where it has too few, or raises UserError for what cannot be read."""
    source = resolve_source(name, recipe.sources[name], root).model_copy(update={'subset': None, 'turns': 'all'})
    only = recipe.model_copy(update={'sources': {name: source}})
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        (step,) = read_sources(only, root, {name: {}}, work)
        runs = _runs(of_source(name, source, root, recipe.mix.seed, None))
        read = make_here(step, work, [tuple(run) for run in runs])
        tables = [pq.read_table(path, columns=['turns', 'images']) for path in read.parts()]
        store = ImageStore({name: tuple(str(root / images) for images in source.images)}, str(work / 'images'), recipe.images.max_bytes,
                           frozenset([name] if source.other_extensions else ()), index=str(work / 'offsets'), linked=picture_folders(recipe, root))
        shown = _shown(tables)
        features = _features(shown, recipe, store, work) if len(shown) >= LEAST_PICTURES else {}
    known = [(features[image], words, run) for run, image, words in shown if image in features]
    if len(known) < LEAST_PICTURES:
        return None
    return alignment(np.array([one for one, _, _ in known]), [words for _, words, _ in known], [run for _, _, run in known])


def told(found: Alignment | None) -> str:
    """Return what is said of it."""
    if found is None:
        return f'whether texts belong to their pictures: not looked at, fewer than {LEAST_PICTURES} pictures in a row, or words that never come back'
    here = f'{found.pictures} pictures; {found.in_place:.1f} standard deviations from chance in their place'
    if found.shifted:
        where = f'{abs(found.lag)} picture(s) {"later" if found.lag > 0 else "earlier"} in the file'
        where += f', from {found.since:.0%} of what was looked at on' if found.since else ''
        return (f'THE ANNOTATIONS LOOK SHIFTED: pictures fit the texts {where} ({found.at_lag:.1f}), not their own ({here}), '
                f'which chance gives in less than 1 of {1 / FALSE_RATE:,.0f} sources; '
                'look at some in `phantom preview`, and at how pictures and annotations were joined')
    if found.in_place >= TOLD and found.lag == 0:
        return f'texts belong to their pictures ({here})'
    return f'whether texts belong to their pictures cannot be told ({here})'


def as_json(found: Alignment | None) -> dict | None:
    """Return the same by name."""
    return {**asdict(found), 'shifted': found.shifted} if found else None


def _features(shown: list[tuple[int, str, dict[str, float]]], recipe: Recipe, store: ImageStore, work: Path) -> dict[str, np.ndarray]:
    """Return what is told of each picture that can be used, by its reference."""
    some = Table(work / 'some')
    some.path.mkdir()
    pq.write_table(pa.table({'images': pa.array([[image] for _, image, _ in shown], STRINGS)}), some.path / 'part-00000.parquet')
    refs = make_here(ListReferences((some,)), work)
    facts = make_here(FingerprintImages(refs, '', bool(store.other_extensions), ImageLimits(**recipe.images.model_dump()), store), work)
    return {row['ref']: picture_features(row['thumb'], row['width'], row['height'], document=row['kind'] == 'document')
            for row in facts.read(columns=list(_FACTS)).to_pylist()}


def _runs(chunks: list[Selected]) -> list[list[Selected]]:
    """Return pieces of the annotations, each in one row: all of few records, of more the beginnings of RUNS chunks far from each other."""
    if sum(one.chunk.n for one in chunks) <= RECORDS:
        return [list(group) for _, group in groupby(chunks, key=lambda one: one.chunk.file)]
    some = [chunks[at] for at in sorted({round(at) for at in np.linspace(0, len(chunks) - 1, RUNS).tolist()})]
    each = RECORDS // len(some)
    return [[Selected(one.chunk, np.arange(one.chunk.first, one.chunk.first + min(one.chunk.n, each)).tobytes())] for one in some]


def _shown(tables: list[pa.Table]) -> list[tuple[int, str, dict[str, float]]]:
    """Return (piece, reference, words about it) of the first pictures of samples, those of neighbours that show the same one together."""
    found: list[tuple[int, str, dict[str, float]]] = []
    for run, table in enumerate(tables):
        rows = [row for row in table.to_pylist() if row['images']]
        for image, group in groupby(rows, key=lambda row: row['images'][0]):
            if len(found) < (run + 1) * PICTURES // len(tables):
                found.append((run, image, together(words_about(row['turns']) for row in group)))
    return found
