"""A step that takes long is told while it is made: to people, to programmes, and to who looks into the working folder."""

import io
import json
import logging
import os
import time
from dataclasses import dataclass

import pyarrow as pa
import pytest
from rich.console import Console

from pipelines.engine import progress
from pipelines.engine.engine import Engine
from pipelines.engine.going import Going, Looking
from pipelines.engine.progress import Watching
from pipelines.engine.step import Place, Step
from pipelines.engine.under_way import FOLDER, UnderWay, telling_calls
from pipelines.replies.ledger import Spend
from schemas import telling
from schemas.publish import publish_checked, read_checked
from schemas.telling import hushed

PATIENCE_S = 60.0


def until(what, why):
    """Wait for what must come, however slow the machine is."""
    deadline = time.monotonic() + PATIENCE_S
    while not what():
        assert time.monotonic() < deadline, why
        time.sleep(0.01)


@dataclass(frozen=True)
class Slow(Step):
    """Writes two rows a shard; the last shard is not done before somebody has told of the others."""

    TABLE = 'slow'
    VERSION = 1

    n: int
    go: Place[object]  # a function

    def shards(self):
        return list(range(self.n))

    def holds_model(self):
        return True  # made in this process, which tells `go`

    def most_calls(self, shards):
        return 5 * len(shards)

    def process(self, shard, writer):
        writer.write('part', pa.table({'x': [shard, shard]}))
        if shard == self.n - 1:
            self.go()


@pytest.fixture
def often(monkeypatch):
    """What comes each minute comes at once."""
    for name in ('LOOK_S', 'NOTE_S', 'TELL_S'):
        monkeypatch.setattr(progress, name, 0.001)
    monkeypatch.setattr(progress, 'LOOKS', 0)


class Said:
    """Lines that were told, by event."""

    def __init__(self, monkeypatch):
        self.lines = []
        monkeypatch.setattr(progress, 'tell_news', self.tell)

    def tell(self, text, event='news', **facts):
        self.lines.append((event, text, facts))

    def of(self, event):
        return [(text, facts) for what, text, facts in self.lines if what == event]


def made(work, step, **watching):
    """Make a step in this process, with who watches it."""
    Engine(work, workers=1, watching=Watching(work, **watching)).run(step)


def test_a_line_says_what_is_made_how_fast_and_what_is_left():
    going = Going('candidates', 3, 12, 6144, 600.0, 10.24, 1800.0, 812, 9000, 1.353, 64, 2, 120_000, 0.42)
    assert going.line() == ('candidates: 3 of 12 shard(s), 6,144 row(s), 10/s rows, about 30 min left, 812 of at most 9,000 call(s) answered (1.4/s), '
                            '64 under way, 2 without a reply, 120,000 tokens and 0.42 of money by now; 10 min so far')
    assert Going('stars', 0, 1, 0, 95.0).line() == 'stars: 0 of 1 shard(s), 0 row(s); 2 min so far', 'what is not known is not said'


def test_lines_come_while_a_step_lasts_without_a_terminal(tmp_path, often, monkeypatch):
    said = Said(monkeypatch)
    made(tmp_path / 'work', Slow(3, lambda: until(lambda: any(facts['shards'] == 2 for _, facts in said.of('progress')), 'no line was told')))
    assert [text for text, _ in said.of('begun')] == ['slow: 3 shard(s) ...']
    text, facts = next(one for one in said.of('progress') if one[1]['shards'] == 2)
    assert text.startswith('slow: 2 of 3 shard(s), 4 row(s), ')
    assert (facts['step'], facts['of_shards'], facts['rows'], facts['of_calls']) == ('slow', 3, 4, 15)
    assert 'left' in text
    assert said.of('done')[0][1]['rows'] == 6


def test_a_note_says_how_a_step_goes_and_then_how_long_it_took(tmp_path, often):
    work, note = tmp_path / 'work', tmp_path / 'work/progress/b-0.json'
    with hushed():  # who looks from outside is told all the same
        made(work, Slow(2, lambda: until(lambda: ((read_checked(note) or {}).get('now') or {}).get('shards') == 1, 'no note was written')), path=note)
    said = read_checked(note)
    assert said['now'] is None
    assert (said['took']['slow']['rows'], said['took']['slow']['calls']) == (4, 0)
    made(work, Slow(4, lambda: None), path=note)
    assert read_checked(note)['took']['slow']['rows'] == 8
    assert Watching(work, note)._note['took'].keys() == {'slow'}, 'of earlier runs too'


def test_a_damaged_note_is_written_anew(tmp_path):
    note = tmp_path / 'work/progress/b-0.json'
    note.parent.mkdir(parents=True)
    note.write_text('{"now": 3')
    made(tmp_path / 'work', Slow(1, lambda: None), path=note)
    assert read_checked(note)['took'].keys() == {'slow'}


def test_calls_and_money_are_those_since_the_step_began(tmp_path):
    spends = [Spend(10, 1000, 100, 0.5, tries=1), Spend(16, 3000, 300, 1.5, tries=3)]
    clock = iter([0.0, 8.0])
    going = Looking([], iter(spends).__next__, UnderWay(tmp_path), clock.__next__).look()
    assert (going.calls, going.without_reply, going.calls_per_s, going.tokens, going.money) == (4, 2, 0.5, 3300, 1.5)


def test_the_time_left_of_calls_is_told_while_no_shard_is_finished(tmp_path):
    clock, spends = iter([0.0, 10.0]), iter([Spend(), Spend(5)])
    looking = Looking([], spends.__next__, UnderWay(tmp_path), clock.__next__)
    looking._of_calls = 20
    assert looking.look().left_s == 30.0


def test_on_a_terminal_bars_run_over_shards_and_rows(tmp_path, often, monkeypatch):
    screen = io.StringIO()
    monkeypatch.setattr(progress, '_is_live', lambda: True)
    monkeypatch.setattr(progress, 'console', Console(file=screen, force_terminal=True, width=120))
    made(tmp_path / 'work', Slow(2, lambda: None))
    assert 'slow shards' in screen.getvalue()
    assert '2/2' in screen.getvalue()
    assert 'slow rows' in screen.getvalue()
    assert '4/4' in screen.getvalue()


def test_on_a_terminal_the_second_bar_is_of_calls_where_some_are_made(monkeypatch):
    screen = io.StringIO()
    monkeypatch.setattr(progress, '_is_live', lambda: True)
    monkeypatch.setattr(progress, 'console', Console(file=screen, force_terminal=True, width=120))
    with progress._shown('verdicts', 2) as show:
        show(Going('verdicts', 0, 2, 0, 1.0, calls=7, of_calls=20, under_way=3))
    assert 'verdicts calls' in screen.getvalue()
    assert '7/20' in screen.getvalue()


def test_calls_under_way_are_told_by_each_process_that_waits(tmp_path, monkeypatch):
    monkeypatch.setattr('pipelines.engine.under_way.EVERY_S', 0.001)
    calls = UnderWay(tmp_path)
    assert calls.count() == 0
    with telling_calls(tmp_path, lambda: {'model': 'm', 'under_way': 3}), telling_calls(tmp_path, lambda: {'model': 'n', 'under_way': 4}):
        until(lambda: calls.count() == 7, 'nobody told of calls')
        assert {said['model'] for said in calls.said()} == {'m', 'n'}
    assert list((tmp_path / FOLDER).iterdir()) == []


def test_what_a_killed_process_left_counts_no_more_and_goes(tmp_path, monkeypatch):
    """Ages are told by the freshest note: the clock of this machine may be anything."""
    monkeypatch.setattr('pipelines.engine.under_way.EVERY_S', 0.001)
    left, damaged = tmp_path / FOLDER / 'gone-1.json', tmp_path / FOLDER / 'cut.json'
    left.parent.mkdir(parents=True)
    publish_checked(left, {'model': 'm', 'under_way': 99})
    damaged.write_text('{"under_way"')
    assert UnderWay(tmp_path).count() == 99, 'nobody is fresher'
    os.utime(left, (time.time() - 7200,) * 2)
    with telling_calls(tmp_path, lambda: {'model': 'm', 'under_way': 1}):
        until(lambda: not left.exists(), 'what is old is not removed')
        assert UnderWay(tmp_path).count() == 1
    assert damaged.exists()


def test_a_programme_is_told_by_lines_of_json(capsys):
    telling.tell_json()
    try:
        telling.tell_news('slow: 3 shard(s) ...', 'begun', step='slow', of_shards=3)
        telling.tell_end('phantom: oh "dear"\nsecond line', 4)
    finally:
        telling.tell_plain()
    telling.tell_news('plain')
    *told, plain = capsys.readouterr().err.splitlines()
    begun, end = map(json.loads, told)
    assert begun.pop('at').endswith('Z')
    assert begun == {'event': 'begun', 'text': 'slow: 3 shard(s) ...', 'step': 'slow', 'of_shards': 3}
    assert (end['event'], end['code'], end['text']) == ('end', 4, 'phantom: oh "dear"\nsecond line')
    assert plain == 'plain'


def test_what_is_logged_is_a_line_of_json_too(monkeypatch):
    screen, logger = io.StringIO(), logging.getLogger('some.part')
    handler = logging.StreamHandler(screen)
    logging.getLogger().addHandler(handler)
    monkeypatch.setattr(logger, 'level', logging.WARNING)
    try:
        telling.tell_json()
        logger.warning('a disk is %s', 'slow')
        telling.tell_plain()
        logger.warning('plain')
    finally:
        telling.tell_plain()
        logging.getLogger().removeHandler(handler)
    told, plain = screen.getvalue().splitlines()
    assert {name: json.loads(told)[name] for name in ('event', 'text', 'level', 'logger')} == {
        'event': 'log', 'text': 'a disk is slow', 'level': 'WARNING', 'logger': 'some.part'}
    assert plain == 'plain'
