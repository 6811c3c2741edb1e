"""Curves of recall and precision in the overview: of the judge from the sealed cases, of raters from the manifest, served and exported."""

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.look.gallery.curves import MOST_POINTS, curves
from pipelines.look.gallery.index import GalleryIndex
from pipelines.look.gallery.static import export_gallery
from pipelines.triples.cases import FILE, SEALED
from tests.pipelines.look.browser import Browser
from tests.pipelines.look.served import serving
from tests.pipelines.look.test_gallery_views import shot
from tests.pipelines.snapshot.sealed import sample, seal_rows, triple

CASES = [('shapes', -1.0, False), ('shapes', 0.0, True), ('shapes', 1.0, False), ('shapes', 2.0, True), ('one kind', 1.0, True), ('shapes', None, True)]


def cases(rows):
    out, empty = io.BytesIO(), {field.name: None for field in SEALED}
    told = [{**empty, 'source': source, 'plant': 'equal', 'score': score, 'accept': accept} for source, score, accept in rows]
    told.append({**empty, 'source': 'shapes', 'plant': 'injected', 'score': 9.0, 'accept': False})
    pq.write_table(pa.Table.from_pylist(told, SEALED), out)
    return out.getvalue()


def curves_of(folder):
    index = GalleryIndex(folder)
    try:
        return curves(index)
    finally:
        index.close()


def test_the_curve_of_a_judge_is_counted_from_the_sealed_cases_without_those_that_ask_for_a_verdict(tmp_path):
    """Above -1 are three cases, two of them right; above 0 two, one of them right; above 1 one, which is right; above 2 none."""
    folder = seal_rows(tmp_path / 't', 'triples', [triple(0)], extras={FILE: cases(CASES)}, recipe={'judge': {'margin': 0.5}})
    (one,) = curves_of(folder)
    assert (one['title'], one['at']) == ('judge: shapes', 0.5)
    assert one['points'] == [[-1.0, 1.0, pytest.approx(2 / 3)], [0.0, 0.5, 0.5], [1.0, 0.5, 1.0], [2.0, 0.0, None]]
    many = seal_rows(tmp_path / 'many', 'triples', [triple(0)], extras={FILE: cases([('s', n / 7, n % 3 > 0) for n in range(500)])})
    assert [len(one['points']) for one in curves_of(many)] == [MOST_POINTS]


def test_the_curves_of_ratings_are_those_of_the_manifest_and_another_manifest_has_none(tmp_path):
    cut = {'below': 0.1, 'recall': {'hits': 3, 'total': 4}, 'own': {'hits': 1, 'total': 9}, 'precision': 0.5}
    report = {'source': 'shapes', 'ask': 'correct', 'by': 'm', 'chosen': None, 'cuts': [cut, {**cut, 'below': 0.2, 'recall': {'hits': 4, 'total': 4}}]}
    (one,) = curves_of(seal_rows(tmp_path / 'm', 'mix', [sample(0)], ratings={'reports': [report, {**report, 'cuts': []}]}))
    assert (one['title'], one['points'], one['at']) == ('rating correct by m: shapes', [[0.1, 0.75, 0.5], [0.2, 1.0, 0.5]], None)
    for n, told in enumerate(({'reports': [{}]}, {'reports': 3}, [1], 'x', {'reports': [{**report, 'cuts': [{}]}]})):
        assert curves_of(seal_rows(tmp_path / f'bad{n}', 'mix', [sample(0)], ratings=told)) == []
    assert curves_of(seal_rows(tmp_path / 'none', 'triples', [triple(0)])) == []


@pytest.mark.integration
def test_the_overview_draws_them_served_and_exported(tmp_path):
    rows = [('shapes', n / 10 - (0 if n % 3 else 3), n % 3 > 0) for n in range(60)]
    folder = seal_rows(tmp_path / 't', 'triples', [triple(0)], extras={FILE: cases(rows)}, recipe={'judge': {'margin': 0.5}})
    export_gallery(folder, tmp_path / 'page', limit=9)
    index = GalleryIndex(folder)
    with serving(index) as address, Browser(tmp_path / 'profile') as browser:
        for place in (address, (tmp_path / 'page/index.html').as_uri()):
            browser.open(place)
            browser.wait('return document.querySelectorAll(".lines polyline").length === 2')
            points = 'return document.querySelector(".lines .recall").getAttribute("points").split(" ").length'
            assert browser.run(points) == browser.run('return document.querySelectorAll(".card[aria-label=\'judge: shapes\'] td:first-child").length') > 20
            assert browser.run('return document.querySelectorAll(".lines .at").length') == 1
            browser.run('document.querySelector(".lines").scrollIntoView(); return true')
            shot(browser, 'curves')
        assert browser.complaints() == []
    index.close()
