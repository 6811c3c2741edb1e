"""Several servers behind one model: a bad one costs no request, a wrong one is told before anything is asked."""

import contextlib
import socket

import pytest

from pipelines.chat import attempts, endpoints
from pipelines.chat.openai_backend import OpenAIBackend
from pipelines.chat.requests import greedy, make_request
from schemas.errors import UserError
from schemas.replies import Reply, SentImage
from tests.fakes import FakeChatServer, Script
from tests.pipelines.chat.test_openai_backend import DIGEST, PNG, opened, requests, settings

__all__ = ['opened']  # the fixture


@contextlib.contextmanager
def black_hole():
    """Give the URL of a port whose connections are neither taken nor refused: its queue is full."""
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(socket.socket())
        listening.bind(('127.0.0.1', 0))
        listening.listen(0)
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listening.getsockname())
        yield f'http://127.0.0.1:{listening.getsockname()[1]}/v1'


def test_a_host_that_swallows_connections_is_left_out_and_costs_no_attempt(opened, monkeypatch):
    monkeypatch.setattr(attempts, 'CONNECT_TIMEOUT_S', 0.3)
    with black_hole() as url, FakeChatServer() as server:
        outcomes = list(opened(settings(url, server.url, timeout_s=60, max_retries=0)).complete(requests(20)))
        assert server.counts.total() == 20
    assert all(isinstance(o, Reply) for o in outcomes)


def test_a_server_that_fails_whatever_it_is_asked_is_left_out(opened, monkeypatch):
    """Eight faults in a row and those then in flight: after that the other server works alone."""
    monkeypatch.setattr(endpoints, 'COOL_OFF_S', 3600)
    monkeypatch.setattr(endpoints, 'MAX_COOL_OFF_S', 3600)
    with FakeChatServer() as good, FakeChatServer(Script(fault_of=lambda body, nth: '500')) as bad:
        outcomes = list(opened(settings(bad.url, good.url, max_retries=8)).complete(requests(120)))
        assert bad.counts.total() <= 8 + 4
    assert len(outcomes) == 120
    assert all(isinstance(o, Reply) for o in outcomes)


def test_check_goes_on_with_the_servers_that_answer_and_names_the_others(opened, capsys):
    with FakeChatServer() as server, FakeChatServer() as gone:
        gone.stop()
        opened(settings(server.url, gone.url)).check()
        assert f'model server {gone.url}: expected an answer' in capsys.readouterr().err


def test_check_refuses_one_server_of_several_that_serves_another_model(opened):
    """It would fail every second request for ever."""
    told = pytest.raises(UserError, match="expected model 'fake-model', found \\['other'\\]")
    with FakeChatServer() as server, FakeChatServer(Script(served=['other'])) as wrong, told:
        opened(settings(server.url, wrong.url)).check()


def test_a_server_among_several_whose_list_cannot_be_read_is_asked_a_prompt_itself(opened):
    with FakeChatServer() as server, FakeChatServer(Script(served=[])) as unlisted:
        opened(settings(server.url, unlisted.url)).check()
        assert (server.counts.total(), unlisted.counts.total()) == (0, 2)
        unlisted.script.fault_of = lambda body, nth: '404'
        with pytest.raises(UserError, match='expected a chat completion, found HTTP 404') as told:
            opened(settings(server.url, unlisted.url)).check()
    assert unlisted.url in str(told.value)
    assert server.url not in str(told.value)


def test_retries_of_requests_that_failed_together_are_spread(opened):
    """The third wait is four times the first, less up to half of it."""
    backend = OpenAIBackend(settings('http://127.0.0.1:9/v1'), first_backoff_s=1.0)
    waits = [backend._backoff(3) for _ in range(20)]
    assert len(set(waits)) == 20
    assert 2 <= min(waits) <= max(waits) <= 4


def test_a_folder_for_pictures_that_cannot_be_written_is_named(opened, tmp_path):
    (tmp_path / 'file').write_text('in the way')
    shown = [{'role': 'user', 'content': [{'type': 'image_url', 'image_url': {'url': 'image:0'}}]}]
    images = [SentImage(DIGEST, DIGEST, 'image/png', PNG)]
    asked = make_request(shown, model='fake-model', revision='r1', settings=greedy(4), images=images)
    with FakeChatServer() as server:
        backend = opened(settings(server.url, image_files=str(tmp_path / 'file/pictures')))
        with pytest.raises(UserError, match='image_files: expected a folder to put pictures into, found .*file/pictures'):
            list(backend.complete([asked]))

