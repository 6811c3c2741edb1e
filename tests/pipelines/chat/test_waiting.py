"""A long wait for replies is told while it lasts, unless nobody wants to hear of it."""

import time

from pipelines.chat import waiting
from pipelines.chat.waiting import Waiting, length_of, told
from schemas.telling import hushed
from tests.pipelines.chat.test_openai_backend import requests


def test_a_line_says_what_is_done_how_fast_and_how_long_it_will_take():
    now = [0.0]
    one = Waiting('slow', 40, clock=lambda: now[0])
    list(one.counted(requests(16)))
    for n in range(10):
        one.came(lost=n == 9)
    now[0] = 5.0
    assert one.line() == 'model slow: 9 of 40 calls answered (1 without a reply), 1.8/s, about 17 s left, 6 under way'
    now[0] = 25.0
    assert one.line() == 'model slow: 9 of 40 calls answered (1 without a reply), none for 20 s, 6 under way'


def test_lengths_of_time_are_said_as_people_say_them():
    assert [length_of(s) for s in (7.4, 89, 91, 1000, 7260)] == ['7 s', '89 s', '2 min', '17 min', '2 h 1 min']


def wait(capsys) -> list[str]:
    """Return the first lines that are told, if any are in two seconds."""
    said = ''
    with told(Waiting('slow', 40)):
        for _ in range(200):
            time.sleep(0.01)
            said += capsys.readouterr().err
            if said.count('\n') > 1:
                break
    return said.splitlines()


def test_lines_come_while_the_wait_lasts_and_none_when_hushed(capsys, monkeypatch):
    monkeypatch.setattr(waiting, 'FIRST_S', 0.01)
    lines = wait(capsys)
    assert len(lines) >= 2
    assert all(line.startswith('model slow: 0 of 40 calls answered, none for ') for line in lines)
    with hushed(), told(Waiting('slow', 40)):
        time.sleep(0.1)
    assert capsys.readouterr().err == ''


def test_a_short_wait_needs_no_line(capsys):
    with told(Waiting('slow', 40)):
        pass
    assert capsys.readouterr().err == ''
