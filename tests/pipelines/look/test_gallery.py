"""The gallery: what it finds, what it refuses, and that hostile text shows as text in a real browser."""

import hashlib
import io
import json
import os
import socket
import struct
import threading
import urllib.error
import urllib.request
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pipelines.engine.tables import Table
from pipelines.engine.uses import Uses
from pipelines.look.gallery import serve
from pipelines.look.gallery.entry import entry, open_replies, work_picture
from pipelines.look.gallery.index import GalleryIndex
from pipelines.look.gallery.overview import overview
from pipelines.look.gallery.query import MEASURES, Query
from pipelines.look.gallery.serve import Gallery
from pipelines.look.gallery.static import export_gallery
from pipelines.look.gallery.work import find_work
from pipelines.replies.store import ReplyStore
from pipelines.sources.images import ImageStore, as_note
from schemas.errors import PendingWork, UserError
from schemas.replies import Reply
from tests.pipelines.look.browser import Browser
from tests.pipelines.mix.mixes import table_of
from tests.pipelines.snapshot.sealed import picture, rejection, sample, says, seal_rows, triple
from tests.promises import promise

RED, BLUE, GREEN = picture('red', side=120), picture('blue', 'JPEG', side=160), picture('green', side=90)
HOSTILE = '<script>document.title = "broken in"</script><img src=x onerror="document.title=\'broken in\'"> </script>'
KEY = 'ab' * 32


@pytest.fixture
def folder(tmp_path):
    """A mix and triples made from it: 0 to 4 kept (2 hostile), 5 rejected by the margin with a picture that only the mix holds, 6 not picked."""
    mix = [sample(0, images=[RED]), sample(5, images=[GREEN]), sample(6, images=[BLUE])]
    sealed = seal_rows(tmp_path / 'mix', 'mix', mix)
    parent = json.loads((sealed / 'manifest.json').read_text())['snapshot_id']
    kept = [triple(0, images=[RED]), triple(1, source='facts'), triple(2, rejected=[says('assistant', HOSTILE)], prompt=[says('user', HOSTILE)]),
            triple(3, images=[RED, BLUE], reply_keys=[KEY]), triple(4, kind='ambiguous')]
    low = rejection(5, question='What colour?', chosen='green', rejected='pink', score=-0.5, scores='{"margin": -0.5}', kind='incorrect', generator='paper',
                    image_ids=mix[1]['image_ids'], sample_id=mix[1]['sample_id'], reply_key=KEY, reply_keys=[])
    seal_rows(tmp_path / 'triples', 'triples', {'train': [kept[:2], kept[2:]]}, [low, rejection(6, 'OVER_QUOTA', unit='sample')], parent=parent)
    store = ReplyStore(tmp_path / 'work/replies')
    store.put_many([Reply(KEY, 'm', 'r1', HOSTILE, 'stop', 10, 2, raw='{"raw": true}')])
    store.close()
    return tmp_path


@pytest.fixture
def index(folder):
    found = GalleryIndex(folder / 'triples')
    found.measure()
    yield found
    found.close()


def ids(found):
    return [row['id'].split('#')[1].split('/')[0] for row in found['rows']]


def test_filters_search_and_order_find_the_rows_they_say(index):
    def find(view='kept', text='', sort='order', **asked):
        ranges = {name: asked.pop(name) for name in MEASURES if name in asked}
        query = Query(view, {name: (value,) if isinstance(value, str) else value for name, value in asked.items()}, ranges, text, sort)
        found = index.page(query, 0, 50)
        assert found['total'] == len(found['rows'])
        assert [index.place(query, row['n']) for row in found['rows']] == [*range(found['total'])]
        return ids(found)

    assert find() == ['0', '1', '2', '3', '4']
    assert find(source='facts') == ['1']
    assert find(source=('facts', 'shapes')) == ['0', '1', '2', '3', '4']
    assert find(kind='ambiguous') == ['4']
    assert find(kind=('ambiguous', 'incorrect'), source='facts') == ['1']
    assert find(score=(0.1, 0.3)) == ['1', '2']
    assert find(score=(None, 0.2)) == ['0', '1']
    assert find(chars=(8, None)) == []
    assert find(px=(128, None)) == []
    assert find(px=(120, 121)) == ['0', '3']
    assert find(text='NUMBER 3') == ['3']
    assert find(text="'; DROP TABLE entries; --") == []
    assert find(text='%') == []
    assert find(text='<script>') == ['2']
    assert find(sort='highest score') == ['4', '3', '2', '1', '0']
    assert find(view='rejected', reason='LOW_MARGIN') == ['5']
    assert find(view='rejected', unit='sample') == ['6']
    assert find(view='rejected', text='pink') == ['5']
    assert ids(index.page(Query(), 3, 2)) == ['3', '4']
    assert index.place(Query(values={'source': ('facts',)}), 0) is None


def test_the_overview_counts_every_value_and_a_choice_does_not_thin_out_its_own(index):
    told = overview(index, Query())
    assert (told['total'], dict(told['facets']['source'])) == (5, {'shapes': 4, 'facts': 1})
    assert (sum(told['bins']['score']), sum(told['bins']['px'])) == (5, 2)
    told = overview(index, Query(values={'source': ('facts',)}))
    assert (told['total'], dict(told['facets']['source']), dict(told['facets']['kind'])) == (1, {'shapes': 4, 'facts': 1}, {'incorrect': 1})
    assert dict(overview(index, Query('rejected'))['facets']['reason']) == {'LOW_MARGIN': 1, 'OVER_QUOTA': 1}


def test_a_kept_row_shows_its_pictures_answers_and_raw_replies(index, folder):
    shown = entry(index, open_replies(folder / 'triples', None), 'kept', 3)
    assert [image['here'] for image in shown['images']] == [True, True]
    assert [index.picture(image['id']) for image in shown['images']] == [RED, BLUE]
    assert (shown['chosen'], shown['rejected']) == ('right 3', 'wrong 3')
    assert shown['turns'] == [{'role': 'user', 'parts': [None, None, 'Question number 3?']}]
    assert (shown['replies'][0]['text'], shown['replies'][0]['raw']) == (HOSTILE, '{"raw": true}')
    assert entry(index, None, 'kept', 3)['replies'] == [{'key': KEY}]


def test_a_rejected_candidate_shows_why_and_the_picture_that_the_mix_holds(index):
    shown = entry(index, None, 'rejected', 0)
    assert shown['reason'] == {'reason': 'LOW_MARGIN', 'detail': 'why', 'step': 'select', 'unit': 'candidate'}
    assert (shown['chosen'], shown['rejected'], shown['scores']) == ('green', 'pink', {'margin': -0.5})
    assert index.picture(shown['images'][0]['id']) == GREEN


def test_a_sample_that_was_not_picked_is_shown_from_the_mix(index):
    shown = entry(index, None, 'rejected', 1)
    assert (shown['reason']['reason'], shown['chosen']) == ('OVER_QUOTA', 'right 6')
    assert index.picture(shown['images'][0]['id']) == BLUE


def test_a_mix_alone_is_shown_with_its_rejections(tmp_path):
    turns = [{'role': 'user', 'text': '<image>\nWhat?'}, {'role': 'assistant', 'text': ''}]
    out = [rejection(1, 'EMPTY_ANSWER', unit='sample', turns=turns, images=['a/b.png']), {**rejection(2, 'RECORD_MALFORMED', unit='record'), 'content': '[1, 2'}]
    found = GalleryIndex(seal_rows(tmp_path / 'mix', 'mix', [sample(0, images=[RED])], out))
    assert entry(found, None, 'kept', 0)['chosen'] == 'right 0'
    assert entry(found, None, 'rejected', 0)['turns'][0] == {'role': 'user', 'parts': [None, 'What?']}
    assert entry(found, None, 'rejected', 0)['images'] == [{'id': 'a/b.png', 'here': False, 'address': ''}]
    assert entry(found, None, 'rejected', 1)['facts']['content'] == '[1, 2'
    found.close()


@pytest.fixture
def address(index, folder):
    server = Gallery(index, open_replies(folder / 'triples', None), 0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f'http://127.0.0.1:{server.server_port}'
    server.shutdown()
    server.server_close()


def get(address, **headers):
    try:
        with urllib.request.urlopen(urllib.request.Request(address, headers=headers), timeout=60) as reply:
            return reply.status, reply.headers, reply.read()
    except urllib.error.HTTPError as e:
        return e.code, e.headers, e.read()


def test_the_server_answers_its_own_addresses_only(address, index):
    status, headers, body = get(address + '/')
    assert (status, headers['X-Content-Type-Options']) == (200, 'nosniff')
    assert "script-src 'self'" in headers['Content-Security-Policy']
    assert b'gallery.js' in body
    image_id = index.row('kept', 0)['image_ids'][0]
    status, headers, body = get(f'{address}/image/{image_id}')
    assert (status, headers['Content-Type'], body) == (200, 'image/png', RED)
    for path in ('/../manifest.json', '/manifest.json', '/data/train-00000-of-00001.parquet', '/image/../../etc/passwd', '/image/' + '0' * 64,
                 '/image/%2e%2e%2f', '/etc/passwd', '//etc/passwd', '/api/row?view=kept&n=99', '/serve.py', '/gallery.js/../index.py'):
        assert get(address + path)[0] == 404, path
    for path in ('/api/row?view=kept&n=-1', '/api/page?view=odd', '/api/page?sort=n;drop', '/api/page?score=x', '/api/page?score=1..2..3', '/api/overview?px=...', '/api/related?n=x', '/api/page?offset=1e9'):
        assert get(address + path)[0] == 400, path
    with socket.create_connection(('127.0.0.1', int(address.rpartition(':')[2])), timeout=60) as raw:  # no client of Python's would ask that
        raw.sendall(b'GET http://[::1/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
        assert raw.recv(20).startswith(b'HTTP/1.1 400')


@promise('Gallery', 'The gallery answers under its own addresses only.')
def test_a_request_under_another_host_name_is_refused(address):
    assert get(address + '/api/about', Host='evil.example')[0] == 403
    assert get(address + '/api/about', Host='localhost:1234')[0] == 200


HALF_OPEN = 60
ODD_TEXTS = ('half \ud83d', 'nul \0', 'nul \0 and \udc00 half', '\u2028 line', '\x1b[31m', '\ufffe', 'NaN')


@promise('Gallery', 'Half a surrogate pair, a NUL or a control character in a row is shown, and exported, like any other text.', odd_texts=len(ODD_TEXTS))
def test_odd_characters_of_rejected_records_are_shown(tmp_path):
    out = [rejection(i, 'IMAGE_COUNT_MISMATCH', unit='record', question=odd, chosen=odd, image=odd, turns=None, **{f'key {odd}': odd}, scores=float('nan'))
           for i, odd in enumerate(ODD_TEXTS)]
    assert '\\ud83d' in out[0]['content']
    found = GalleryIndex(seal_rows(tmp_path / 'mix', 'mix', [sample(0)], out))
    server = Gallery(found, None, 0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    at = f'http://127.0.0.1:{server.server_port}'
    listed = json.loads(get(f'{at}/api/page?view=rejected')[2])['rows']
    shown = [json.loads(get(f'{at}/api/row?view=rejected&n={row["n"]}')[2]) for row in listed]
    assert [one['chosen'] for one in shown] == [odd.encode('utf-8', 'backslashreplace').decode() for odd in ODD_TEXTS]
    for text in ('%00', '%ed%a0%bd', 'a%00b', '%f0%9f'):
        assert get(f'{at}/api/page?view=rejected&text={text}&source={text}')[0] == 200
    assert get(f'{at}/api/row?n=9999999999')[0] == 404
    server.shutdown()
    server.server_close()
    found.close()
    assert export_gallery(tmp_path / 'mix', tmp_path / 'page', limit=100)['rejected'] == len(ODD_TEXTS)


@promise('Gallery', 'A request that cannot be answered is told as an error of one line, on the page and in the terminal.')
def test_what_goes_wrong_behind_the_page_is_told(address, monkeypatch, capsys):
    def broken(*_: object) -> None:
        raise OSError(5, 'Input/output error', 'train-00000.parquet')

    monkeypatch.setattr(GalleryIndex, 'page', broken)
    status, _, body = get(f'{address}/api/page?view=kept')
    assert (status, body.count(b'Input/output error')) == (500, 1)
    told = capsys.readouterr().err
    assert told.count('\n') == 1
    assert 'Traceback' not in told


@promise('Gallery', 'Connections that are half open, or closed in the middle, keep nobody else from the page.', half_open=HALF_OPEN, resets=HALF_OPEN)
def test_half_open_and_closed_connections_are_no_news_and_block_nobody(address, monkeypatch, capfd):
    monkeypatch.setattr(serve, 'MOST_CONNECTIONS', HALF_OPEN // 3)
    port = int(address.rpartition(':')[2])
    half = []
    for _ in range(HALF_OPEN):
        half.append(socket.create_connection(('127.0.0.1', port)))
        half[-1].sendall(b'GET / HTTP/1.1\r\nHost: 127')
    assert get(f'{address}/api/about')[0] == 200
    half[0].settimeout(10)
    assert half[0].recv(1) == b'', 'the one that has waited longest has made room'
    for i in range(HALF_OPEN):
        with socket.create_connection(('127.0.0.1', port)) as reset:
            reset.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
            reset.sendall(b'GET /api/page?view=kept HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n' if i % 2 else b'GET /api')
    assert get(f'{address}/api/about')[0] == 200
    for one in half:
        one.close()
    assert capfd.readouterr().err == ''


@promise('Gallery', 'What is no picture is not served as one.')
def test_a_picture_that_is_no_picture_is_not_served_as_one(tmp_path):
    svg = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
    found = GalleryIndex(seal_rows(tmp_path / 't', 'triples', [triple(0, images=[svg])]))
    server = Gallery(found, None, 0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    status, headers, _ = get(f'http://127.0.0.1:{server.server_port}/image/{found.row("kept", 0)["image_ids"][0]}')
    assert (status, headers['Content-Type']) == (200, 'application/octet-stream')
    server.shutdown()
    server.server_close()
    found.close()


def test_the_exported_folder_holds_rows_pictures_and_no_open_tag_in_a_script(folder, tmp_path):
    counts = export_gallery(folder / 'triples', tmp_path / 'page', limit=100)
    assert counts == {'kept': 5, 'rejected': 2, 'pictures': 3}
    for script in (tmp_path / 'page').glob('*.js'):
        assert script.name in serve.FILES or '<' not in script.read_text()
    assert sorted(path.read_bytes() for path in (tmp_path / 'page/images').iterdir()) == sorted([RED, BLUE, GREEN])
    with pytest.raises(UserError, match='holds something'):
        export_gallery(folder / 'triples', tmp_path / 'page', limit=100)


def test_an_export_beyond_the_limit_takes_the_same_sample_twice(folder, tmp_path):
    assert export_gallery(folder / 'triples', tmp_path / 'a', limit=2)['kept'] == 2
    export_gallery(folder / 'triples', tmp_path / 'b', limit=2)
    assert (tmp_path / 'a/rows-kept-00000.js').read_bytes() == (tmp_path / 'b/rows-kept-00000.js').read_bytes()


@promise('Gallery', 'An image id that is a path never becomes one.')
def test_an_image_id_that_is_a_path_never_becomes_one(tmp_path):
    row = triple(0, images=[RED])
    folder = seal_rows(tmp_path / 't', 'triples', [{**row, 'image_ids': ['../../../escaped']}])
    with pytest.raises(UserError, match=r"expected image ids of 64 hex digits, found '\.\./\.\./\.\./escaped'"):
        export_gallery(folder, tmp_path / 'page', limit=10)
    assert sorted(path.name for path in tmp_path.iterdir()) == ['t']


def bomb():
    """Return a PNG of 64 megapixels in some kB: more than a page is given, fewer than Pillow refuses."""
    out = io.BytesIO()
    Image.new('1', (8_000, 8_000)).save(out, 'PNG')
    return out.getvalue()


BOMB = bomb()


@pytest.fixture
def built(tmp_path):
    """A mix and the working folder of its build: what was left out lies in the source, or packed, or in a benchmark."""
    out, photos = tmp_path / 'out', tmp_path / 'photos'
    photos.mkdir()
    for name, data in {'small.png': BLUE, 'cut.png': GREEN[:60], 'bomb.png': BOMB, 'page.svg': b'<svg onload="alert(1)"/>'}.items():
        (photos / name).write_bytes(data)
    (tmp_path / 'secret.png').write_bytes(RED)
    (photos / 'link.png').symlink_to(tmp_path / 'secret.png')
    survivor = hashlib.sha256(GREEN).hexdigest()
    (photos / 'survivor.png').write_bytes(GREEN)
    names = ['small.png', 'cut.png', 'bomb.png', 'page.svg', '../secret.png', 'link.png', '/etc/passwd', 'gone.png']
    left_out = [rejection(i, 'IMAGE_TOO_SMALL', unit='image', source='web') | {'id': f'web/{name}'} for i, name in enumerate(names)]
    turns = [{'role': 'user', 'text': '<image>\nWhat?'}, {'role': 'assistant', 'text': 'blue'}]
    samples = {
        'EMPTY_ANSWER': {'images': ['small.png'], 'detail': 'an answer of 0 characters'},
        'DUPLICATE_SAMPLE': {'images': ['web/small.png'], 'detail': 'same question, answer and pictures as shapes/file.json#0/0'},
        'NEAR_DUPLICATE_CAP': {'images': ['web/small.png'], 'detail': f'star of {survivor} has 1 already; lot 5'},
        'CONTAMINATED': {'images': ['web/small.png'], 'detail': json.dumps({'bench': 'b', 'item_id': 'i1', 'evidence': 'image+question'})},
    }
    left_out += [rejection(i, reason, unit='sample', source='web', turns=turns, images=told['images']) | {'detail': told['detail']}
                 for i, (reason, told) in enumerate(samples.items())]
    seal_rows(out / 'mix', 'mix', [sample(0, images=[RED])], left_out)
    index = table_of(out / 'work/index/i', pa.table({'image_id': [survivor], 'ref': ['web/survivor.png']}))
    bench = Table(out / 'work/bench/b')
    bench.path.mkdir(parents=True)
    items = [{'bench': 'b', 'item_id': f'i{i}', 'question': f'item {i}?', 'options': ['A', 'B'], 'answer': 'A', 'meta': '',
              'images': [{'bytes': data, 'path': ''}]} for i, data in enumerate([RED, BLUE, BOMB])]
    pq.write_table(pa.Table.from_pylist(items), bench.path / 'items-00000.parquet')
    uses = Uses(out / 'work', out, 'mix')
    uses.note([index, bench])
    uses.seal(store=as_note(ImageStore({'web': (str(photos),)}, str(out / 'work/images'), 10_000_000)))
    return out


def test_the_working_folder_shows_what_was_left_out_and_what_it_was_compared_with(built):
    index, work = GalleryIndex(built / 'mix'), find_work(built / 'mix', None)
    shown = [entry(index, None, 'rejected', n, work) for n in range(12)]
    there = {told['id']: told['images'][0]['here'] for told in shown[:8]}
    assert {name for name, here in there.items() if here} == {'web/small.png', 'web/cut.png'}
    assert work_picture(index, work, 'rejected', 0, 0) == BLUE
    assert all(work_picture(index, work, 'rejected', n, 0) is None for n in range(2, 8))
    by_reason = {told['reason']['reason']: told for told in shown[8:]}
    assert all(told['images'][0]['here'] for told in by_reason.values())
    repeated, capped, benched = (by_reason[name]['beside'][0] for name in ('DUPLICATE_SAMPLE', 'NEAR_DUPLICATE_CAP', 'CONTAMINATED'))
    assert index.picture(repeated['images'][0]['id']) == RED
    assert (benched['texts'], benched['images'][0]['here']) == (['item 1?', 'A\nB', 'A'], True)
    n = {told['reason']['reason']: told['n'] for told in shown[8:]}
    assert capped['images'][0]['address'] == f'work/rejected/{n["NEAR_DUPLICATE_CAP"]}/1'
    assert work_picture(index, work, 'rejected', n['NEAR_DUPLICATE_CAP'], 1) == GREEN
    assert work_picture(index, work, 'rejected', n['CONTAMINATED'], 1) == BLUE
    assert work_picture(index, work, 'rejected', n['CONTAMINATED'], 2) is None
    assert not entry(index, None, 'rejected', 0)['images'][0]['here']
    assert index.page(Query('rejected', {'unit': ('sample',)}), 0, 9)['rows'][0]['question'] == 'What?'
    index.close()


def test_the_server_gives_pictures_of_the_working_folder_by_number_only(built):
    index = GalleryIndex(built / 'mix')
    server = Gallery(index, None, 0, find_work(built / 'mix', None))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    at = f'http://127.0.0.1:{server.server_port}/work/'
    status, headers, body = get(at + 'rejected/0/0')
    assert (status, headers['Content-Type'], body) == (200, 'image/jpeg', BLUE)
    for path in ('rejected/0/1', 'rejected/4/0', 'rejected/99/0', 'kept/9/0', 'rejected/0/-1', 'rejected/0/../0', '../photos/small.png', 'secret.png'):
        assert get(at + path)[0] == 404, path
    server.shutdown()
    server.server_close()
    index.close()


def test_an_export_holds_rejected_pictures_only_when_it_is_told_where_they_are(built, tmp_path):
    assert export_gallery(built / 'mix', tmp_path / 'a', limit=100)['pictures'] == 1
    assert export_gallery(built / 'mix', tmp_path / 'b', limit=100, work=built / 'work')['pictures'] > 3
    written = {path.read_bytes() for path in (tmp_path / 'b/images').iterdir()}
    assert written == {RED, BLUE, GREEN, GREEN[:60]}
    with pytest.raises(UserError, match='expected the tables of a finished mix'):
        export_gallery(built / 'mix', tmp_path / 'c', limit=100, work=built / 'mix')


TITLE, ENTRY, LISTED = 'return document.title', 'return document.getElementById("entry").innerText', 'return document.querySelectorAll("#rows [role=option] .said").length / 2'


def tick(browser, box: str) -> None:
    """Press something as soon as it is there."""
    browser.wait(f"const box = document.querySelector('{box}'); box?.click(); return Boolean(box)")


def walk(browser, shots: Path | None, name: str):
    """Use the page like a person and check what it shows."""
    assert browser.wait(LISTED) == 5
    browser.wait('return document.querySelector("#entry .answers")')
    browser.press('j')
    browser.press('j')
    browser.wait(f'{ENTRY}.includes("<script>")')
    assert browser.run('return document.querySelectorAll("#entry script, #entry .answer img, #entry .turn img").length') == 0
    assert '</script>' in browser.run(ENTRY)
    browser.press('j')
    browser.wait('return [...document.querySelectorAll("#entry img")].filter((i) => i.complete && i.naturalWidth > 0).length === 2')
    assert 'right 3' in browser.run(ENTRY)
    if shots:
        browser.screenshot(shots / f'{name}-kept.png')
    browser.press('v')
    browser.wait(f'{ENTRY}.includes("LOW_MARGIN")')
    browser.wait('return document.querySelector("#entry img")?.naturalWidth === 90')
    browser.run('document.querySelector("#entry details").open = true')
    assert HOSTILE.strip() in browser.run('return document.querySelector("#entry .reply .text").textContent')
    if shots:
        browser.screenshot(shots / f'{name}-rejected.png')
    browser.press('v')
    browser.wait(f'{LISTED} === 5')
    for value, n in (('facts', 1), ('shapes', 5)):
        tick(browser, f'#filter-source input[value={value}]')
        browser.wait(f'{LISTED} === {n}')
    browser.press('/')
    for letter in 'er 4':
        browser.press(letter)
    browser.wait(f'{LISTED} === 1')
    browser.wait('return document.getElementById("place").textContent === "1 to 1 of 1"')
    browser.run('document.querySelector("button[type=reset]").click()')
    browser.wait(f'{LISTED} === 5')
    assert 'broken in' not in browser.run(TITLE)
    assert browser.complaints() == []


@pytest.mark.integration
def test_the_page_works_in_a_browser_and_shows_hostile_text_as_text(address, folder, tmp_path):
    """PHANTOM_SCREENSHOTS=DIR keeps pictures of the page."""
    shots = Path(os.environ['PHANTOM_SCREENSHOTS']) if 'PHANTOM_SCREENSHOTS' in os.environ else None
    export_gallery(folder / 'triples', tmp_path / 'page', limit=100)
    with Browser(tmp_path / 'profile') as browser:
        browser.open(address + '/#show=list')
        walk(browser, shots, 'served')
        browser.open((tmp_path / 'page/index.html').as_uri() + '#show=list')
        walk(browser, shots, 'exported')


@pytest.mark.integration
@promise('Gallery', 'When the server has gone the page says so and shows no rows of another view.')
def test_a_page_whose_server_has_gone_says_so(index, folder, tmp_path):
    server = Gallery(index, None, 0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with Browser(tmp_path / 'profile') as browser:
        browser.open(f'http://127.0.0.1:{server.server_port}/#show=list')
        browser.wait(f'{LISTED} === 5')
        server.shutdown()
        server.server_close()
        said = 'return Boolean(document.querySelector("#entry .fault")?.textContent.includes("still running"))'
        while not browser.run(said):
            for waiting in list(server.waiting):  # what a browser keeps open, when it has what it asked for
                server.shutdown_request(waiting)
            browser.press('v')
        browser.wait(f'{LISTED} === 0')


@promise('Gallery', 'A disk that fails while a gallery reads a shard is told as that, not as a fault of the snapshot.')
def test_a_disk_that_fails_while_a_shard_is_read_is_no_verdict_on_it(index):
    snapshot, listed = index.files[0]
    with pytest.raises(PendingWork, match='EIO'), index._proven(snapshot, listed):
        raise duckdb.IOException('IO Error: Could not read from file "x": Input/output error')
    with pytest.raises(UserError, match='run `phantom verify`') as told, index._proven(snapshot, listed):
        raise duckdb.InvalidInputException('Invalid Input Error: No magic bytes found')
    assert not isinstance(told.value, PendingWork)
