import pytest

from curation.edits import edit
from curation.images import ImageLimits
from pipelines.mix import contamination
from pipelines.mix.contamination import MatchBenchmark
from pipelines.mix.duplicates import IndexHashes
from tests.curation.pictures import chart, encoded, photo
from tests.pipelines.mix.mixes import LONG, indexed, item, written


@pytest.fixture(scope='module')
def mix(tmp_path_factory):
    pictures = {f'photo{k}': encoded(photo(k), 'JPEG', quality=90) for k in range(6)} | {'chart': encoded(chart())}
    made = indexed(tmp_path_factory.mktemp('mix'), pictures)
    return made, made.engine.run(IndexHashes(made.index)), pictures


def hits_of(mix, items: list[dict], folder) -> list[tuple[int, str]]:
    made, hashes, _ = mix
    table = made.engine.run(MatchBenchmark(written(folder / 'items' / folder.name, items), made.index, hashes, ImageLimits(), 7, 64, made.store))
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
