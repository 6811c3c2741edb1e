"""First contact: whatever a server, a proxy or the environment does, one message says what was expected, found, where, and what to do."""

import contextlib
import gzip
import http.server
import json
import socket
import ssl
import subprocess
import threading

import pytest

from pipelines.chat import contact, first_look
from pipelines.chat.clients import open_blocking_client, open_client
from pipelines.chat.contact import listed, names_of
from pipelines.chat.describe import describe_server
from pipelines.chat.keys import Key
from pipelines.chat.openai_backend import OpenAIBackend
from pipelines.chat.proxies import proxy_for
from schemas.errors import PendingWork, UserError
from schemas.recipe import Model
from tests.fakes import FakeChatServer, completion
from tests.pipelines.chat.test_openai_backend import settings

NO_KEY = Key('K', '')
VARIABLES = ('http_proxy', 'https_proxy', 'all_proxy', 'no_proxy', 'HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY', 'NO_PROXY', 'SSL_CERT_FILE', 'SSL_CERT_DIR',
             'REQUESTS_CA_BUNDLE', 'OPENAI_ORG_ID', 'OPENAI_PROJECT_ID', 'OPENAI_CUSTOM_HEADERS', 'OPENAI_API_KEY')  # fmt: skip


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch):
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(contact, 'FIRST_WAIT_S', 0.01)
    monkeypatch.setattr(contact, 'PATIENCE_S', 0.05)
    first_look._tell.cache_clear()


@contextlib.contextmanager
def serving(get=None, post=None, context=None):
    """Serve `get(path)` and `post(body)`, each (status, bytes, headers) or None for what a good server does; yields the URL and the paths asked."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = 'HTTP/1.1'

        def log_message(self, *_):
            pass

        def answer(self, found):
            status, data, headers = found
            self.send_response(status)
            for name, value in {'Content-Type': 'application/json', 'Content-Length': str(len(data)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(data)

        def do_GET(self):
            asked.append(self.path)
            self.answer(get and get(self.path) or (200, MODELS, {}) if self.path == '/v1/models' or get else (404, b'{}', {}))

        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers['Content-Length'])))
            asked.append(self.path)
            self.answer(post and post(body) or (200, json.dumps(completion(body)).encode(), {}))

    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler) as server:
        server.daemon_threads = True
        if context:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, kwargs={'poll_interval': 0.02}, daemon=True).start()
        yield f'{"https" if context else "http"}://127.0.0.1:{server.server_address[1]}/v1', asked
        server.shutdown()


@contextlib.contextmanager
def closed_port():
    """Give a port at which nobody listens and that nobody else takes."""
    with socket.socket() as taken:
        taken.bind(('127.0.0.1', 0))
        yield taken.getsockname()[1]


MODELS = json.dumps({'object': 'list', 'data': [{'id': 'fake-model', 'object': 'model'}]}).encode()


def check(*urls, **changes):
    OpenAIBackend(settings(*urls, **changes)).check()


def fault_of(url, **changes):
    with pytest.raises(UserError) as told:
        check(url, **changes)
    return str(told.value)


@pytest.mark.parametrize('rows', [
    [{'id': 'fake-model'}], {'data': [{'id': 'fake-model'}]}, {'models': [{'name': 'fake-model'}]}, {'data': [{'model': 'fake-model'}]}, ['fake-model'],
    {'data': None, 'models': [{'model': 'fake-model'}]}, {'data': [{'id': 'models/fake-model'}]}, {'models': [{'name': 'fake-model:latest'}]},
    {'data': [None, 7, {}, {'id': None}, {'id': 'fake-*'}]}, {'data': [{'id': 'x', 'aliases': ['fake-model']}]}])  # fmt: skip
def test_a_list_of_models_is_read_in_the_forms_servers_have(rows):
    with serving(lambda path: (200, json.dumps(rows).encode(), {})) as (url, asked):
        check(url)
    assert asked == ['/v1/models']


@pytest.mark.parametrize(('status', 'body', 'headers', 'found'), [
    (200, b'<!doctype html><html><head><title>Open WebUI</title></head></html>', {'Content-Type': 'text/html'}, 'a web page (Open WebUI)'),
    (200, b'null', {}, 'null'), (200, b'{"object": "list", "data": null}', {}, '"data": null'), (200, b'', {}, 'found nothing'), (200, b'{"data": []}', {}, '"data": []'),
    (200, b'{"data": [{"id"', {}, '{"data": [{"id"'), (200, b'[' * 50_000, {}, '[[['), (200, b'7', {}, 'found 7'), (200, b'\xff\xfe\x00', {}, 'found'),
    (200, b'no gzip', {'Content-Encoding': 'gzip'}, 'a body that cannot be read'), (200, b'{}', {'Content-Length': '99', 'Connection': 'close'}, 'a body that'),
    (403, b'{"error": {"message": "Missing scopes: api.model.read"}}', {}, 'HTTP 403: Missing scopes'), (404, b'{"detail": "Not Found"}', {}, 'HTTP 404: Not Found'),
    (405, b'', {}, 'HTTP 405'), (429, b'{"error": "slow down"}', {'Retry-After': '0.01'}, 'HTTP 429: slow down'), (500, b'oops', {}, 'HTTP 500: oops'),
    (503, b'{"error": {"code": 503, "message": "Loading model"}}', {}, 'HTTP 503: Loading model')])  # fmt: skip
def test_without_a_list_a_prompt_decides_and_the_doubt_is_told(status, body, headers, found, capsys):
    with serving(lambda path: (status, body, headers)) as (url, asked):
        check(url)
        assert '/v1/chat/completions' in asked
        told = capsys.readouterr().err
        assert f'model server {url}: expected a list of models at /models, found' in told
        assert found in told
        assert 'a first prompt was answered' in told
    with serving(lambda path: (status, body, headers), post=lambda body: (404, b'{"detail": "Not Found"}', {})) as (url, _):
        told = fault_of(url)
        assert 'expected a chat completion, found HTTP 404: Not Found' in told
        assert found in told
        assert 'correct base_urls' in told


def test_a_list_without_end_or_measure_is_given_up(monkeypatch, capsys):
    monkeypatch.setattr(contact, 'MAX_BYTES', 10_000)
    rows = [{'id': f'name-{n}'} for n in range(10_000)]
    with serving(lambda path: (200, json.dumps({'data': rows}).encode(), {})) as (url, _):
        check(url)
        assert 'a body of more than 10,000 bytes' in capsys.readouterr().err
    bomb = gzip.compress(b' ' * 10**7)
    with serving(lambda path: (200, bomb, {'Content-Encoding': 'gzip'})) as (url, _):
        check(url)
        assert 'a body of more than 10,000 bytes' in capsys.readouterr().err


def test_of_ten_thousand_models_those_spelt_alike_are_shown():
    rows = [{'id': f'org/name-{n}', 'description': 'long ' * 50} for n in range(10_000)]
    with serving(lambda path: (200, json.dumps({'data': [*rows, {'id': 'fake-modell'}]}).encode(), {})) as (url, _):
        told = fault_of(url)
    assert "expected model 'fake-model', found 10,001 others, such as ['fake-modell'" in told
    assert len(told) < 500


def test_a_busy_or_starting_server_is_asked_again_and_that_is_told(monkeypatch, capsys):
    monkeypatch.setattr(contact, 'PATIENCE_S', 30)
    answers = [(503, b'{"error": {"message": "Loading model"}}', {}), (429, b'', {'Retry-After': '0.02'}), (502, b'<html>', {}), (200, MODELS, {})]
    with serving(lambda path: answers.pop(0)) as (url, _):
        check(url)
    assert answers == []
    assert capsys.readouterr().err.count('busy or not ready yet (HTTP 503: Loading model)') == 1


def test_a_refused_key_is_named_and_hidden(monkeypatch):
    monkeypatch.setenv('OPENAI_API_KEY', 'sk-s3cret-1a2B3c4D5e6F7g8H')
    with serving(lambda path: (401, b'{"error": "bad key Bearer sk-s3cret-1a2B3c4D5e6F7g8H"}', {})) as (url, _):
        assert 'expected a valid API key in $OPENAI_API_KEY, found one it refuses' in fault_of(url)
    with serving(lambda path: (403, b'bad key sk-s3cret-1a2B3c4D5e6F7g8H', {}), post=lambda body: (401, b'"sk-s3cret-1a2B3c4D5e6F7g8H?"', {})) as (url, _):
        told = fault_of(url)
        assert 'found HTTP 401: ***?' in told
        assert 'expected a key in $OPENAI_API_KEY that may use this model' in told
        assert 's3cret' not in told


@pytest.mark.parametrize(('written', 'lies', 'meant'), [('', '/v1', '/v1'), ('/v1/chat/completions', '/v1', '/v1'), ('/api', '/api/v1', '/api/v1'), ('/v1/models', '/v1', '/v1'),
                                                        ('/v2', '/openai/v1', '/openai/v1'), ('/proxy/llm', '/proxy/llm/v1', '/proxy/llm/v1')])  # fmt: skip
def test_an_address_that_is_almost_right_is_told_how_it_was_probably_meant(written, lies, meant):
    with serving(lambda path: (200, MODELS, {}) if path == f'{lies}/models' else (404, b'Not Found', {}), post=lambda body: (404, b'Not Found', {})) as (url, _):
        base = url.removesuffix('/v1')
        assert f"there is one at {base}{meant}: was base_urls: ['{base}{meant}'] meant?" in fault_of(f'{base}{written}')


def test_a_redirect_is_not_followed_but_named():
    with serving(lambda path: (308, b'', {'Location': 'https://models.example.org/v1/models?next=secret'})) as (url, _):
        assert fault_of(url) == (f'model server {url}: expected a list of models at /models, found HTTP 308: it is at https://models.example.org/v1; '
                                 'correct base_urls')


def test_a_server_whose_answers_are_no_completions_is_named(monkeypatch):
    for body in (b'<html><title>Log in</title></html>', b'null', b'{"choices": null}', b'{"choices": [{"message": null}]}', b'[]', b'{"error": {"message": "no credit"}}'):
        with serving(lambda path: (404, b'', {}), post=lambda _, body=body: (200, body, {})) as (url, _):
            assert 'expected a chat completion, found ' in fault_of(url)


@pytest.mark.parametrize('status', [402, 429, 500, 503, 529])
def test_what_may_pass_by_itself_is_pending_and_told_in_the_servers_words(status):
    with serving(lambda path: (404, b'', {}), post=lambda _: (status, b'{"error": {"message": "come back on Monday"}}', {})) as (url, _), pytest.raises(PendingWork) as told:
        check(url)
    assert f'found HTTP {status}: come back on Monday' in str(told.value)


@pytest.mark.parametrize(('status', 'said'), [
    (402, 'Payment'), (400, 'Your credit balance is too low to access the API'), (400, 'Budget has been exceeded! Max budget: 10.0'),
    (403, '用户额度不足'), (200, 'Insufficient credits'),
])
def test_an_account_without_credit_is_pending_with_what_to_do_in_whatever_status_it_is_told(status, said):
    body = json.dumps({'error': {'message': said}}).encode()
    with serving(lambda path: (404, b'', {}), post=lambda _: (status, body, {})) as (url, _), pytest.raises(PendingWork) as told:
        check(url)
    assert said in str(told.value)
    assert 'top it up' in str(told.value)


def test_of_several_servers_one_without_credit_leaves_the_work_to_the_others(capsys):
    spent = (402, b'{"error": {"message": "Insufficient Balance"}}', {})
    with FakeChatServer() as good, serving(lambda path: (404, b'', {}), post=lambda _: spent) as (url, _):
        check(url, good.url)
        with pytest.raises(PendingWork, match='Insufficient Balance'):
            check(url, url)
    said = capsys.readouterr().err
    assert 'Insufficient Balance' in said
    assert 'the other servers do the work' in said


def test_a_reply_that_does_not_come_is_not_waited_for_longer_than_a_call():
    stop = threading.Event()
    with serving(lambda path: (404, b'', {}), post=lambda _: stop.wait(60) and None) as (url, _):
        with pytest.raises(PendingWork, match='found none within 0.3 s') as told:
            check(url, timeout_s=0.3)
        stop.set()
    assert 'raise `timeout_s`' in str(told.value)


def test_a_host_that_nobody_knows_and_a_port_where_nobody_listens():
    assert 'expected an answer, found no such host as no-such-host.invalid; correct base_urls' in fault_of('http://no-such-host.invalid/v1')
    with closed_port() as port:
        told = fault_of(f'http://127.0.0.1:{port}/v1')
    assert 'Connection refused; start the server (`phantom serve-demo` for the demo) or correct base_urls' in told


@pytest.fixture(scope='module')
def certificate(tmp_path_factory):
    """A certificate for 127.0.0.1 that vouches for itself, and its key."""
    folder = tmp_path_factory.mktemp('tls')
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', 'key.pem', '-out', 'cert.pem', '-days', '2', '-subj', '/CN=localhost',
                    '-addext', 'subjectAltName=IP:127.0.0.1'], cwd=folder, check=True, capture_output=True)  # fmt: skip
    return folder


@pytest.fixture
def tls(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / 'cert.pem', certificate / 'key.pem')
    return context


def test_a_certificate_of_its_own_is_told_with_what_to_set_and_taken_once_it_is_set(tls, certificate, monkeypatch):
    with serving(context=tls) as (url, _):
        told = fault_of(url)
        assert 'found a certificate that nothing here vouches for (self-signed certificate)' in told
        assert '$SSL_CERT_FILE' in told
        for variable in ('SSL_CERT_FILE', 'REQUESTS_CA_BUNDLE'):
            with monkeypatch.context() as patched:
                patched.setenv(variable, str(certificate / 'cert.pem'))
                check(url)


def test_https_and_http_taken_for_each_other(tls):
    with serving() as (url, _):
        assert f'for a server without it write {url} in base_urls' in fault_of(url.replace('http:', 'https:'))
    with serving(context=tls) as (url, _):
        assert f'a port for https; write {url} in base_urls' in fault_of(url.replace('https:', 'http:'))
    with serving(lambda path: (400, b'<h1>400</h1> The plain HTTP request was sent to HTTPS port', {})) as (url, _):
        assert f'a port for https; write {url.replace("http:", "https:")} in base_urls' in fault_of(url)


@pytest.mark.parametrize('variable', ['SSL_CERT_FILE', 'SSL_CERT_DIR', 'REQUESTS_CA_BUNDLE'])
@pytest.mark.parametrize('kind', ['missing', 'no certificate'])
def test_certificates_that_cannot_be_read_are_named_where_they_matter_and_only_there(variable, kind, tmp_path, monkeypatch):
    if kind == 'no certificate':
        (tmp_path / 'ca.pem').write_text('nothing')
    monkeypatch.setenv(variable, str(tmp_path / 'ca.pem'))
    told = fault_of('https://127.0.0.1:9/v1')
    assert f'${variable}: expected a file of certificates (PEM), found {tmp_path}/ca.pem: ' in told
    with serving() as (url, _):
        check(url)


@pytest.mark.parametrize('variable', ['OPENAI_ORG_ID', 'OPENAI_PROJECT_ID', 'OPENAI_CUSTOM_HEADERS'])
@pytest.mark.parametrize('value', ['X: org-ü', 'org\r', '\x1b[0m'])
def test_a_variable_that_no_header_can_carry_is_named_by_all_who_would_send_it(variable, value, monkeypatch):
    monkeypatch.setenv(variable, value)
    url = 'http://127.0.0.1:9/v1'
    for opened in (check, describe_of, lambda url: open_client(url, NO_KEY, timeout=1), lambda url: open_blocking_client(url, NO_KEY, timeout=1)):
        with pytest.raises(UserError, match=rf'\${variable}: expected printable ASCII'):
            opened(url)


def describe_of(url):
    return describe_server(settings(url))


def test_headers_of_the_environment_are_sent_as_the_library_sends_them(monkeypatch):
    monkeypatch.setenv('OPENAI_ORG_ID', 'org-1')
    monkeypatch.setenv('OPENAI_CUSTOM_HEADERS', 'X-Team: blue\nno header')
    seen = {}

    async def headers():
        from pipelines.chat.clients import open_http

        async with open_http('http://127.0.0.1:9/v1', NO_KEY, timeout=1) as http:
            seen.update(http.headers)

    import asyncio

    asyncio.run(headers())
    assert (seen['openai-organization'], seen['x-team'], seen['authorization']) == ('org-1', 'blue', 'Bearer none')


PROXIES = {
    'foo://x': 'expected a proxy of http, https, socks5, socks5h, found foo://x', 'socks4://h:1': 'found socks4://h:1', 'http://': 'expected a proxy such as',
    'http://h:port': 'expected a proxy such as', 'http://h:99999': 'expected a proxy such as', 'http://[::1': 'expected a proxy such as', 'http://a b': 'expected a proxy such as',
    'socks5://me:word@127.0.0.1:9': 'expected the package socksio for the proxy socks5://127.0.0.1:9',
}  # fmt: skip


@pytest.mark.parametrize('value', PROXIES)
@pytest.mark.parametrize('variable', ['http_proxy', 'HTTP_PROXY', 'all_proxy', 'ALL_PROXY'])
def test_a_proxy_that_cannot_be_used_is_named_without_its_password(variable, value, monkeypatch):
    monkeypatch.setenv(variable, value)
    told = fault_of('http://10.1.2.3:9/v1')
    assert f'${variable}: ' in told
    assert PROXIES[value] in told
    assert 'NO_PROXY=10.1.2.3' in told
    assert 'word' not in told
    monkeypatch.setenv('NO_PROXY', '127.0.0.1')
    with serving() as (url, _):
        check(url)


def test_a_dead_proxy_is_named_with_its_variable_and_without_its_password(monkeypatch):
    with closed_port() as port, serving() as (url, _):
        monkeypatch.setenv('http_proxy', f'me:word@127.0.0.1:{port} ')
        told = fault_of(url)
    assert f'model server {url} (through the proxy http://127.0.0.1:{port} ($http_proxy)): expected an answer, found no way through this proxy' in told
    assert 'Connection refused; start it, correct $http_proxy, or spare this server: NO_PROXY=127.0.0.1' in told
    assert 'word' not in told


def test_a_proxy_that_wants_a_password_or_refuses_is_named(monkeypatch):
    with serving(lambda path: (407, b'', {})) as (proxy, _):
        monkeypatch.setenv('http_proxy', proxy.removesuffix('/v1'))
        assert 'expected the proxy to let us through, found HTTP 407' in fault_of('http://10.1.2.3:9/v1')


@pytest.mark.parametrize(('spared', 'url', 'through'), [
    ('[::1]', 'http://[::1]:8000/v1', False), ('::1', 'http://[::1]:8000/v1', False), ('localhost,127.0.0.1', 'http://127.0.0.1:8/v1', False),
    ('127.0.0.0/8', 'http://127.9.9.9:8/v1', False), ('fd00::/8', 'http://[fd00::1]/v1', False), ('example.org', 'http://a.example.org/v1', False),
    ('.example.org', 'http://a.example.org/v1', False), ('*.example.org', 'http://a.example.org/v1', False), ('example.org', 'http://badexample.org/v1', True),
    ('example.org:8000', 'http://example.org:8000/v1', False), ('example.org:8000', 'http://example.org:9000/v1', True), ('*', 'http://example.org/v1', False),
    ('http://example.org', 'http://example.org/v1', False), ('EXAMPLE.org ', 'http://example.ORG/v1', False), ('10.0.0.1', 'http://10.0.0.10/v1', True),
    (' , ,', 'http://example.org/v1', True), ('a b', 'http://b/v1', False), ('[::1]:8000', 'http://[::1]:8000/v1', False), ('10.0.0.1/99', 'http://10.0.0.1/v1', True)])  # fmt: skip
def test_no_proxy_is_read_as_people_write_it(spared, url, through, monkeypatch):
    monkeypatch.setenv('HTTP_PROXY', 'http://127.0.0.1:9')
    monkeypatch.setenv('NO_PROXY', spared)
    assert (proxy_for(url) is not None) is through


def test_names_in_small_letters_and_of_the_scheme_go_first(monkeypatch):
    for variable in ('ALL_PROXY', 'all_proxy', 'HTTPS_PROXY', 'https_proxy'):
        monkeypatch.setenv(variable, 'http://127.0.0.1:9')
        assert proxy_for('https://example.org/v1').variable == variable
    assert proxy_for('http://example.org/v1').variable == 'all_proxy'
    assert 'word' not in repr(proxy_for('http://example.org/v1'))


def test_a_list_of_anything_else_is_no_list():
    for body in (None, 7, 'x', {}, {'data': 7}, {'data': {'id': 'x'}}, [[]], {'error': {}}):
        assert listed(body) == []
    assert names_of({'id': 7, 'name': None, 'aliases': 'x'}) == []


def test_what_a_server_says_of_itself_is_left_out_where_it_says_nothing_readable():
    for body in (b'<html>', b'null', b'[7]', b'{"data": "x"}', b''):
        with serving(lambda path, body=body: (200, body, {})) as (url, _):
            assert describe_server(settings(url)) == {'server': url}
    with serving(lambda path: (200, b'{"version": "0.32.0"}', {}) if path == '/version' else (200, MODELS, {})) as (url, _):
        assert describe_server(settings(url)) == {'server': url, 'id': 'fake-model', 'version': '0.32.0'}
    assert describe_server(settings(url)) == {'server': url}


def test_a_proxys_secret_with_signs_in_it_is_not_taken_for_its_host(monkeypatch):
    monkeypatch.setenv('HTTP_PROXY', 'http://me:p@ss/w#rd@127.0.0.1:9')
    told = fault_of('http://10.1.2.3:9/v1')
    assert '$HTTP_PROXY: expected a proxy such as' in told
    assert '%40' in told
    assert 'ss ' not in told.replace('address ', '')


def test_what_a_proxy_lacks_is_not_said_of_the_server(monkeypatch):
    with serving() as (plain, _):
        monkeypatch.setenv('HTTP_PROXY', plain.removesuffix('/v1').replace('http:', 'https:'))
        assert 'a proxy that speaks no TLS; write http:// into $HTTP_PROXY' in fault_of('http://10.1.2.3:9/v1')
    monkeypatch.setenv('HTTP_PROXY', 'http://no-such-proxy.invalid:3128')
    assert 'no way through this proxy: no such host as no-such-proxy.invalid' in fault_of('http://10.1.2.3:9/v1')
    page = (403, b'<html><title>Blocked</title></html>', {})
    with serving(lambda path: page, post=lambda body: page) as (proxy, _):
        monkeypatch.setenv('HTTP_PROXY', proxy.removesuffix('/v1'))
        told = fault_of('http://10.1.2.3:9/v1')
    assert 'this may be the page of the proxy' in told
    assert 'OPENAI_API_KEY' not in told


def test_a_redirect_to_the_same_address_or_a_path_is_told_whole():
    with serving(lambda path: (302, b'', {'Location': '/v1/models'})) as (url, _):
        assert 'sent back to the same address' in fault_of(url)
    with serving(lambda path: (302, b'', {'Location': '/login'})) as (url, _):
        assert f'it is at {url.removesuffix("/v1")}/login; correct base_urls' in fault_of(url)


def test_silence_is_told_with_what_to_do(monkeypatch):
    monkeypatch.setattr(contact, 'LIST_S', 0.2)
    stop = threading.Event()
    with serving(lambda path: stop.wait(30) and None) as (url, _):
        told = fault_of(url)
        stop.set()
    assert 'expected an answer, found none within' in told
    assert 'run it again once the server is up, or correct base_urls' in told


@pytest.mark.parametrize('value', ['a b: c', ': c', 'X-ok: 1\nb@d: 2'])
def test_a_header_of_a_name_that_none_has_is_named_by_its_variable(value, monkeypatch):
    monkeypatch.setenv('OPENAI_CUSTOM_HEADERS', value)
    assert '$OPENAI_CUSTOM_HEADERS: expected lines such as' in fault_of('http://127.0.0.1:9/v1')


def test_a_variant_of_a_listed_model_is_left_to_a_prompt(capsys):
    def check_variant(url):
        OpenAIBackend(Model(base_urls=[url], model='fake-model:free', revision='r1')).check()

    with serving() as (url, _):
        check_variant(url)
        assert "expected model 'fake-model:free' in the list at /models, found 'fake-model'; a first prompt was answered" in capsys.readouterr().err
    with serving(post=lambda body: (404, b'{"error": {"message": "no such variant"}}', {})) as (url, _), pytest.raises(UserError, match='no such variant'):
        check_variant(url)


def test_a_list_that_wants_the_key_in_a_header_of_its_own_is_no_refusal(capsys):
    with serving(lambda path: (401, b'{"error": {"message": "x-api-key header is required"}}', {})) as (url, _):
        check(url)
    assert 'HTTP 401: x-api-key header is required; ' in capsys.readouterr().err


def test_a_folder_or_file_for_keys_of_tls_that_is_not_there_is_named_itself(certificate, monkeypatch):
    monkeypatch.setenv('SSL_CERT_FILE', str(certificate / 'cert.pem'))
    monkeypatch.setenv('SSLKEYLOGFILE', '/nonexistent/keys')
    assert '$SSLKEYLOGFILE: expected a file to write to, found /nonexistent/keys' in fault_of('https://127.0.0.1:9/v1')


def test_blanks_around_an_address_are_left_out_and_those_in_it_refused():
    assert settings(' http://127.0.0.1:9/v1\n').base_urls == ['http://127.0.0.1:9/v1']
    with pytest.raises(ValueError, match='expected addresses such as'):
        settings('http://127.0.0.1:9/ v1')
