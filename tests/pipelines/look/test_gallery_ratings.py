"""Ratings in the gallery: the histogram, what a threshold would take away, and each rating beside its sample."""

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.look.gallery.entry import entry
from pipelines.look.gallery.index import GalleryIndex
from pipelines.look.gallery.overview import BINS, about, overview
from pipelines.look.gallery.query import Query
from pipelines.look.gallery.static import export_gallery
from schemas.errors import UserError
from schemas.records import RATINGS
from tests.pipelines.look.browser import Browser
from tests.pipelines.look.served import serving
from tests.pipelines.snapshot.sealed import picture, rejection, sample, seal_rows

SCORES = {0: 0.02, 1: 0.04, 2: 0.6, 3: 0.97, 4: None, 9: 0.01}  # 5 was rated by nobody; 9 is out


def ratings():
    rows = [{'sample_id': f'shapes/file.json#{n}/0', 'ask': 'correct', 'score': score, 'by': 'judge'} for n, score in SCORES.items()]
    rows += [{'sample_id': 'shapes/file.json#1/0', 'ask': ask, 'score': score, 'by': by} for ask, score, by in (
        ('correct', 0.5, 'second'), ('needs_picture', -1.5, 'judge'))]
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, RATINGS), out)
    return out.getvalue()


@pytest.fixture
def folder(tmp_path):
    rows = [sample(n, images=[picture('red', side=20 + n)]) for n in range(6)]
    return seal_rows(tmp_path / 'mix', 'mix', rows, [rejection(9, 'WRONG_ANSWER', unit='sample'), rejection(9, 'IMAGE_MISSING', unit='image')],
                     extras={'ratings/ratings.parquet': ratings()})


@pytest.fixture
def index(folder):
    found = GalleryIndex(folder)
    yield found
    found.close()


def names(found):
    return [int(row['id'].split('#')[1].split('/')[0]) for row in found['rows']]


def test_the_rating_of_correct_orders_and_bounds_the_samples_of_a_mix(index):
    assert names(index.page(Query(sort='lowest score'), 0, 50)) == [0, 1, 2, 3, 4, 5]
    assert names(index.page(Query(ranges={'score': (None, 0.55)}, sort='lowest score'), 0, 50)) == [0, 1], 'the highest of several ratings counts'
    assert [row['score'] for row in index.page(Query('rejected'), 0, 50)['rows']] == [0.01, None]


def test_the_histogram_counts_what_was_rated_and_nothing_else(index):
    told = about(index)
    assert (told['rated'], told['edges']['score'][0], told['edges']['score'][-1]) == ('correct', 0, 1)
    assert {at: n for at, n in enumerate(overview(index, Query())['bins']['score']) if n} == {0: 1, 10: 1, 12: 1, BINS - 1: 1}
    assert overview(index, Query('rejected'))['bins']['score'][0] == 1


def test_each_rating_stands_beside_its_sample(index):
    shown = entry(index, None, 'kept', 1)
    assert shown['scores'] == {'correct by judge': 0.04, 'correct by second': 0.5, 'needs_picture by judge': -1.5}
    assert shown['facts']['score'] == 0.5
    assert entry(index, None, 'kept', 5)['scores'] == {}


def test_a_mix_without_ratings_has_no_histogram(tmp_path):
    index = GalleryIndex(seal_rows(tmp_path / 'mix', 'mix', [sample(0)]))
    assert (about(index)['rated'], 'score' in about(index)['edges']) == ('', False)
    assert 'score' not in entry(index, None, 'kept', 0)['facts']
    index.close()


def test_ratings_that_are_not_what_was_sealed_are_refused(folder):
    (folder / 'ratings/ratings.parquet').write_bytes(ratings()[:-9])
    with pytest.raises(UserError, match=r'ratings\.parquet'):
        GalleryIndex(folder)


@pytest.mark.integration
def test_a_bar_shows_what_its_threshold_would_take_away(folder, index, tmp_path):
    export_gallery(folder, tmp_path / 'page', limit=100)
    listed = 'return document.querySelectorAll("#rows [role=option] .said").length / 2'
    with serving(index) as at, Browser(tmp_path / 'profile') as browser:
        for address in (at + '/#show=list', (tmp_path / 'page/index.html').as_uri() + '#show=list'):
            browser.open(address)
            browser.wait(f'{listed} === 6')
            browser.wait(f'return document.querySelectorAll("#histogram button").length === {BINS}')
            browser.run('document.querySelectorAll("#histogram button")[10].click()')
            browser.wait(f'{listed} === 2')
            browser.wait('return document.querySelectorAll("#histogram button.taken").length === 11')
            assert browser.run('return document.querySelector("#histogram button.taken").offsetHeight') > 1
            browser.wait('return document.querySelectorAll("#entry img").length === 1')
        assert browser.complaints() == []
