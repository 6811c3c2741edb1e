import pytest
from PIL import Image

from curation.pictures.edits import edit
from curation.pictures.images import ImageLimits
from pipelines.benches.compared import Compared
from pipelines.engine.tables import ShardWriter, Table
from pipelines.mix import contamination
from pipelines.mix.contamination import MatchBenchmark, write_items
from pipelines.mix.duplicates import IndexHashes
from tests.curation.drawn import chart, encoded, photo
from tests.pipelines.mix.mixes import LONG, indexed, item, written


@pytest.fixture(scope='module')
def mix(tmp_path_factory):
    pictures = {f'photo{k}': encoded(photo(k), 'JPEG', quality=90) for k in range(6)} | {'chart': encoded(chart())}
    made = indexed(tmp_path_factory.mktemp('mix'), pictures)
    return made, made.engine.run(IndexHashes(made.index)), pictures


def hits_of(mix, items: list[dict], folder) -> list[tuple[int, str]]:
    made, hashes, _ = mix
    table = made.engine.run(MatchBenchmark(written(folder / 'items' / folder.name, items), made.index, hashes, 7, 64, made.store))
    return [(row['number'], row['item_id']) for row in table.read().to_pylist()]


def test_pictures_of_a_benchmark_are_looked_up_together_and_each_finds_its_own(mix, tmp_path, monkeypatch):
    made, _, pictures = mix
    calls, look = [], contamination.matches_within

    def counted(index, queries, bits):
        calls.append(len(queries))
        return look(index, queries, bits)

    monkeypatch.setattr(contamination, 'matches_within', counted)
    halves = {name: edit(data, 'half', name) for name, data in pictures.items()}
    items = [item(name, '', '', encoded(photo(99)), data) for name, data in halves.items()]
    items += [item('none'), item('broken', '', '', b'\x89PNG no picture'), item('twin', '', '', encoded(chart(title='Sales in 1986')))]
    found = hits_of(mix, items, tmp_path)
    assert sorted(found) == sorted((made.number(name), name) for name in pictures)
    assert calls == [2 * len(pictures) + 1]


def test_a_benchmark_without_pictures_hits_nothing(mix, tmp_path):
    assert hits_of(mix, [item('a', LONG, 'x'), item('b', '', '', b'')], tmp_path) == []


def test_pictures_that_do_not_decode_are_counted_and_the_others_looked_for(mix, tmp_path):
    compared = Compared('folder')
    writer = ShardWriter(tmp_path / 'items' / 'b', 0)
    write_items([item('broken', '', '', b'\x89PNG no picture', mix[2]['chart'])], writer, ImageLimits(), compared)
    writer.close()
    assert (compared.lacking['pictures'], compared.examples['pictures'][:11]) == (1, 'item broken')
    table = mix[0].engine.run(MatchBenchmark(Table(tmp_path / 'items' / 'b'), mix[0].index, mix[1], 7, 64, mix[0].store))
    assert [row['number'] for row in table.read().to_pylist()] == [mix[0].number('chart')]


def test_the_very_picture_is_found_among_many_of_one_hash(tmp_path):
    """More drawings that differ in a grey level than are compared on pixels."""
    pictures = {}
    for i in range(contamination.DOCUMENTS_COMPARED + 4):
        drawing = Image.new('RGB', (96, 64), 'white')
        drawing.paste('black', (20, 10, 50, 40))
        drawing.putpixel((i, 60), (254, 255, 255))
        pictures[f'{i}.png'] = encoded(drawing)
    made = indexed(tmp_path / 'mix', pictures)
    last = max(pictures, key=made.number)
    found = hits_of((made, made.engine.run(IndexHashes(made.index)), pictures), [item(last, 'What?', '', pictures[last])], tmp_path / 'asked')
    assert (made.number(last), last) in found
    assert len(found) == contamination.DOCUMENTS_COMPARED
