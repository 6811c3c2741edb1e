"""Pictures in a folder turned into the tables that duplicates and contamination start from, and a small project built once."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from curation.pictures.images import ImageLimits
from pipelines.engine.engine import Engine
from pipelines.engine.tables import ShardWriter, Table
from pipelines.mix.contamination import write_items
from pipelines.mix.duplicates import BITS, FindPairs, IndexHashes, MakeStars, join_bits
from pipelines.mix.fingerprints import REFS, FingerprintImages
from pipelines.mix.index import IndexImages
from pipelines.mix.programme import Folders, build_mix
from pipelines.sources.files import resolve
from pipelines.sources.images import ImageStore
from schemas.recipe import Duplicates, load_recipe
from schemas.snapshot import Snapshot

LONG = 'Which of the four rivers on the map crosses the border of the northern province?'


def item(item_id: str, question: str = '', answer: str = '', *images: bytes, options: tuple[str, ...] = ()) -> dict:
    """Return a benchmark's item, a row of BENCH_ITEMS."""
    shown = [{'bytes': data, 'path': ''} for data in images]
    return {'bench': 'b', 'item_id': item_id, 'question': question, 'options': list(options), 'answer': answer, 'images': shown, 'meta': '{}'}


def written(folder: Path, items: list[dict]) -> Table:
    """Return a benchmark's table, as ReadBenchmark makes it."""
    writer = ShardWriter(folder, 0)
    write_items(items, writer)
    writer.close()
    return Table(folder)


@dataclass
class Indexed:
    """A folder of pictures, inspected and indexed."""

    engine: Engine
    store: ImageStore
    index: Table

    def number(self, name: str) -> int:
        """Return the number of the picture that was called `name`."""
        return self.index.read(columns=['ref'])['ref'].to_pylist().index(f's/{name}')


def indexed(folder: Path, pictures: dict[str, bytes]) -> Indexed:
    """Write the pictures, inspect and index them."""
    (folder / 'in').mkdir(parents=True)
    for name, data in pictures.items():
        (folder / 'in' / name).write_bytes(data)
    refs = table_of(folder / 'refs' / 'r', pa.table({'ref': [f's/{name}' for name in pictures]}, REFS))
    engine, store = Engine(folder / 'work'), ImageStore({'s': (str(folder / 'in'),)}, '', 10**9)
    facts = engine.run(FingerprintImages(refs, '', False, ImageLimits(), store))
    return Indexed(engine, store, engine.run(IndexImages((facts,))))


def table_of(folder: Path, *parts: pa.Table) -> Table:
    """Return a table with these parts, as a step would have made it."""
    folder.mkdir(parents=True, exist_ok=True)
    for index, part in enumerate(parts):
        pq.write_table(part, folder / f'part-{index:05d}.parquet')
    return Table(folder)


def find_stars(engine: Engine, index: Table, store: ImageStore | None, rules: Duplicates | None = None) -> Table:
    """Return the stars of the images of an index."""
    rules = rules or Duplicates()
    hashes = engine.run(IndexHashes(index))
    pairs = engine.run(FindPairs(index, hashes, *join_bits(rules), store))
    return engine.run(MakeStars(index, pairs, **rules.model_dump(include=set(BITS))))


def crowd(folder: Path, n: int, *, document: bool) -> Table:
    """Return the index of `n` images that all have one hash, the thumbnails alike; there are no pictures."""
    table = Table(folder / 'work' / 'index' / 'i')
    table.path.mkdir(parents=True)
    arrays = {
        'image_id': np.arange(n, dtype='>u8').view('V8').astype('V32'), 'sorted_id': np.empty(0, 'S32'), 'sorted_number': np.empty(0, np.int64),
        'is_document': np.full(n, document), 'phash64': np.full(n, 77, np.uint64),
        'phash256': np.full((n, 4), 5, np.uint64), 'of_image': np.arange(n), 'thumb': np.zeros((n, 192), np.uint8),
    }  # fmt: skip
    for name, values in arrays.items():
        np.save(table.path / f'{name}.npy', values)
    pq.write_table(pa.table({'ref': [f's/{i}' for i in range(n)]}), table.path / 'part-00000.parquet')
    return table


def build(project, out: Path, work: Path, *sets: str) -> tuple[Snapshot, list[str]]:
    """Build the mix of a small project; return it and the names of the tables that were made for it."""
    engine = Engine(work)
    mix = build_mix(resolve(load_recipe(project.recipe, sets), project.root), Folders(project.root, out), engine)
    return mix, [label.partition(' ')[0] for label in engine.ran]
