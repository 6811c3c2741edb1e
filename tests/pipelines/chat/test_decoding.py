"""Keys in whatever wrapping: what is undone before a key is looked for, and how long that may take."""

import base64
import html
import json
import quopri
import urllib.parse

import pytest

from pipelines.chat.decoding import readings, strings_of
from pipelines.chat.keys import QUOTED, Key
from pipelines.chat.leaks import without_leaks
from pipelines.chat.openai_backend import OpenAIBackend
from schemas.errors import UserError
from tests.fakes import FakeChatServer, Script, completion
from tests.pipelines.chat.test_contact import serving
from tests.pipelines.chat.test_openai_backend import opened, requests, settings
from tests.promises import promise

__all__ = ['opened']  # the fixture
SECRET = 'sk/Ab1Cd2+Ef3Gh4_Ij5/Kl6Mn7=='
KEY = Key('K', SECRET)


def b64(text: str | bytes) -> str:
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


FORMS = {
    'slashes escaped': SECRET.replace('/', '\\/'), 'in a header': f'Bearer {SECRET}', 'small letters': SECRET.lower(), 'capitals': SECRET.upper(),
    'escaped': ''.join(f'\\u{ord(c):04x}' for c in SECRET), 'escaped as in C': ''.join(f'\\x{ord(c):02X}' for c in SECRET),
    'octal': ''.join(f'\\{ord(c):03o}' for c in SECRET), 'as in Rust': ''.join(f'\\u{{{ord(c):x}}}' for c in SECRET),
    'HTML by name': SECRET.replace('/', '&sol;').replace('+', '&plus;').replace('=', '&equals;'), 'HTML by number': ''.join(f'&#x{ord(c):X};' for c in SECRET),
    'a mail': quopri.encodestring(SECRET.encode(), quotetabs=True).decode().replace('/', '=2F'), 'old addresses': ''.join(f'%u{ord(c):04x}' for c in SECRET),
    'an address thrice': urllib.parse.quote(urllib.parse.quote(urllib.parse.quote(SECRET, safe=''), safe=''), safe=''),
    'basic': f'Basic {b64("user:" + SECRET)}', 'base64 twice': b64(b64(f'Bearer {SECRET}')), 'base64 of 16 bits': b64(SECRET.encode('utf-16')),
    'base64 in an address': base64.urlsafe_b64encode(f'user:{SECRET}'.encode()).decode(), 'base64 of escapes': b64(json.dumps({'a': SECRET}).replace('/', '\\/')),
    'base64 in lines': base64.encodebytes(b'x' * 50 + SECRET.encode()).decode(), 'hexadecimal': SECRET.encode().hex(), 'a dump': SECRET.encode().hex(' ').upper(),
    'bytes': ' '.join(f'0x{ord(c):02x}' for c in SECRET), 'with nothing between': '\u200b'.join(SECRET), 'with zeros between': '\0'.join(SECRET),
    'over two lines': f'{SECRET[:9]}\\\n{SECRET[9:]}', 'JSON in HTML in JSON': json.dumps(html.escape(json.dumps(SECRET.replace('/', '\\/')))),
}  # fmt: skip


@promise('Keys', 'A key is found, and never kept or printed, in whatever encoding a server quotes it', encodings=len(FORMS))
@pytest.mark.parametrize('form', FORMS)
def test_a_key_is_found_whatever_it_is_wrapped_in(form):
    text = f'You sent {FORMS[form]} to us'
    assert KEY.leaked_in(text)
    hidden = KEY.hide(text)
    assert hidden == QUOTED or hidden.startswith('You sent ')
    assert not KEY.leaked_in(hidden)
    assert KEY.leaked_by({'choices': [{'message': {'content': FORMS[form]}}]})
    assert KEY.leaked_by({FORMS[form]: 1})


def pieces(of: str = SECRET) -> list[dict]:
    """Return bodies that hold a text in pieces: generated tokens beside others, tokens of a prompt, parts of a message."""
    tokens = [{'token': c, 'logprob': -1.0, 'top_logprobs': [{'token': '~', 'logprob': -2.0}]} for c in of]
    return [
        {'choices': [{'message': {'content': 'x'}, 'logprobs': {'content': tokens}}]}, {'choices': [{'logprobs': {'tokens': list(of)}}]},
        {'prompt_logprobs': [None, *({str(n): {'decoded_token': c, 'rank': 1}} for n, c in enumerate(of))]},
        {'choices': [{'message': {'content': [{'type': 'text', 'text': of[:9]}, {'type': 'text', 'text': of[9:]}]}}]},
    ]  # fmt: skip


def test_a_key_in_pieces_is_found():
    assert all(map(KEY.leaked_by, pieces()))
    assert not any(map(KEY.leaked_by, pieces('sk/Ab1Cd2+Ef3Gh4_Ij5/Kl6Mn8')))


@pytest.mark.parametrize('body', [0, 1])
def test_a_reply_with_the_key_over_its_tokens_is_none(opened, monkeypatch, body):
    monkeypatch.setenv('PHANTOM_TEST_KEY', SECRET)
    whole = {**completion({'model': 'm', 'messages': [{'role': 'user', 'content': 'q'}]}), **pieces()[body]}
    whole['choices'][0] = {'index': 0, 'finish_reason': 'stop', 'message': {'role': 'assistant', 'content': 'x'}, **whole['choices'][0]}
    with serving(None, lambda asked: (200, json.dumps(whole).encode(), {})) as (url, _):
        (failed,) = opened(settings(url, api_key_env='PHANTOM_TEST_KEY')).complete(requests(1))
    assert (failed.kind, failed.text) == ('leaked_key', '')


def test_a_batch_line_with_an_escaped_key_is_no_line():
    good = json.dumps({'custom_id': 'a', 'response': {'body': {'choices': []}}}).encode() + b'\n'
    bad = json.dumps({'custom_id': 'b', 'response': {'body': {'debug': SECRET}}}).replace('/', '\\/').encode() + b'\n'
    kept = without_leaks(good + bad, KEY)
    assert kept.startswith(good)
    assert json.loads(kept.splitlines()[1])['error']['code'] == 'leaked_key'
    assert b'Ab1Cd2' not in kept


@pytest.mark.parametrize('form', ['slashes escaped', 'hexadecimal', 'basic'])
def test_a_first_look_shows_no_key_that_a_server_quotes(monkeypatch, capsys, form):
    """In the names of its list, and in its version."""
    monkeypatch.setenv('PHANTOM_TEST_KEY', SECRET)

    def get(path):
        if path.endswith('/version'):
            return 200, json.dumps({'version': FORMS[form]}).encode(), {}
        return 200, json.dumps({'data': [{'id': f'model-of-{FORMS[form]}'}]}).encode(), {}

    with serving(get) as (url, _):
        backend = OpenAIBackend(settings(url, api_key_env='PHANTOM_TEST_KEY'))
        with pytest.raises(UserError) as e:
            backend.check()
        backend.close()
    assert not KEY.leaked_in(str(e.value))
    with FakeChatServer(Script(key=SECRET)) as server:
        told = OpenAIBackend(settings(server.url, api_key_env='PHANTOM_TEST_KEY'))
        told.check()
        told.close()
    assert not KEY.leaked_in(capsys.readouterr().err)


def test_ordinary_texts_and_words_in_place_of_keys_are_left_alone():
    for text in ('c2stcHJvai1hYmM=' * 9, 'a%20b &amp; c', '\\frac{1}{2}', '0' * 90, json.dumps({'a': ['x'] * 30}), 'sk/Ab1...Mn7=='):
        assert not KEY.leaked_in(text)
        assert KEY.hide(text) == text
    assert not Key('K', 'correct-horse-battery-staple').leaked_by({'a': 'correct-horse-battery-staple'})


def test_readings_end_and_deep_bodies_are_looked_at():
    assert len(list(readings('%2525252525252541' * 1000 + b64(b64(b64('x' * 30)))))) <= 4
    deep = SECRET
    for _ in range(3000):
        deep = [deep]
    assert SECRET in list(strings_of(deep))
    wide = {'a': SECRET}
    for _ in range(3000):
        wide = {'b': wide}
    assert KEY.leaked_by(wide)
