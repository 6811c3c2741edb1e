"""Overview, grid and rows in a real browser, served and as files: a press chooses, the address keeps it, few nodes show many rows."""

import io
import os
from pathlib import Path

import pytest
from PIL import Image

from pipelines.look.gallery.index import GalleryIndex
from pipelines.look.gallery.static import export_gallery
from tests.pipelines.look.browser import Browser
from tests.pipelines.look.served import serving
from tests.pipelines.snapshot.sealed import picture, rejection, says, seal_rows, triple

N = 3000  # rows: thirty pages of what is asked for at once
ARABIC = 'ما لون الكرة؟'
LISTED = 'return document.querySelectorAll("#rows .item .said").length'
ADDRESS = 'return new URLSearchParams(location.hash.slice(1))'
TOTAL = 'return document.getElementById("total").textContent'
CHIPS = 'return document.querySelectorAll("#chosen .chip").length === {}'  # drawn with the total that belongs to them
MOST_NODES = 1500  # of the whole page, whatever there is to scroll over


def turned() -> bytes:
    """Return a TIFF of 16 bits, which no browser shows."""
    out = io.BytesIO()
    Image.new('I;16', (40, 30), 30_000).save(out, 'TIFF')
    return out.getvalue()


@pytest.fixture
def snapshot(tmp_path):
    """Triples of two sources: 0 and 1 have one picture, 2 a question from right to left, 3 a TIFF; the books say what became of the rest."""
    shared = picture('red', side=120)
    rows = [triple(n, source='facts' if n % 3 else 'shapes', score=(n % 100) / 100, kind='incorrect' if n % 2 else 'ambiguous') for n in range(4, N)]
    first = [triple(0, images=[shared], chosen=[says('assistant', 'a red cat sits')], rejected=[says('assistant', 'a blue cat sits still')]),
             triple(1, images=[shared]), triple(2, prompt=[says('user', ARABIC)]), triple(3, images=[turned()])]
    out = [rejection(N + n, source='shapes', question='Number?', chosen='a', rejected='b', score=-0.5) for n in range(20)]
    return seal_rows(tmp_path / 'triples', 'triples', [*first, *rows], out)


@pytest.fixture
def places(snapshot, tmp_path):
    """The addresses of the page, served and exported, and a browser that looks at both."""
    index = GalleryIndex(snapshot)
    index.measure()
    export_gallery(snapshot, tmp_path / 'page', limit=N)
    try:
        with serving(index) as address, Browser(tmp_path / 'profile') as browser:
            yield browser, [address + '/', (tmp_path / 'page/index.html').as_uri()]
    finally:
        index.close()


def press(browser, what: str) -> None:
    """Press something as soon as it is there."""
    browser.wait(f"const found = document.querySelector('{what}'); found?.click(); return Boolean(found)")


def shot(browser, name: str) -> None:
    if 'PHANTOM_SCREENSHOTS' in os.environ:
        browser.screenshot(Path(os.environ['PHANTOM_SCREENSHOTS']) / f'{name}.png')


@pytest.mark.integration
def test_the_overview_is_first_and_what_is_pressed_chooses_and_stays_in_the_address(places):
    browser, addresses = places
    for address in addresses:
        browser.open(address)
        browser.wait(f'{TOTAL} === "{N:,} row(s)"')
        cards = browser.run('return [...document.querySelectorAll("#overview .card h2")].map((one) => one.textContent)')
        assert cards == ['yield: what came in, kept or why not', 'source', 'kind', 'generator', 'split', 'score', 'answer, characters',
                         'picture, longer side in px', 'near-duplicates, rows of a cluster']
        assert browser.run('return document.querySelector("#overview .yield .n").textContent') == f'{N * 2 // 3 - 2:,} of {N * 2 // 3 - 2:,}, 100.0 %'
        press(browser, '#overview .card[aria-label=source] .bar:nth-child(2)')
        browser.wait(f'{TOTAL} === "1,002 row(s)"')
        press(browser, '#overview .card[aria-label=kind] .bar')
        browser.wait(CHIPS.format(2))
        press(browser, '#overview .card[aria-label=score] .column:nth-child(7)')
        browser.wait(CHIPS.format(3))
        chosen = browser.run(f'{ADDRESS}.toString()')
        told = browser.run(TOTAL)
        assert 'source=shapes' in chosen
        assert 'score=0.1..0.2' in chosen
        browser.run('location.reload()')
        browser.wait(f'{TOTAL} === "{told}"')
        browser.run('history.back()')
        browser.wait(f'{TOTAL} !== "{told}"')
        press(browser, '#overview .stack .out')
        browser.wait(f'{ADDRESS}.get("view") === "rejected"')
        browser.wait(f'{TOTAL} === "20 row(s)"')
        assert browser.run(f'{ADDRESS}.get("reason")') == 'LOW_MARGIN'
    assert browser.complaints() == []


@pytest.mark.integration
def test_few_nodes_show_many_rows_as_a_list_and_as_pictures(places):
    browser, addresses = places
    for address in addresses:
        for show in ('list', 'grid'):
            browser.open(f'{address}#show={show}')
            browser.wait(f'{LISTED} > 5')
            browser.wait('return document.querySelector("#entry .answers")')
            browser.press('\ue010')  # End
            browser.wait(f'return document.querySelector("#entry h2")?.textContent.includes("#{N - 1}/")')
            browser.wait(f'return document.getElementById("place").textContent.endsWith("to {N:,} of {N:,}")')
            assert browser.run('return document.querySelectorAll("*").length') < MOST_NODES
            kept = browser.run(f'{ADDRESS}.get("n")')
            browser.run('location.reload()')
            browser.wait(f'return document.querySelector("#entry h2")?.textContent.includes("#{N - 1}/")')
            assert (kept, browser.run(f'{ADDRESS}.get("n")')) == (str(N - 1), str(N - 1))
            browser.press('\ue011')  # Home
            browser.wait('return document.querySelector("#entry h2")?.textContent.includes("#0/")')
    shot(browser, 'grid')
    assert browser.complaints() == []


@pytest.mark.integration
def test_a_row_shows_which_words_differ_what_is_related_and_pictures_that_browsers_do_not_know(places):
    browser, addresses = places
    for address in addresses:
        browser.open(f'{address}#show=list&n=0')
        browser.wait('return document.querySelectorAll("#entry .related a").length > 0')
        marks = 'return [...document.querySelectorAll("#entry .{} mark")].map((one) => one.textContent)'
        assert browser.run(marks.format('chosen')) == ['red']
        assert browser.run(marks.format('rejected')) == ['blue', 'still']
        press(browser, '#entry .picture')
        browser.wait('return document.getElementById("large").open')
        press(browser, '#large .close')
        browser.wait('return !document.getElementById("large").open')
        press(browser, '#entry .related a')
        browser.wait('return document.querySelector("#entry h2")?.textContent.includes("#1/")')
        browser.press('j')
        browser.wait(f'return document.querySelector("#entry .turn .text")?.textContent === "{ARABIC}"')
        assert browser.run('return getComputedStyle(document.querySelector("#entry .turn .text")).direction') == 'rtl'
        browser.press('j')
        browser.wait('return document.querySelector("#entry .picture img")?.naturalWidth === 40')
    assert browser.complaints() == []


@pytest.mark.integration
def test_on_a_telephone_rows_and_row_take_turns_and_nothing_is_wider_than_the_screen(snapshot, tmp_path):
    export_gallery(snapshot, tmp_path / 'page', limit=50)
    with Browser(tmp_path / 'profile') as browser:
        browser.narrow(390, 780)
        browser.open((tmp_path / 'page/index.html').as_uri())
        browser.wait('return document.querySelectorAll(".card").length > 5')
        wide = 'return document.documentElement.scrollWidth'
        assert browser.run(wide) <= 390
        shot(browser, 'narrow')
        press(browser, '#shows [data-show=list]')
        browser.wait(f'{LISTED} > 5')
        press(browser, '#rows .item')
        browser.wait('return document.querySelector("#entry .answers")?.offsetWidth > 0')
        assert browser.run('return document.getElementById("list").offsetWidth') == 0
        assert browser.run(wide) <= 390
        press(browser, '#entry .narrow')
        browser.wait('return document.getElementById("list").offsetWidth > 0')
        press(browser, '#more')
        browser.wait('return document.getElementById("text").offsetWidth > 0')
        assert browser.run(wide) <= 390
        assert browser.complaints() == []


@pytest.mark.integration
def test_what_can_be_pressed_has_a_name_and_a_role(places):
    browser, (address, _) = places
    nameless = """return [...document.querySelectorAll('button, a, input, select, [role=listbox], [role=option], img')].filter((one) => one.offsetWidth > 0
        && !(one.getAttribute('aria-label') || one.textContent.trim() || one.alt || one.closest('label')?.textContent.trim())).map((one) => one.outerHTML)"""
    for show in ('overview', 'list', 'grid'):
        browser.open(f'{address}#show={show}')
        browser.wait(f'{TOTAL} === "{N:,} row(s)"')
        browser.wait('return document.querySelectorAll("#rows [aria-selected=true], .card").length > 0')
        assert browser.run(nameless) == []
    assert browser.run('return document.getElementById(document.getElementById("rows").getAttribute("aria-activedescendant")).getAttribute("role")') == 'option'
