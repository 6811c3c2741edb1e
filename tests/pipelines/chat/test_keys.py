"""API keys: from the environment, and nowhere else."""

import json

import pytest

from pipelines.chat.describe import describe_server
from pipelines.chat.keys import read_key
from pipelines.chat.openai_backend import OpenAIBackend
from pipelines.chat.openai_batch import OpenAIBatch
from schemas.errors import UserError
from schemas.replies import encode_outcome
from tests.fakes import FakeChatServer, Script
from tests.pipelines.chat.test_openai_backend import opened, requests, settings

__all__ = ['opened']  # the fixture
SECRET = 'sk-secret-123'


@pytest.fixture
def key(monkeypatch) -> str:
    monkeypatch.setenv('PHANTOM_TEST_KEY', SECRET)
    return 'PHANTOM_TEST_KEY'


def test_a_server_that_quotes_the_key_in_its_reply_puts_it_into_no_stored_reply(opened, key):
    with FakeChatServer(Script(key=SECRET, reply_of=lambda body: f'you sent {SECRET}')) as server:
        (reply,) = opened(settings(server.url, api_key_env=key)).complete(requests(1))
    assert reply.text == 'you sent ***'
    assert SECRET not in json.dumps(encode_outcome(reply))


def test_a_batch_service_that_quotes_the_key_puts_it_into_no_file(key, tmp_path, monkeypatch):
    monkeypatch.setattr('tests.fakes.completion', lambda body: {'choices': [], 'you sent': SECRET})
    with FakeChatServer(Script(key=SECRET)) as server:
        backend = OpenAIBatch(settings(server.url, backend='openai-batch', api_key_env=key), tmp_path)
        (failed,) = backend.complete(requests(1))
    assert 'you sent": "***' in failed.detail
    assert all(SECRET.encode() not in path.read_bytes() for path in tmp_path.iterdir())


def test_blanks_around_a_key_are_dropped(monkeypatch):
    monkeypatch.setenv('K', f' {SECRET}\r\n')
    assert read_key('K').value == SECRET


@pytest.mark.parametrize('bad', ['sk-se\rcret', 'sk-sécret', 'sk se cret', 'sk-se\x1bcret'])
def test_a_key_no_header_can_carry_is_refused_without_showing_it(monkeypatch, bad):
    monkeypatch.setenv('K', bad)
    with pytest.raises(UserError, match=r'\$K: expected an API key of printable ASCII') as e:
        OpenAIBackend(settings('http://127.0.0.1:9/v1', api_key_env='K'))
    assert 'cret' not in str(e.value)


def test_nothing_prints_a_key(key):
    assert SECRET not in repr(read_key(key))
    assert SECRET not in repr(vars(OpenAIBackend(settings('http://127.0.0.1:9/v1', api_key_env=key))))


@pytest.mark.parametrize('placeholder', ['EMPTY', 'x', 'token', 'none'])
def test_a_placeholder_for_a_key_is_not_cut_out_of_replies(opened, monkeypatch, placeholder):
    monkeypatch.setenv('PHANTOM_TEST_KEY', placeholder)
    with FakeChatServer(Script(key=placeholder, reply_of=lambda body: f'an {placeholder} box')) as server:
        (reply,) = opened(settings(server.url, api_key_env='PHANTOM_TEST_KEY')).complete(requests(1))
    assert reply.text == f'an {placeholder} box'


def test_what_a_server_says_of_itself_is_asked_with_the_key_as_requests_are(monkeypatch):
    monkeypatch.setenv('PHANTOM_TEST_KEY', f'{SECRET}\n')
    with FakeChatServer(Script(key=SECRET)) as server:
        model = settings(server.url, api_key_env='PHANTOM_TEST_KEY')
        assert describe_server(model)['id'] == model.model
