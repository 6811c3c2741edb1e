"""The query line: what it finds, alone and beside other filters, and that hostile or mistaken conditions get a sentence and nothing else."""

import json
import time
import urllib.error
import urllib.parse
import urllib.request

import duckdb
import pytest

from pipelines.look.gallery import serve
from pipelines.look.gallery.condition import DEEPEST, FUNCTIONS, MOST_CHARS, BadCondition, condition
from pipelines.look.gallery.index import GalleryIndex
from pipelines.look.gallery.static import export_gallery
from tests.pipelines.look.browser import Browser
from tests.pipelines.look.served import serving
from tests.pipelines.look.test_gallery_views import ADDRESS, CHIPS, TOTAL, press, shot
from tests.pipelines.snapshot.sealed import rejection, says, seal_rows, triple

N = 40


@pytest.fixture
def snapshot(tmp_path):
    """Triples 0 to 39, every third from "shapes", the score rises with the number; one says it's; one was rejected."""
    rows = [triple(n, source='facts' if n % 3 else 'shapes', score=n / 100, kind='incorrect' if n % 2 else 'ambiguous') for n in range(N - 1)]
    rows.append(triple(N - 1, chosen=[says('assistant', "it's 100% right")]))
    return seal_rows(tmp_path / 'triples', 'triples', rows, [rejection(N, source='shapes', question='Number?', chosen='a', rejected='b', score=-0.5)])


@pytest.fixture
def index(snapshot):
    found = GalleryIndex(snapshot)
    yield found
    found.close()


@pytest.fixture
def ask(index):
    """What the server answers: (status, what it says)."""
    with serving(index) as address:
        def get(where: str, what: str = 'page', **asked) -> tuple[int, object]:
            try:
                with urllib.request.urlopen(f'{address}/api/{what}?{urllib.parse.urlencode({"where": where, **asked})}', timeout=60) as reply:
                    return reply.status, json.load(reply)
            except urllib.error.HTTPError as e:
                return e.code, e.read().decode()
        yield get


@pytest.mark.parametrize(('where', 'n'), [
    ("source = 'shapes' and score < 0.2", 7), ("kind in ('ambiguous') or id like '%#1/%'", 21), ("not (source = 'facts')", 14), ('score between 0.1 and 0.19', 10),
    ('reason is null', 40), ('reason IS NOT NULL', 0), ("chosen = 'it''s 100% right'", 1), ("text like '%100\\%%' escape '\\'", 1), ("contains(text, 'it''s')", 1),
    ("regexp_matches(question, 'number [0-4]\\?')", 5), ('length(chosen) > 8', 1), ('score * 100 >= 37 and n < 39', 2), ('-score > -0.02', 2),
    ("case when source = 'facts' then score else 1 end < 0.05", 3), ('"SOURCE" = $$facts$$', 26), ('coalesce(px, 0) = 0', 40), ('score < 0.05 -- below', 5), ('score < 0.05;', 5),
    ('source not in (\'facts\')', 14), ('score is not distinct from 0.3', 1), ('score < 1e30', 40), ("question ilike 'QUESTION%'", 40), ("source || '!' = 'facts!'", 26),
])  # fmt: skip
def test_a_condition_finds_the_rows_it_says(ask, where, n):
    status, told = ask(where)
    assert (status, told['total'] if status == 200 else told) == (200, n)


def test_a_condition_stands_beside_the_other_filters_in_rows_counts_and_places(ask):
    status, told = ask('score < 0.2', source='shapes', text='right', sort='highest score')
    assert (status, told['total'], told['rows'][0]['score']) == (200, 7, 0.18)
    told = ask('score < 0.2', 'overview', kind='ambiguous')[1]
    assert (told['total'], dict(told['facets']['source']), dict(told['facets']['kind'])) == (10, {'facts': 6, 'shapes': 4}, {'ambiguous': 10, 'incorrect': 10})
    assert ask('score > 0.2', 'place', n=25) == (200, {'place': 4})
    assert ask('score < 0', view='rejected')[1]['total'] == 1


HOSTILE = [
    "read_csv('/etc/passwd')", "(select count(*) from read_csv('/etc/passwd')) > 0", "exists (from '/etc/passwd')", 'score in (select score from entries)',
    "source = any (select content from read_text('/etc/passwd'))", '1; drop table entries', '1=1; select 2', '1) union select (1', 'true union all select n from entries',
    "true) to '/tmp/out' (format csv", 'true group by source', 'true having true', 'true order by n', 'true limit 1', 'true qualify row_number() over () = 1', 'true using sample 10%',
    "getenv('HOME') = ''", "content_of('/etc/passwd')", 'current_user = source', "current_setting('threads') = 1", 'now() > now()', 'random() < 0.5', 'pragma threads=9',
    'copy entries to x', 'count(*) > 1', 'sum(score) over () > 1', 'unnest([1, 2]) = 1', 'len(range(1000000000000)) > 1', "repeat('a', 1000000000) = ''",
    "list_transform([1], x -> x) = [1]", 'columns(*) > 1', '*', 'entries.file = 1', 'file = 0', 'main.typed.n = 1', '? = 1', '$1 = 1', "source::regclass = 1",
    "'x'::json = '1'", "score = 'abc'", 'source', "source + 1 = 2", 'score <', 'score << 1 = 2', "source = 'open", 'sorce = 1', 'scores < 1', 'source = "facts"', '/* open', '\x00', 'é¡', '--', "contains(source)",
    "regexp_matches(text, question)", "regexp_matches(text, '((a{0,30}){0,30}){0,1}b')", "text similar to '(a{2,30}){2,30}'", "text ~ 'a{9}'",
    "regexp_matches(text, '" + 'a?' * 60 + "')", 'concat(' + 'text, ' * 25 + "'') = ''", "position('a' in id) > 0", "contains(text, b := 'a')", "text.contains('a')", 'contains(distinct text)', "regexp_matches(text, '(((')", "regexp_matches(text, 'a{1000}{1000}')", "E'\\xff' = source", "x'ff' = source",
    'a' * (MOST_CHARS + 1), 'not ' * (DEEPEST + 2) + 'true', '(' * 900 + '1' + ')' * 900, 'not ' * 490 + 'true', '-' * 1990 + '1',
]  # fmt: skip


@pytest.mark.parametrize('where', HOSTILE)
def test_anything_else_is_refused_in_a_sentence(ask, where):
    for what in ('page', 'overview', 'place'):
        status, told = ask(where, what)
        if status == 200:  # nothing but comparisons of what is there
            assert where in ('(' * 900 + '1' + ')' * 900,)
            continue
        assert (status, told.startswith('where: expected '), 'Traceback' in told, 'SELECT' in told) == (400, True, False, False), told
    assert ask('score < 0.05')[1]['total'] == 5


def test_each_function_is_one_that_duckdb_has():
    with duckdb.connect() as db:
        there = {name for (name,) in db.execute('SELECT DISTINCT function_name FROM duckdb_functions()').fetchall()}
    assert set(FUNCTIONS) - there <= {'nullif'}, 'a macro of its own'


def test_nothing_of_the_text_becomes_sql():
    assert condition("source = 'a' or SCORE<2.5 /* ; */") == ('((source = ?) OR (score < ?))', ('a', 2.5))
    with pytest.raises(BadCondition, match='did you mean source'):
        condition('sorce = 1')


def test_the_index_that_a_condition_is_asked_of_reaches_no_file_and_stays_as_it_is(index):
    index.seal()
    for sql in ("FROM read_csv('/etc/passwd')", "COPY entries TO '/tmp/x'", 'DELETE FROM entries', "SET memory_limit = '9GB'", "ATTACH '/tmp/x' AS x"):
        with pytest.raises(duckdb.Error):
            index.rows(sql, [])
    assert index.rows("SELECT current_setting('enable_external_access'), current_setting('lock_configuration'), current_setting('threads')", []) == [(False, True, 4)]


def test_what_takes_too_long_is_interrupted_and_told(ask, monkeypatch):
    monkeypatch.setattr(serve, 'CONDITION_S', 0.3)
    monkeypatch.setattr(GalleryIndex, 'page', lambda index, query, offset, limit: index.rows('SELECT count(*) FROM range(10000000) a, range(10000000) b WHERE a.range % 7 = b.range % 5', []))
    begun = time.monotonic()
    assert ask('true') == (400, 'where: expected an answer within 0.3 s, found none; choose a source first or ask for less')
    assert time.monotonic() - begun < 30


@pytest.mark.integration
def test_the_line_completes_chooses_tells_mistakes_and_stays_in_the_address(index, snapshot, tmp_path):
    export_gallery(snapshot, tmp_path / 'page', limit=N)
    enter = 'const at = document.getElementById("where"); at.focus(); at.value = {}; at.dispatchEvent(new Event("{}"))'
    with serving(index) as address, Browser(tmp_path / 'profile') as browser:
        browser.open(address)
        browser.wait(f'{TOTAL} === "{N} row(s)"')
        browser.press('w')
        browser.wait('return document.activeElement.id === "where"')
        offered = 'return [...document.querySelectorAll("#completions option")].map((one) => one.value)'
        browser.run(enter.format('"score < 1 and so"', 'input'))
        assert 'score < 1 and source' in browser.run(offered)
        browser.run(enter.format('"source = \'f"', 'input'))
        assert browser.run(offered) == ["source = 'facts'", "source = 'shapes'"]
        browser.run(enter.format('"source = \'shapes\' and score < 0.2"', 'change'))
        browser.wait(f'{TOTAL} === "7 row(s)"')
        assert browser.run(f'{ADDRESS}.get("where")') == "source = 'shapes' and score < 0.2"
        shot(browser, 'where')
        press(browser, '#shows [data-show=list]')
        browser.wait('return document.querySelectorAll("#rows .item .said").length > 5')
        browser.run('location.reload()')
        browser.wait(f'{TOTAL} === "7 row(s)"')
        assert browser.complaints() == []
        browser.run(enter.format('"sorce = <b>1</b>"', 'change'))
        browser.wait('return !document.getElementById("mistake").hidden')
        browser.run(enter.format('"sorce = 1"', 'change'))
        browser.wait('return document.getElementById("mistake").textContent.includes("did you mean source?")')
        assert browser.run('return document.getElementById("where").getAttribute("aria-invalid")') == 'true'
        shot(browser, 'mistake')
        press(browser, '#chosen .chip')
        browser.wait(f'{TOTAL} === "{N} row(s)"')
        browser.wait(CHIPS.format(0))
        assert browser.run('return document.getElementById("mistake").hidden')
        browser.open((tmp_path / 'page/index.html').as_uri() + '#where=sorce')
        browser.wait(f'{TOTAL} === "{N} row(s)"')
        assert browser.run('return document.getElementById("condition").offsetWidth') == 0
