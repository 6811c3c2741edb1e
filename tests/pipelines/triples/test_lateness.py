"""The histogram of where the answers of the triples first differ, per source, as the card shows it."""

from pipelines.engine.step import make_here
from pipelines.triples.lateness import markdown_places, read_places
from tests.pipelines.triples.few import candidate, few


def test_each_triple_is_in_one_bar_of_its_source(tmp_path):
    rows = [candidate(0, 'w', source='t'), *(candidate(n, 'w', differs_at=at) for n, at in enumerate((3, 511, 2000)))]
    places = read_places(make_here(few(tmp_path, rows).selecting(), tmp_path / 'plan'))
    assert list(places.items()) == [('s', [1, 0, 0, 1, 0, 1]), ('t', [1, 0, 0, 0, 0, 0])]
    page = markdown_places(places, 512)
    assert '| source | 0-15 | 16-63 | 64-255 | 256-511 | 512-1023 | 1024 or more |' in page
    assert '| s | 1 | 0 | 0 | 1 | 0 | 1 |' in page
    assert 'triples.differ_within: 512' in page
    assert 'no bound' in markdown_places(places, None)
