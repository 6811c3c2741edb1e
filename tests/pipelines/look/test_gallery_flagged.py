"""The filter `flagged` and the histogram of ratings in a real browser, over a build whose labels contradict each other."""

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.look.gallery.index import GalleryIndex
from pipelines.look.gallery.static import export_gallery
from pipelines.look.gallery.work import find_work
from schemas.records import RATINGS
from tests.pipelines.look.browser import Browser
from tests.pipelines.look.served import serving
from tests.pipelines.mix.test_contradictions import BALLS, built

LISTED, ENTRY = 'return document.querySelectorAll("#rows [role=option] .said").length / 2', 'return document.getElementById("entry").innerText'
SCORES = (0.95, 0.9, 0.04, 0.9, 0.6)  # of BALLS: the one that says blue against two that say red is rated low
CHOOSE = 'document.querySelector("#filter-reason input[value=contradicted]").click()'


@pytest.fixture
def mix(tmp_path):
    """A mix of five samples, three of which answer one question in two ways, rated by `me`."""
    rated = [{'sample_id': f'talks/talks.json#{at}/0', 'ask': 'correct', 'score': score, 'by': 'me'} for at, score in enumerate(SCORES)]
    pq.write_table(pa.Table.from_pylist(rated, RATINGS), tmp_path / 'rated.parquet')
    return built(tmp_path, BALLS, 'flag', rate={'from': [str(tmp_path / 'rated.parquet')]}).path


def look(browser, shots: Path | None, name: str) -> None:
    """Choose what contradicts, then the lowest rated of it, as a person would."""
    browser.wait(f'{LISTED} === 5')
    browser.wait('return document.querySelector("#filter-reason summary")?.textContent === "flagged"')
    browser.run(CHOOSE)
    browser.wait(f'{LISTED} === 3')
    browser.wait(f'{ENTRY}.includes("answers that cannot all be right")')
    assert browser.run('return [...document.querySelectorAll("#entry .beside .text")].map((one) => one.textContent)') == ['What colour is the ball?', 'Red.', 'blue']
    browser.wait('return [...document.querySelectorAll("#entry .beside img")].filter((one) => one.naturalWidth > 0).length === 2')
    if shots:
        browser.screenshot(shots / f'{name}-flagged.png')
    browser.run('document.querySelector("#histogram button").click()')
    browser.wait(f'{LISTED} === 1')
    browser.wait(f'{ENTRY}.includes("this sample: talks/talks.json#2/0")')
    assert 'correct by me' in browser.run(ENTRY)
    if shots:
        browser.screenshot(shots / f'{name}-rated.png')
    browser.run('document.querySelector("button[type=reset]").click()')
    browser.wait(f'{LISTED} === 5')
    assert browser.complaints() == []


@pytest.mark.integration
def test_what_contradicts_is_chosen_and_the_lowest_rated_of_it(mix, tmp_path):
    """PHANTOM_SCREENSHOTS=DIR keeps pictures of the page."""
    shots = Path(os.environ['PHANTOM_SCREENSHOTS']) if 'PHANTOM_SCREENSHOTS' in os.environ else None
    index, work = GalleryIndex(mix), find_work(mix, tmp_path / 'work')
    work.flagged.mark(index)
    export_gallery(mix, tmp_path / 'page', limit=100, work=tmp_path / 'work')
    try:
        with serving(index, None, 0, work) as address, Browser(tmp_path / 'profile') as browser:
            browser.open(address + '/#show=list')
            look(browser, shots, 'served')
            browser.open((tmp_path / 'page/index.html').as_uri() + '#show=list')
            look(browser, shots, 'exported')
    finally:
        index.close()
