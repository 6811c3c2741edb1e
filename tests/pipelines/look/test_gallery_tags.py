"""Tags in a real browser: given by key and button, shown, chosen by, kept, and saved as the list that `--exclude` reads."""

import json

import pytest

from pipelines.look.gallery.index import GalleryIndex
from pipelines.look.gallery.query import MOST_ROWS, BadRequest, Query, read_query
from pipelines.look.gallery.static import export_gallery
from pipelines.mix.excluded import read_tags
from schemas.snapshot import open_snapshot
from tests.pipelines.look.browser import Browser
from tests.pipelines.look.served import serving
from tests.pipelines.look.test_gallery_views import ADDRESS, TOTAL, press, shot
from tests.pipelines.snapshot.sealed import rejection, seal_rows, triple

N = 30
HOSTILE = '<img src=x onerror=alert(1)>'


@pytest.fixture
def snapshot(tmp_path):
    return seal_rows(tmp_path / 'triples', 'triples', [triple(n) for n in range(N)], [rejection(N, question='Q?', chosen='a', rejected='b', score=-0.5)])


def test_rows_named_by_number_stand_beside_other_filters_and_others_are_refused(snapshot):
    index = GalleryIndex(snapshot)
    assert [row['n'] for row in index.page(Query(rows=(3, 5, 99)), 0, 50)['rows']] == [3, 5]
    assert index.page(Query(rows=()), 0, 50)['total'] == 0
    assert index.page(Query(rows=(3, 5), ranges={'score': (0.4, None)}), 0, 50)['total'] == 1
    index.close()
    assert read_query({'rows': ['3,5']}).rows == (3, 5)
    assert (read_query({'rows': ['-']}).rows, read_query({}).rows) == ((), None)
    for rows in ('a', '1,,2', '1; DROP', '9' * 10, ','.join(map(str, range(MOST_ROWS + 1)))):
        with pytest.raises(BadRequest, match='rows: expected'):
            read_query({'rows': [rows]})


@pytest.mark.integration
def test_rows_are_tagged_one_after_another_chosen_by_tag_and_saved_as_a_list_that_exclude_reads(snapshot, tmp_path):
    index = GalleryIndex(snapshot)
    export_gallery(snapshot, tmp_path / 'page', limit=N)
    put = 'document.getElementById("tag").value = {}; return true'
    shown = 'return [...document.querySelectorAll("#entry .tagged .chip span:first-child")].map((one) => one.textContent).join()'
    at = 'return document.querySelector("#entry h2")?.textContent.includes("#{}/")'
    with serving(index) as address, Browser(tmp_path / 'profile') as browser:
        browser.open(f'{address}#show=list')
        browser.wait(at.format(0))
        browser.press('t')
        browser.wait('return document.activeElement.id === "tag"')
        for key in 'odd\ue007':  # Enter
            browser.press(key)
        browser.wait(f'return ({shown[7:]}) === "odd"')
        for n in (1, 2):
            browser.press('j')
            browser.wait(at.format(n))
            browser.press('t')
            browser.wait(f'return ({shown[7:]}) === "odd"')
        browser.run(put.format(json.dumps(HOSTILE)))
        press(browser, '#tagging button')
        browser.wait('return document.querySelectorAll("#entry .tagged .chip").length === 2')
        assert HOSTILE in browser.run(shown)
        assert browser.run('return document.querySelectorAll("#entry .tagged img").length') == 0
        assert browser.run('return document.querySelectorAll("#rows .tag").length') == 4
        press(browser, '#filter-tags summary')
        shot(browser, 'tags')
        press(browser, '#filter-tags input[value=odd]')
        browser.wait(f'{TOTAL} === "3 row(s)"')
        assert browser.run(f'{ADDRESS}.get("tag")') == 'odd'
        assert 'rows' not in browser.run(f'{ADDRESS}.toString()').split('show=')[0]
        browser.run('location.reload()')
        browser.wait(f'{TOTAL} === "3 row(s)"')
        browser.press('o')
        browser.wait('return document.querySelector("#overview .go")?.textContent === "show 3 kept row(s)"')
        browser.run('window.saved = []; URL.createObjectURL = (blob) => { blob.text().then((text) => saved.push(text)); return "#"; }; return true')
        press(browser, '#filter-tags .save')
        (tmp_path / 'tags.json').write_text(browser.wait('return saved[0]'), encoding='utf-8')
        told = read_tags(str(tmp_path / 'tags.json'))
        assert (told.snapshot_id, told.tags) == (open_snapshot(snapshot).snapshot_id, {'odd': sorted(triple(n)['triple_id'] for n in range(3))})
        press(browser, '#chosen .chip')
        browser.wait(f'{TOTAL} === "{N} row(s)"')
        press(browser, '#shows [data-show=list]')
        browser.wait(f'return rows.at === 0 && rows.total === {N}')
        browser.run(put.format('"odd"'))
        browser.press('t')
        browser.wait('return document.querySelectorAll("#entry .tagged .chip").length === 0')
        press(browser, '#views [data-view=rejected]')
        browser.wait(f'{TOTAL} === "1 row(s)"')
        browser.wait('return rows.at === 0 && rows.total === 1')
        browser.run(put.format('"odd"'))
        browser.press('t')
        browser.wait('return document.querySelectorAll("#entry .tagged .chip").length === 1')
        assert browser.complaints() == []
        browser.open((tmp_path / 'page/index.html').as_uri() + '#show=list&tag=odd')
        browser.wait(f'{TOTAL} === "{N} row(s)"')
        assert browser.run('return document.getElementById("tagging").offsetWidth') == 0
    index.close()
