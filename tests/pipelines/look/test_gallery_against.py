"""Two snapshots held against each other in one page: what was added, removed and changed, served and as files."""

import os
from pathlib import Path

import pytest

from pipelines.look.gallery.against import open_against
from pipelines.look.gallery.index import GalleryIndex
from pipelines.look.gallery.static import export_gallery
from tests.pipelines.look.browser import Browser
from tests.pipelines.look.served import serving
from tests.pipelines.look.test_gallery import get
from tests.pipelines.look.test_gallery_views import LISTED, press
from tests.pipelines.snapshot.sealed import picture, rejection, says, seal_rows, triple

RED, GREEN = picture('red', side=60), picture('green', side=70)
ENTRY = 'return document.getElementById("entry").innerText'


@pytest.fixture
def both(tmp_path):
    """Ten triples and what became of them: 3 is there no more, 7 is left out, 5 says something else, 10 is new; only the first holds the green picture."""
    first = [triple(n, images=[GREEN if n == 7 else RED]) for n in range(10)]
    changed = triple(5, images=[RED], rejected=[says('assistant', 'quite wrong 5')])
    second = [changed if n == 5 else triple(n, images=[RED]) for n in range(11) if n not in (3, 7)]
    return seal_rows(tmp_path / 'a', 'triples', first, [rejection(20)]), seal_rows(tmp_path / 'b', 'triples', second, [rejection(7), rejection(20, 'NOT_WRONG')])


@pytest.fixture
def against(both):
    index = GalleryIndex(both[1])
    found = open_against(index, both[0])
    yield found
    found.close()
    index.close()


def test_every_change_is_told_with_where_it_moved_from_and_to(against):
    told = against.told()
    assert {(move['what'], move['before'], move['after']): move['n'] for move in told['moves']} == {
        ('added', 'not there', 'kept'): 1, ('removed', 'kept', 'LOW_MARGIN'): 1, ('removed', 'kept', 'not there'): 1, ('changed', 'kept', 'kept'): 1,
        ('elsewhere', 'LOW_MARGIN', 'NOT_WRONG'): 1}
    assert (told['same'], told['columns']) == (7, (('rejected', 1),))
    kept = told['views']['kept']
    assert (kept['before']['total'], kept['after']['total'], len(kept['before']['bins']['score'])) == (10, 9, len(told['edges']['score']) - 1)
    assert {len(bins) for side in kept.values() for bins in side['bins'].values()} == {len(edges) - 1 for edges in told['edges'].values()}


def test_a_changed_row_is_shown_as_it_was_and_as_it_is(against):
    assert against.page({}, 0, 99)['total'] == 5
    (row,) = against.page({'what': 'changed'}, 0, 99)['rows']
    pair = against.pair(row['n'])
    assert [pair[side]['entry']['rejected'] for side in ('before', 'after')] == ['wrong 5', 'quite wrong 5']
    (gone,) = against.page({'what': 'removed', 'after': 'not there'}, 0, 99)['rows']
    assert against.pair(gone['n'])['after'] == {'state': 'not there', 'entry': None}
    assert (against.place({'what': 'removed'}, gone['n']), against.place({'what': 'added'}, gone['n'])) == (1, None)
    assert against.pair(99) is None


def test_a_picture_that_only_the_earlier_snapshot_holds_has_an_address_of_its_own(against):
    (row,) = against.page({'after': 'LOW_MARGIN'}, 0, 99)['rows']
    address = against.pair(row['n'])['before']['entry']['images'][0]['address']
    with serving(against.after, None, 0, None, against) as at:
        assert get(f'{at}/{address}')[2] == GREEN
        assert get(f'{at}/{address.removeprefix("before/")}')[0] == 404
        assert get(f'{at}/api/pair?n=99')[0] == 404
        assert get(f'{at}/api/changes?what=%27%3B+DROP&before=x')[0] == 200
    with serving(against.after) as at:
        assert [get(f'{at}/{path}')[0] for path in (address, 'api/compared', 'api/changes', 'api/pair?n=0')] == [404] * 4


def look(browser, name: str) -> None:
    """Go from the counts to the rows and back, as a person would."""
    browser.wait('return document.querySelectorAll("#overview .card").length > 4')
    assert browser.run('return [...document.querySelectorAll("#overview .counts .go")].map((one) => one.textContent)') == ['1 added', '2 removed', '1 changed']
    if 'PHANTOM_SCREENSHOTS' in os.environ:
        browser.screenshot(Path(os.environ['PHANTOM_SCREENSHOTS']) / f'{name}-compare.png')
    press(browser, '#overview .counts .go:nth-child(3)')
    browser.wait(f'{LISTED} === 2')
    browser.wait('return document.querySelectorAll("#entry .side").length === 2')
    assert browser.run('return [...document.querySelectorAll("#entry .side .rejected mark")].map((one) => one.textContent)') == ['quite']
    browser.wait('return [...document.querySelectorAll("#entry img")].filter((one) => one.naturalWidth === 60).length === 2')
    browser.run('location.reload()')
    browser.wait('return document.querySelectorAll("#entry .side").length === 2')
    browser.press('c')
    press(browser, '#overview .bars .bar')
    browser.wait(f'{ENTRY}.includes("not there")')
    assert browser.complaints() == []


@pytest.mark.integration
def test_what_changed_is_looked_at_in_a_browser(against, both, tmp_path):
    export_gallery(both[1], tmp_path / 'page', limit=100, against=both[0])
    with serving(against.after, None, 0, None, against) as address, Browser(tmp_path / 'profile') as browser:
        for name, at in (('served', address + '/'), ('exported', (tmp_path / 'page/index.html').as_uri())):
            browser.open(at + '#show=compare')
            look(browser, name)
