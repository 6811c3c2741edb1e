"""The prompt that was sent, beside the reply: made again from manifest and row, and shown only where its key is the reply's."""

import json
from contextlib import closing

import pytest

from pipelines.look.gallery.entry import open_replies
from pipelines.look.gallery.index import GalleryIndex
from pipelines.look.gallery.prompts import prompts_of
from tests.pipelines.look.browser import Browser
from tests.pipelines.look.served import serving
from tests.pipelines.look.test_gallery_views import press, shot
from tests.pipelines.snapshot.sealed import seal_rows, triple
from tests.programmes.project import knowing_server, rows_of, write_project

ASKED = (
    'sources.charts=null', 'sources.photos=null', 'contamination.benchmarks=[]', 'models.fake.images=true', 'calibration={min_cases: 8, min_auc: 0.0}',
    'sources.facts.accept_uncalibrated=true', 'sources.shapes.accept_uncalibrated=true',
    'generate=[{prompt: rules}, {prompt: grounded, model: fake, per_sample: 2, temperature: 0.5}, '
    '{prompt: {file: p/own.md, text: "Lie about {question} not {answer}."}, model: fake}]',
    'judge={model: fake, mode: yes_no, margin: 0.0, max_failed: 0.5, second: {model: fake, mode: pairwise, margin: 0.1}}', 'triples.max_samples={shapes: 6, facts: 6}',
)  # fmt: skip


@pytest.fixture(scope='module')
def out(tmp_path_factory):
    folder = tmp_path_factory.mktemp('asked')
    with knowing_server() as server:
        write_project(folder).build(folder / 'out', url=server.url, sets=ASKED, workers=0)
    return folder / 'out'


@pytest.mark.integration
def test_every_reply_of_every_row_has_the_prompt_that_was_sent_kept_or_rejected(out):
    n, whos = 0, set()
    with closing(GalleryIndex(out / 'triples')) as index:
        store = open_replies(out / 'triples', None)
        for number, row in enumerate(rows_of(out / 'triples')):
            found = prompts_of(index, 'kept', number)
            assert set(found) == set(row['reply_keys']) == set(store.get_many(row['reply_keys']))
            whos |= {one['who'] for one in found.values()}
            n += len(found)
        for number, row in enumerate(rows_of(out / 'triples', 'rejections')):
            told = json.loads(row['content'] or '{}') if row['unit'] == 'candidate' else {}
            keys = {key for key in [told.get('reply_key'), *(told.get('reply_keys') or [])] if key}
            assert set(prompts_of(index, 'rejected', number)) == keys
            n += len(keys)
        store.close()
    assert n > 20
    assert {'judge', 'second judge'} < whos
    assert any(who.startswith('generator') for who in whos)


@pytest.mark.integration
def test_without_the_mix_beside_it_or_with_another_recipe_nothing_wrong_is_shown(out, tmp_path):
    with closing(GalleryIndex(out / 'triples')) as index:
        numbers = [n for n, row in enumerate(rows_of(out / 'triples')) if row['reply_keys']]
        index.snapshot.manifest['recipe']['models']['fake']['model'] = 'another'
        assert prompts_of(index, 'kept', numbers[0]) == {}
        index.snapshot.manifest['recipe'] = {'name': 1}
        assert prompts_of(index, 'kept', numbers[0]) == {}
        assert prompts_of(index, 'kept', 10_000) is None
    with closing(GalleryIndex(seal_rows(tmp_path / 's', 'triples', [triple(0, reply_keys=['ab' * 32])]))) as index:
        assert prompts_of(index, 'kept', 0) == {}


@pytest.mark.integration
def test_a_row_shows_what_was_sent_and_says_where_the_reply_is_gone(out, tmp_path):
    n = next(n for n, row in enumerate(rows_of(out / 'triples')) if row['reply_keys'] and row['image_ids'])
    with closing(GalleryIndex(out / 'triples')) as index, Browser(tmp_path / 'profile') as browser:
        for store in (open_replies(out / 'triples', None), None):
            with serving(index, store, 0) as address:
                browser.open(f'{address}/#show=list&n={n}')
                press(browser, '#entry .replies > summary')
                press(browser, '#entry .prompt > summary')
                browser.wait('return document.querySelector("#entry .prompt .turn .text").offsetWidth > 0')
                assert '[picture ' in browser.run('return document.querySelector("#entry .replies").textContent')
                said = browser.run('return document.querySelector("#entry .reply").textContent')
                assert ('What was replied is not here' in said) == (store is None)
                shot(browser, 'prompt' if store else 'prompt_without_store')
                browser.open('about:blank')
            if store:
                store.close()
        assert browser.complaints() == []
