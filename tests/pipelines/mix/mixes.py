"""Pictures in a folder turned into the tables that duplicates and contamination start from, and a small project built once."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from curation.images import ImageLimits
from pipelines.engine.steps import Engine
from pipelines.engine.tables import Table
from pipelines.mix.fingerprints import REFS, FingerprintImages
from pipelines.mix.index import ImageIndex, IndexImages
from pipelines.mix.programme import Place, build_mix
from pipelines.sources.files import resolve
from pipelines.sources.images import ImageStore
from schemas.recipe import load_recipe
from schemas.snapshot import Snapshot


@dataclass
class Indexed:
    """A folder of pictures, inspected and indexed."""

    engine: Engine
    store: ImageStore
    index: Table

    def number(self, name: str) -> int:
        """Return the number of the picture that was called `name`."""
        return ImageIndex(self.index.path).number(f's/{name}')


def indexed(folder: Path, pictures: dict[str, bytes]) -> Indexed:
    """Write the pictures, inspect and index them."""
    (folder / 'in').mkdir(parents=True)
    for name, data in pictures.items():
        (folder / 'in' / name).write_bytes(data)
    pq.write_table(pa.table({'ref': [f's/{name}' for name in pictures]}, REFS), folder / 'refs.parquet')
    engine, store = Engine(folder / 'work'), ImageStore({'s': (str(folder / 'in'),)}, '', 10**9)
    facts = engine.table('image_facts', 'f')
    engine.make(facts, FingerprintImages(str(folder / 'refs.parquet'), store, ImageLimits()), [0])
    index = engine.table('index', 'i')
    engine.make(index, IndexImages([str(p) for p in facts.parts()], [str(p) for p in facts.parts('rejections')]), [0])
    return Indexed(engine, store, index)


def crowd(folder: Path, n: int, *, document: bool) -> Table:
    """Return the index of `n` images that all have one hash, the thumbnails alike; there are no pictures."""
    table = Table(folder / 'work' / 'index', 'i')
    table.path.mkdir(parents=True)
    arrays = {
        'ref_key': np.arange(n, dtype=np.uint64), 'ref_number': np.arange(n), 'image_id': np.arange(n, dtype='>u8').view('V8').astype('V32'),
        'is_document': np.full(n, document), 'n_bytes': np.full(n, 9), 'phash64': np.full(n, 77, np.uint64),
        'phash256': np.full((n, 4), 5, np.uint64), 'of_image': np.arange(n), 'thumb': np.zeros((n, 192), np.uint8),
    }  # fmt: skip
    for name, values in arrays.items():
        np.save(table.path / f'{name}.npy', values)
    pq.write_table(pa.table({'ref': [f's/{i}' for i in range(n)]}), table.path / 'part-00000.parquet')
    return table


def build(project, out: Path, work: Path, *sets: str) -> tuple[Snapshot, list[str]]:
    """Build the mix of a small project; return it and the tables that were made for it."""
    engine = Engine(work)
    mix = build_mix(resolve(load_recipe(project.recipe, sets), project.root), Place(project.root, out), engine)
    return mix, engine.ran
