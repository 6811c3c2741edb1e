"""Embedded pictures, packed once: what a disk lost of them is found by their name and made again from the source."""

import hashlib

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.engine.engine import Engine
from pipelines.engine.tables import Table
from pipelines.sources import packed as packed_pictures
from pipelines.sources.images import ImageStore, pack, packed_path
from pipelines.sources.packed import drop_lost, samples_with_pictures, sync_packed
from pipelines.sources.read import read_sources
from schemas.errors import DamagedPicture
from schemas.recipe import Recipe
from tests.damage import DAMAGE
from tests.promises import promise

BYTES = [f'picture {n}'.encode() * 50 for n in range(6)]


@pytest.fixture
def reading(tmp_path):
    """Give an engine, the step that reads a source with embedded pictures, and the folder where they are packed."""
    schema = pa.schema([('picture', pa.struct([('bytes', pa.binary()), ('path', pa.string())])), ('q', pa.string()), ('a', pa.string())])
    rows = [{'picture': {'bytes': data, 'path': 'x.png'}, 'q': f'What is it, number {n}?', 'a': 'red'} for n, data in enumerate(BYTES)]
    (tmp_path / 's').mkdir()
    pq.write_table(pa.Table.from_pylist(rows, schema), tmp_path / 's/s.parquet')
    source = {'format': 'columns', 'annotations': ['s/s.parquet'], 'licence': 'MIT', 'answers': 'exact',
              'columns': {'image': 'picture', 'question': 'q', 'answer': 'a'}}  # fmt: skip
    recipe = Recipe.model_validate({'name': 'r', 'sources': {'s': source}})
    return Engine(tmp_path / 'work'), read_sources(recipe, tmp_path, {'s': {'s/s.parquet': '0' * 64}}, tmp_path / 'work'), tmp_path / 'work/images'


def files(folder):
    return {path.name: path.read_bytes() for path in folder.rglob('*') if path.is_file()}


@promise('Damaged files', 'A packed picture that was lost, emptied, cut or changed is known by its name and made again from the source', kinds_of_damage=len(DAMAGE))
def test_damaged_pictures_are_made_again_from_the_source(reading, capsys):
    engine, steps, folder = reading
    samples_with_pictures(engine, steps, str(folder))
    whole = {hashlib.sha256(data).hexdigest(): data for data in BYTES}
    assert files(folder) == whole
    store = ImageStore({}, str(folder), 10_000)
    for damage in DAMAGE:
        image_id = next(iter(whole))
        DAMAGE[damage](packed_path(folder, image_id))
        if damage in ('removed', 'emptied'):  # seen by every build
            samples_with_pictures(engine, steps, str(folder))
        else:  # seen when it is read, and then of all
            with pytest.raises(DamagedPicture, match=f'{image_id}.*run phantom build again'):
                store.read(f's/sha256:{image_id}')
            assert drop_lost([engine.table(step) for step in steps], str(folder), whole=True)
            engine.run_each(steps)
        assert files(folder) == whole, damage
        assert store.read(f's/sha256:{image_id}') == whole[image_id]
        assert '1 packed pictures are damaged' in capsys.readouterr().err


def test_a_picture_that_annotations_name_like_a_packed_one_and_that_never_was_stops_nothing(tmp_path):
    table = Table(tmp_path / 'samples/f')
    table.path.mkdir(parents=True)
    names = ['s/sha256:' + '0' * 64, 's/sha256:../../etc/passwd', 's/a.png', 's/sha256:' + '/' * 64]
    pq.write_table(pa.table({'images': [names]}), table.path / 'part-00000.parquet')
    assert drop_lost([table], str(tmp_path / 'images')), 'read again once'
    assert list(packed_pictures._packed(tmp_path, [names])) == [tmp_path / '00' / ('0' * 64)]


def test_pictures_are_on_the_disk_before_the_samples_that_refer_to_them(tmp_path, monkeypatch):
    flushed = []
    monkeypatch.setattr(packed_pictures, 'sync_all', lambda paths: flushed.extend(paths))
    name = pack(tmp_path, BYTES[0])
    sync_packed(tmp_path, [f's/{name}', 's/a.png', f's/{name}'])
    assert flushed == [packed_path(tmp_path, name.removeprefix('sha256:'))]


def test_bytes_that_lie_there_too_short_are_packed_again(tmp_path):
    name = pack(tmp_path, BYTES[0])
    path = packed_path(tmp_path, name.removeprefix('sha256:'))
    path.write_bytes(b'')
    assert pack(tmp_path, BYTES[0]) == name
    assert path.read_bytes() == BYTES[0]
