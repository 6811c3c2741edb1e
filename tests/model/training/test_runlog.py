"""What a run says of its steps where there is no terminal."""

import json

import pytest

from model.training import runlog
from model.training.runlog import RunLog
from schemas import telling
from schemas.telling import hushed


@pytest.fixture
def clock(monkeypatch):
    """A clock of which each look takes ten seconds."""
    at = iter(range(0, 10_000, 10))
    monkeypatch.setattr(runlog.time, 'monotonic', at.__next__)


def steps(out, n, *, start=0, **of):
    log = RunLog(out, step=start, max_steps=10, **of)
    for step in range(start + 1, n + 1):
        log.step({'step': step, 'loss': 1 / step, 'po': None})
    log.close()


def test_a_line_comes_every_n_steps_and_at_the_last(tmp_path, clock, capsys):
    steps(tmp_path, 10, tell_every=4)
    assert capsys.readouterr().err.splitlines() == [
        'step 4 of 10: loss 0.25; about 15 s left', 'step 8 of 10: loss 0.125; about 5 s left', 'step 10 of 10: loss 0.1; about 0 s left']


def test_a_resumed_run_measures_its_own_steps(tmp_path, clock, capsys):
    steps(tmp_path, 9, start=6, tell_every=8)
    assert 'step 8 of 10: loss 0.125; about 10 s left' in capsys.readouterr().err


@pytest.mark.parametrize('of', [{'tell_every': 0}, {'tell_every': 1, 'quiet': True}, {'tell_every': 1, 'writes': False}])
def test_no_line_comes_where_nobody_wants_one(tmp_path, capsys, of):
    steps(tmp_path, 10, **of)
    assert capsys.readouterr().err == ''


def test_quiet_keeps_the_lines_back(tmp_path, capsys):
    with hushed():
        steps(tmp_path, 10, tell_every=1)
    assert capsys.readouterr().err == ''


def test_a_programme_is_told_all_of_a_record(tmp_path, clock, capsys):
    telling.tell_json()
    try:
        steps(tmp_path, 4, tell_every=4)
    finally:
        telling.tell_plain()
    told = json.loads(capsys.readouterr().err)
    assert (told['event'], told['step'], told['max_steps'], told['loss'], told['po'], told['left_s']) == ('train', 4, 10, 0.25, None, 15.0)
