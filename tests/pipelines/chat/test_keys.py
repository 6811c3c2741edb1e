"""API keys: from the environment, and nowhere else."""

import base64
import html
import json
import re
import secrets
import urllib.parse

import pytest

import tests.fakes
from pipelines.chat.describe import describe_server
from pipelines.chat.keys import HIDDEN, Key, read_key
from pipelines.chat.openai_backend import OpenAIBackend
from pipelines.chat.openai_batch import OpenAIBatch
from schemas.errors import UserError
from schemas.replies import Reply, encode_outcome
from tests.fakes import FakeChatServer, Script
from tests.pipelines.chat.test_openai_backend import opened, requests, settings
from tests.promises import promise

__all__ = ['opened']  # the fixture
SECRET = 'sk-s3cret-1a2B3c4D5e6F7g8H'


@pytest.fixture
def key(monkeypatch) -> str:
    monkeypatch.setenv('PHANTOM_TEST_KEY', SECRET)
    return 'PHANTOM_TEST_KEY'


@promise('Keys', 'A reply that holds the key of its server is rejected whole.')
def test_a_reply_that_holds_the_key_is_rejected_whole_and_paid(opened, key):
    with FakeChatServer(Script(key=SECRET, reply_of=lambda body: f'you sent {SECRET}')) as server:
        (failed,) = opened(settings(server.url, api_key_env=key)).complete(requests(1))
    assert (failed.kind, failed.retryable, failed.text) == ('leaked_key', False, '')
    assert (failed.prompt_tokens, failed.completion_tokens) == (2, 2)
    assert 'the reply holds the API key' in failed.detail
    assert SECRET not in json.dumps(encode_outcome(failed))


def test_a_batch_service_that_quotes_the_key_puts_it_into_no_file(key, tmp_path, monkeypatch):
    answered = tests.fakes.completion

    def quoting(body):
        wrapped = f'{SECRET[:9]}\n{SECRET[9:]}' if '0' in body['messages'][0]['content'] else 'nothing'
        return {**answered(body), 'you sent': wrapped}

    monkeypatch.setattr('tests.fakes.completion', quoting)
    with FakeChatServer(Script(key=SECRET)) as server:
        backend = OpenAIBatch(settings(server.url, backend='openai-batch', api_key_env=key), tmp_path)
        asked = requests(2)
        outcomes = {outcome.key: outcome for outcome in backend.complete(asked)}
    failed, good = (outcomes[request.key] for request in asked)
    assert isinstance(good, Reply)
    assert (failed.kind, failed.retryable, failed.prompt_tokens, failed.completion_tokens) == ('leaked_key', False, 2, 2)
    kept = b''.join(path.read_bytes() for path in tmp_path.iterdir())
    assert good.text.encode() in kept
    assert SECRET[9:].encode() not in kept


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


@pytest.mark.parametrize('placeholder', ['EMPTY', 'x', 'token', 'anything', 'token-abc123', 'sk-no-key-required', 'lm-studio', 'my-super-secret-key-2024'])
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


ODD = 'sk-proj-A1b2C3/d4+E5f6_G7h8'
QUOTED = urllib.parse.quote(ODD, safe='')
FORMS = {
    'plain': ODD, 'bearer': f'Bearer {ODD}', 'in JSON': json.dumps({'a': ODD}), 'slashes escaped': ODD.replace('/', '\\/'), 'in an address': QUOTED,
    'twice': urllib.parse.quote(QUOTED, safe=''), 'small percents': re.sub('%..', lambda found: found[0].lower(), QUOTED),
    'all escaped': ''.join(f'\\u{ord(c):04X}' for c in ODD), 'escaped again': json.dumps(json.dumps(ODD.replace('+', '\n+'))),
    'HTML': ''.join(f'&#{ord(c)};' for c in ODD), 'HTML, hexadecimal': ''.join(f'&#x{ord(c):x};' for c in ODD), 'HTML as Python writes it': html.escape(ODD),
    'wrapped': f'{ODD[:8]}\r\n  {ODD[8:]}', 'wrapped in JSON': json.dumps(f'{ODD[:8]}\n{ODD[8:]}'),
    **{f'base64 behind {n}': base64.b64encode(b'u' * n + ODD.encode() + b'!').decode() for n in range(6)},
    'base64 in an address': base64.urlsafe_b64encode(b'>?' + ODD.encode()).decode(), 'wrapped base64': base64.encodebytes(b'x' * 40 + ODD.encode()).decode(),
}  # fmt: skip


@pytest.mark.parametrize('form', FORMS)
@promise('Keys', 'A key is hidden in messages in whatever form.')
def test_a_key_is_found_and_hidden_in_whatever_form(form):
    text = f'You sent {FORMS[form]} to us'
    assert Key('K', ODD).leaked_in(text)
    assert Key('K', ODD).hide(text).startswith('You sent ')
    assert not Key('K', ODD).leaked_in(Key('K', ODD).hide(text))


def test_part_of_a_key_is_no_leak_and_stays():
    for text in ('sk-proj-A1b2C3...G7h8', 'sk-...7h8', 'sk-proj-************G7h8'):  # as OpenAI quotes it
        assert not Key('K', ODD).leaked_in(text)
        assert Key('K', ODD).hide(text) == text


def test_random_keys_are_secrets_and_words_are_none():
    """Of random hexadecimal digits 7 turns are expected at 16, 15 at 32; a few of the shortest have fewer than four."""
    made = [made(n) for n in (16, 24, 32) for made in (secrets.token_hex, secrets.token_urlsafe) for _ in range(50)]
    assert sum(not Key('K', key).is_secret for key in made) <= 20
    known = ('sk-1234567890abcdef1234567890abcdef', 'hf_aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0eF3h', 'AIzaSyD4f5G6h7J8k9L0mN1oP2qR3sT4uV5wX6y', '0f9a8b7c-6d5e-4f3a-2b1c-0d9e8f7a6b5c')
    assert all(Key('K', key).is_secret for key in known)
    words = ('anything', 'EMPTY', 'token-abc123', 'sk-no-key-required', 'lm-studio', 'ollama', 'sk-1234', 'no-key-needed-for-localhost-8000', 'correct-horse-battery-staple',
             'sk-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', '12345678901234567890', 'your-api-key-here')  # fmt: skip
    assert not any(Key('K', word).is_secret for word in words)
    assert not any(Key('K', word).leaked_in(f'a reply with {word} in it') for word in words)


def test_a_word_in_place_of_a_key_is_still_hidden_in_messages():
    assert Key('K', 'correct-horse').hide('bad key Bearer correct-horse') == f'bad key Bearer {HIDDEN}'


def test_passwords_in_addresses_are_hidden_with_or_without_a_key():
    for key in ('', ODD):
        assert Key('K', key).hide('no way through http://me:pass@proxy:3128/ or http://proxy') == f'no way through http://{HIDDEN}@proxy:3128/ or http://proxy'


def test_a_long_reply_is_searched_in_no_time_that_grows_with_its_square():
    text = 'sk-proj-A1b2C3 ' + 's' * 200_000 + '\\' * 200_000 + '\n' * 200_000 + '=\r\n' * 50_000 + 'c2st' * 50_000
    assert not Key('K', ODD).leaked_in(text)
