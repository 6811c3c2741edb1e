"""The histogram of where the answers of the finished triples first differ, per source, as the card shows it."""

import pyarrow as pa

from pipelines.triples.lateness import markdown_places, read_places
from tests.pipelines.mix.mixes import table_of


def test_each_triple_is_in_one_bar_of_its_source(tmp_path):
    rows = pa.table({'source': ['b', 'a', 'a', 'a'], 'differs_at': pa.array([0, 3, 511, 2000], pa.int32()), 'more': [1, 2, 3, 4]})
    places = read_places(table_of(tmp_path / 'rows', rows))
    assert list(places.items()) == [('a', [1, 0, 0, 1, 0, 1]), ('b', [1, 0, 0, 0, 0, 0])]
    page = markdown_places(places, 512)
    assert '| source | 0-15 | 16-63 | 64-255 | 256-511 | 512-1023 | 1024 or more |' in page
    assert '| a | 1 | 0 | 0 | 1 | 0 | 1 |' in page
    assert 'triples.differ_within: 512' in page
    assert 'no bound' in markdown_places(places, None)
