import json
import threading
import zipfile
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from curation.pictures.images import ImageFault, ImageLimits
from pipelines.engine.step import make_here
from pipelines.engine.tables import Table
from pipelines.mix import fingerprints
from pipelines.mix.fingerprints import FACTS, FingerprintImages, ListReferences
from pipelines.sources import images, waits
from pipelines.sources.images import ImageStore, pack
from schemas.recipe import ImageRules
from schemas.records import Reason
from tests.pipelines.mix.mixes import table_of
from tests.programmes.project import picture


def looking(store: ImageStore, limits: ImageLimits, *, renamed: bool = False) -> FingerprintImages:
    return FingerprintImages(Table(Path('refs')), '', renamed, limits, store)


@pytest.mark.parametrize(('name', 'form', 'agrees'), [('a.png', 'PNG', True), ('a.JPG', 'JPEG', True), ('a.jpg', 'PNG', False), ('b.c/a', 'PNG', False)])
def test_a_picture_named_as_another_format_is_left_out_only_where_the_recipe_says_so(tmp_path, name, form, agrees):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(picture('a', form=form))
    store = ImageStore({'s': (str(tmp_path),)}, str(tmp_path / 'packed'), 10**6)
    strict = ImageLimits(**ImageRules(matching_extension=True).model_dump())
    found = looking(store, strict)._look(f's/{name}')[-1]
    assert (not isinstance(found, ImageFault)) is agrees
    if not agrees:
        assert (found.reason, found.detail) == (Reason.IMAGE_FORMAT, f'expected what the name {name.rpartition("/")[2]!r} says, found {form}')
    assert looking(store, ImageLimits(**ImageRules().model_dump()))._look(f's/{name}')[-1]['format'] == form


@pytest.mark.parametrize(('form', 'agrees'), [('PNG', True), ('GIF', False)])
def test_a_picture_that_may_lie_under_another_extension_agrees_with_one_of_them(tmp_path, form, agrees):
    (tmp_path / 'a.png').write_bytes(picture('a', form=form))
    strict = ImageLimits(matching_extension=True)
    found = looking(ImageStore({'s': (str(tmp_path),)}, '', 10**6), strict, renamed=True)._look('s/a.jpg')[-1]
    assert (not isinstance(found, ImageFault)) is agrees
    (tmp_path / 'a.png').rename(tmp_path / 'a.jpg')
    assert isinstance(looking(ImageStore({'s': (str(tmp_path),)}, '', 10**6), strict)._look('s/a.jpg')[-1], ImageFault)


def test_embedded_pictures_have_no_name_to_agree_with(tmp_path):
    store = ImageStore({}, str(tmp_path), 10**6)
    reference = f's/{pack(tmp_path, picture("a"))}'
    assert looking(store, ImageLimits(matching_extension=True))._look(reference)[-1]['format'] == 'PNG'


def of_two(tmp_path: Path) -> tuple[Table, ImageStore]:
    """Return the references of two sources that name one archive: two pictures both show, a broken one, one that only the second shows."""
    with zipfile.ZipFile(tmp_path / 'a.zip', 'w') as archive:
        for name in ('0.png', '1.png', '2.png'):
            archive.writestr(name, picture(name))
        archive.writestr('broken.png', b'\x89PNG\r\n\x1a\nno')
    samples = []
    for source, names in (('a', ['1.png', 'broken.png', '0.png', '1.png']), ('b', ['2.png', '0.png', '1.png', 'broken.png'])):
        rows = [pa.table({'images': [[f'{source}/{name}'] for name in some]}) for some in (names[:2], names[2:])]
        samples.append(replace(table_of(tmp_path / 'samples' / source, *rows), label=f'samples {source}'))
    store = ImageStore({name: (str(tmp_path / 'a.zip'),) for name in 'ab'}, '', 10**6, index=str(tmp_path / 'index'))
    return make_here(ListReferences(tuple(samples)), tmp_path), store


def test_a_picture_of_two_sources_is_looked_at_once_and_counted_for_both(tmp_path, monkeypatch):
    refs, store = of_two(tmp_path)
    assert refs.label == 'refs a, b'
    assert refs.read()['ref'].to_pylist() == ['a/1.png', 'b/1.png', 'a/broken.png', 'b/broken.png', 'a/0.png', 'b/0.png', 'b/2.png']
    looked, inspect = [], fingerprints.inspect_image
    monkeypatch.setattr(fingerprints, 'inspect_image', lambda data, limits: looked.append(data) or inspect(data, limits))
    facts = make_here(FingerprintImages(refs, '', False, ImageLimits(), store), tmp_path)
    assert len(looked) == 4
    rows = facts.read().to_pylist()
    assert [row['ref'] for row in rows] == ['a/1.png', 'b/1.png', 'a/0.png', 'b/0.png', 'b/2.png']
    assert {name: rows[0][name] for name in FACTS} == {name: rows[1][name] for name in FACTS}
    assert [(row['id'], row['source']) for row in facts.read('rejections').to_pylist()] == [('a/broken.png', 'a'), ('b/broken.png', 'b')]
    counts = json.loads((facts.path / 'shard-00000.json').read_text())['counts']
    assert {key: n for key, n in counts.items() if not key.startswith('rows/')} == {
        'in/image/a': 3, 'kept/image/a': 2, 'rejected/image/a/IMAGE_UNDECODABLE': 1,
        'in/image/b': 4, 'kept/image/b': 3, 'rejected/image/b/IMAGE_UNDECODABLE': 1,
    }  # fmt: skip
    assert len(fingerprints.seen_in(facts.path, 0)) == 7


def test_an_archive_is_looked_at_once_for_all_pictures_of_a_source(tmp_path, monkeypatch):
    refs, store = of_two(tmp_path)
    one_by_one = [[store.status(reference) for reference in group] for group in fingerprints.reference_groups(refs)]
    looked, stat = [], images.status
    monkeypatch.setattr(images, 'status', lambda path, **how: looked.append(path) or stat(path, **how))
    assert [some.tolist() for some in fingerprints.statuses(refs, store)] == [[list(status) for status in group] for group in one_by_one]
    assert looked == [str(tmp_path / 'a.zip')] * 2, 'once for each source'


def test_many_pictures_are_asked_for_as_one_is(tmp_path):
    """Of two folders and an archive between, with links, names that lead out, packed pictures and what is not there."""
    for folder in ('first', 'last', 'out'):
        (tmp_path / folder).mkdir()
    (tmp_path / 'first/a.png').write_bytes(picture('a'))
    (tmp_path / 'last/b.png').write_bytes(picture('b'))
    (tmp_path / 'out/o.png').write_bytes(picture('o'))
    (tmp_path / 'last/out.png').symlink_to(tmp_path / 'out/o.png')
    (tmp_path / 'last/link.png').symlink_to('b.png')
    with zipfile.ZipFile(tmp_path / 'z.zip', 'w') as archive:
        for name in ('a.png', 'b.png', 'c.png'):
            archive.writestr(name, picture(name))
    names = ['a.png', 'b.png', 'c.png', 'd.png', 'out.png', 'link.png', '../out/o.png', 'sha256:' + '0' * 64, 'a.png\0', '', '.']
    for order in (('first', 'z.zip', 'last'), ('z.zip', 'first', 'last'), ('last', 'first'), ('z.zip',)):
        store = ImageStore({name: tuple(str(tmp_path / root) for root in order) for name in 'st'}, '', 10**6, frozenset('t'), str(tmp_path / 'i'))
        refs = [f'{source}/{name}' for name in names for source in 'st']
        assert store.statuses(refs).tolist() == [list(store.status(reference)) for reference in refs]


@pytest.mark.parametrize('slept', [0, 1])
def test_only_a_disk_that_lets_one_wait_is_asked_by_several_threads(monkeypatch, slept):
    sleeps = iter((0, slept * waits.PROBED))
    monkeypatch.setattr(waits, 'waits', lambda: next(sleeps))
    threads = []
    items = list(range(waits.PROBED + 10))
    assert list(waits.each(lambda item: threads.append(threading.current_thread()) or item, items, 2, 3)) == items
    assert set(threads[:waits.PROBED]) == {threading.current_thread()}
    assert (set(threads[waits.PROBED:]) == {threading.current_thread()}) is not bool(slept)
