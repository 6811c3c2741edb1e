"""Calls that run out of time are told while it happens, once for all of them, without a key."""

import asyncio
import threading
import time

from pipelines.chat import late_calls
from pipelines.chat.late_calls import LateCalls
from pipelines.chat.openai_backend import OpenAIBackend
from schemas.replies import Failure, Reply
from tests.fakes import FakeChatServer, Script
from tests.pipelines.chat.test_openai_backend import requests, settings

SECRET = 'sk-never-to-be-seen'


def slow(times: int = 10**6) -> Script:
    """Return a script in which no request gets a reply the first `times` times."""
    return Script(fault_of=lambda body, nth: 'timeout' if nth <= times else '')


def outcomes_of(server: FakeChatServer, count: int, **changes) -> list:
    backend = OpenAIBackend(settings(server.url, concurrency=count, timeout_s=0.8, **changes), first_backoff_s=0.01)
    try:
        return list(backend.complete(requests(count)))
    finally:
        backend.close()


def told(capsys) -> list[str]:
    return [line for line in capsys.readouterr().err.splitlines() if line]


def test_calls_that_run_out_of_time_together_are_told_in_one_line(monkeypatch, capsys):
    monkeypatch.setattr(late_calls, 'PAUSE_S', 1000.0)
    with FakeChatServer(slow(times=1)) as server:
        assert all(isinstance(outcome, Reply) for outcome in outcomes_of(server, 8, max_retries=1000))
    lines = told(capsys)
    assert lines[0].startswith('model fake-model: ')
    assert 'call(s) had no reply within 0.8 s' in lines[0]
    assert '`timeout_s`' in lines[0]
    assert sum(int(line.split()[2]) for line in lines) >= 8
    assert len(lines) <= 2, 'a second one at the end, if the machine let some calls out late or their repetition'


def test_calls_that_are_given_up_are_told_before_the_backend_closes(capsys):
    with FakeChatServer(slow()) as server:
        assert all(isinstance(outcome, Failure) for outcome in outcomes_of(server, 3, max_retries=0))
    counted = [line.split() for line in told(capsys)]
    assert sum(int(words[2]) for words in counted) == 3
    assert sum(int(words[10]) for words in counted) == 0, 'none of them is asked again'


def test_each_call_is_counted_once_and_those_asked_again_too(capsys):
    with FakeChatServer(slow()) as server:
        outcomes_of(server, 4, max_retries=2)
    counted = [line.split() for line in told(capsys)]
    assert sum(int(words[2]) for words in counted) == 12
    assert sum(int(words[10]) for words in counted) == 8


def test_it_is_told_while_the_calls_still_wait_from_a_worker_thread(monkeypatch):
    """The server answers only after the line was printed: without it the thread would not end."""
    printed = threading.Event()
    monkeypatch.setattr(OpenAIBackend, '_say', lambda self, line: printed.set())
    script = Script(fault_of=lambda body, nth: '' if printed.is_set() else 'timeout')
    with FakeChatServer(script) as server:
        worker = threading.Thread(target=outcomes_of, args=(server, 2), kwargs={'max_retries': 10**6}, daemon=True)
        worker.start()
        assert printed.wait(60)
        worker.join(60)
        assert not worker.is_alive()


def test_the_next_line_waits_a_while_and_no_call_is_lost(monkeypatch):
    monkeypatch.setattr(late_calls, 'GATHER_S', 0.01)
    monkeypatch.setattr(late_calls, 'PAUSE_S', 0.4)
    said = []

    async def run() -> None:
        calls = LateCalls('fake-model', 1.0, lambda line: said.append((time.monotonic(), int(line.split()[2]))))
        for _ in range(40):
            calls.note(again=True, at_once=1)
            await asyncio.sleep(0.025)
        at_the_end.append(len(said))
        calls.tell()

    at_the_end = []
    asyncio.run(run())
    assert sum(count for _, count in said) == 40
    moments = [moment for moment, _ in said[:at_the_end[0]]]
    assert len(moments) >= 2
    assert min(later - earlier for earlier, later in zip(moments, moments[1:])) > 0.39


def test_no_key_is_told(monkeypatch, capsys):
    monkeypatch.setenv('OPENAI_API_KEY', SECRET)
    with FakeChatServer(slow()) as server:
        backend = OpenAIBackend(settings(server.url, timeout_s=0.2, max_retries=0).model_copy(update={'model': f'model-{SECRET}'}))
        list(backend.complete(requests(1)))
        backend.close()
    err = capsys.readouterr().err
    assert 'model model-***: 1 call(s)' in err
    assert SECRET not in err
