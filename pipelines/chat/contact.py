"""First contact with a server: whether it answers, serves the model, and what it says of itself. Whatever comes back, one message and no more."""

import asyncio
import difflib
import fnmatch
import json
import os
import re
import socket
import ssl
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx2

from pipelines.chat.clients import open_http
from pipelines.chat.keys import Key
from pipelines.chat.proxies import proxy_for
from pipelines.chat.rate_limits import rest_asked_s
from pipelines.chat.responses import decode_body
from schemas.recipe import Model

LIST_S = 10.0  # a list of models comes at once, or something is wrong
ELSEWHERE_S = 3.0  # each look where it might be instead, and for a version
PATIENCE_S = 30.0  # a server that is busy or starting is asked again this long, all waits of one question together ...
LIST_PATIENCE_S = 8.0  # ... but its list of models, which a prompt can do without, not so long
FIRST_WAIT_S = 1.0  # where it does not say how long
MAX_BYTES = 32_000_000  # of an answer: 10,000 models with long descriptions
SHOWN_NAMES = 10
SHOWN_CHARS = 200
BUSY = frozenset({429, 502, 503, 504})  # 503: llama.cpp and Hugging Face endpoints while they load a model
# What people write behind the address by mistake, and where servers keep what they mean: Groq and Azure (/openai/v1), Gemini (/v1beta/openai),
# OpenRouter (/api/v1), Alibaba's DashScope (/compatible-mode/v1), all others (/v1).
ENDINGS = ('/chat/completions', '/completions', '/responses', '/embeddings', '/models', '/api/chat', '/api/generate')
PLACES = ('/v1', '/api/v1', '/openai/v1', '/v1beta/openai', '/compatible-mode/v1')
# Where servers tell their version: vLLM; Ollama; Hugging Face's TGI; SGLang; llama.cpp.
VERSIONS = (('/version', 'version'), ('/api/version', 'version'), ('/info', 'version'), ('/get_server_info', 'version'), ('/props', 'build_info'))
OTHER_HEADER = 'x-api-key'
ANY_NAME = ('.openai.azure.com', '.services.ai.azure.com')  # Azure lists models, and is asked for deployments, whose names are the user's
PLAIN_TO_TLS = re.compile(r'HTTP request (?:was sent )?to (?:an )?HTTPS', re.IGNORECASE)  # nginx and Go's net/http, at a port for https


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back of one question: the status and the body, decoded where it is JSON; or, status 0, what went wrong on the way."""

    status: int
    body: Any = ''
    headers: Mapping[str, str] | None = None
    fault: str = ''


@dataclass(frozen=True, slots=True)
class Met:
    """What was found at one address: `fault` keeps it from being used; `doubt` is what only a real prompt decides."""

    url: str
    fault: str = ''
    answers: bool = True  # one that does not answer may come back
    doubt: str = ''
    row: Mapping[str, Any] | None = None  # what it says of the model


async def meet(url: str, settings: Model, key: Key) -> Met:
    """Return what is found at `url`; raises UserError where the environment keeps anything from being asked."""
    url = url.rstrip('/')
    proxy = proxy_for(url)
    where = f'model server {url}' + (f' (through the proxy {proxy})' if proxy else '')
    async with open_http(url, key, timeout=LIST_S) as http:
        answer = await ask_patiently(http, 'GET', f'{url}/models', key=key, where=where, patience_s=LIST_PATIENCE_S)
        if not answer.status:
            wait = f'; run it again once the server is up, or correct base_urls{f" or ${proxy.variable}" if proxy else ""}'
            return Met(url, f'{where}: expected an answer, found {answer.fault}{"" if ";" in answer.fault else wait}', answers=False)
        # Anthropic's list wants the key in a header of its own, which its chat completions do without
        if answer.status == 401 and OTHER_HEADER not in shown(answer, key):
            found = 'one it refuses' if key.value else 'none'
            return Met(url, f'{where}: expected a valid API key in ${settings.api_key_env}, found {found}; export the right key')
        if fault := _astray(answer, url):
            return Met(url, f'{where}: {fault}')
        rows = listed(answer.body) if answer.status == 200 else []
        if not rows:
            doubt = f'{where}: expected a list of models at /models, found {shown(answer, key)}' + await _elsewhere(http, url, key)
            return Met(url, doubt=doubt)
    row = row_of(settings.model, rows)
    # OpenRouter (:free, :nitro, :online) and the router of Hugging Face (:fastest, :PROVIDER) list a model without its variants
    if row is None and (row := row_of(settings.model.partition(':')[0], rows)):
        doubt = f'{where}: expected model {settings.model!r} in the list at /models, found {names_of(row)[0]!r}'
        return Met(url, doubt=doubt, row=row)
    if row is None and not (urlsplit(url).hostname or '').endswith(ANY_NAME):
        return Met(url, f'{where}: expected model {settings.model!r}, found {_few(settings.model, rows)}; correct `model:` or serve that one')
    return Met(url, row=row)


def listed(body: Any) -> list[Mapping[str, Any]]:
    """Return the models of a list in any of the forms seen: {data: [{id}]}, a bare list (Together), {models: [{name}]} (Ollama), names."""
    rows = next((body[name] for name in ('data', 'models') if isinstance(body.get(name), list)), None) if isinstance(body, dict) else body
    if not isinstance(rows, list):
        return []
    return [row for row in ({'id': row} if isinstance(row, str) else row for row in rows) if isinstance(row, dict) and names_of(row)]


def names_of(row: Mapping[str, Any]) -> list[str]:
    """Return the names a listed model goes by."""
    names = [row.get(name) for name in ('id', 'name', 'model')]
    aliases = row.get('aliases')  # Mistral
    return [name for name in (*names, *(aliases if isinstance(aliases, list) else ())) if isinstance(name, str)]


def row_of(wanted: str, rows: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Return what a list says of the model called `wanted`, None where it is not in it."""
    return next((row for row in rows if _is(wanted, row)), None)


def _is(wanted: str, row: Mapping[str, Any]) -> bool:
    # Gemini lists models/NAME, Ollama NAME:latest, LiteLLM openai/* for all it passes on
    return any(wanted in (name, name.removeprefix('models/'), name.removesuffix(':latest')) or '*' in name and fnmatch.fnmatchcase(wanted, name)
               for name in names_of(row))


def _few(wanted: str, rows: Sequence[Mapping[str, Any]]) -> str:
    names = list(dict.fromkeys(names_of(row)[0] for row in rows))
    if len(names) <= SHOWN_NAMES:
        return str(names)
    near = difflib.get_close_matches(wanted, names, SHOWN_NAMES, cutoff=0.5) or names[:SHOWN_NAMES]
    return f'{len(names):,} others, such as {near}'


def _astray(answer: Answer, url: str) -> str:
    """Return what is wrong with an answer that no prompt needs to be tried after, '' for any other."""
    if 300 <= answer.status < 400:
        target = str((answer.headers or {}).get('location', '')).partition('?')[0]
        target = urljoin(f'{url}/models', target).removesuffix('/models') if target else 'another address'
        found = 'sent back to the same address; look at what stands before the server' if target == url else f'it is at {target}; correct base_urls'
        return f'expected a list of models at /models, found HTTP {answer.status}: {found}'
    if answer.status == 407:
        return 'expected the proxy to let us through, found HTTP 407: it wants a name and a password; write them into its variable'
    if url.startswith('http:') and PLAIN_TO_TLS.search(str(answer.body)):
        return f'expected a list of models at /models, found a port for https; write {_with("https", url)} in base_urls'
    return ''


async def _elsewhere(http: httpx2.AsyncClient, url: str, key: Key) -> str:
    """Return the address that was probably meant: the first of those usual with servers where there is a list of models."""
    ending = next((ending for ending in ENDINGS if url.endswith(ending)), '')
    base = url.removesuffix(ending)
    root = f'{urlsplit(url).scheme}://{urlsplit(url).netloc}'
    places = [*([base] if ending else []), *([] if base.endswith('/v1') else [f'{base}/v1']), *(f'{root}{place}' for place in PLACES)]
    for place in dict.fromkeys(places):
        if place != url and listed((await ask(http, 'GET', f'{place}/models', key=key, limit_s=ELSEWHERE_S)).body):
            return f'; there is one at {place}: was base_urls: [{place!r}] meant?'
    return '; is the URL right (with most servers it ends in /v1)?'


async def version_of(http: httpx2.AsyncClient, url: str, key: Key) -> str:
    """Return the version that the server at `url` tells, '' where it tells none."""
    root = url.rstrip('/').removesuffix('/v1')
    for path, name in VERSIONS:
        answer = await ask(http, 'GET', f'{root}{path}', key=key, limit_s=ELSEWHERE_S)
        if not answer.status:
            return ''
        found = answer.body.get(name) if answer.status == 200 and isinstance(answer.body, dict) else None
        if isinstance(found, str) and found:
            return key.hide(found)[:SHOWN_CHARS]
    return ''


async def ask_patiently(
    http: httpx2.AsyncClient, method: str, url: str, *, key: Key, where: str, body: Any = None, limit_s: float = LIST_S,
    patience_s: float | None = None,
) -> Answer:
    """Return what `ask` does; a server that says it is busy or starting is asked again for a while, which is told."""
    patience_s = PATIENCE_S if patience_s is None else min(patience_s, PATIENCE_S)
    until, wait_s, told = time.monotonic() + patience_s, FIRST_WAIT_S, False
    while True:
        answer = await ask(http, method, url, key=key, body=body, limit_s=limit_s)
        asked_s = rest_asked_s(answer.headers or {}, '', now=time.time())
        pause_s = max(asked_s, wait_s)
        if answer.status not in BUSY or time.monotonic() + pause_s > until:
            return answer
        if not told:
            print(f'{where}: busy or not ready yet ({shown(answer, key)}); asked again for {patience_s:g} s', file=sys.stderr, flush=True)
            told = True
        await asyncio.sleep(pause_s)
        wait_s *= 2


async def ask(http: httpx2.AsyncClient, method: str, url: str, *, key: Key, body: Any = None, limit_s: float) -> Answer:
    """Return what the server says, within `limit_s` in all and MAX_BYTES; what goes wrong on the way is told in `fault`, without the key."""
    content = bytearray()
    status, headers = 0, None
    try:
        async with asyncio.timeout(limit_s), http.stream(method, url, json=body, timeout=limit_s) as response:
            status, headers = response.status_code, response.headers
            async for piece in response.aiter_bytes():
                content += piece
                if len(content) > MAX_BYTES:
                    return Answer(status, f'a body of more than {MAX_BYTES:,} bytes', headers)
    except (TimeoutError, httpx2.TimeoutException):
        return Answer(status, f'a body without an end within {limit_s:g} s', headers) if status else Answer(0, fault=f'none within {limit_s:g} s')
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as e:
        if status:
            return Answer(status, f'a body that cannot be read ({type(e).__name__})', headers)
        return Answer(0, fault=key.hide(await _why(e, url)))
    return Answer(status, decode_body(bytes(content)), headers)


def shown(answer: Answer, key: Key) -> str:
    """Return an answer in a few words, without the key."""
    if not answer.status:
        return answer.fault
    status = '' if answer.status == 200 else f'HTTP {answer.status}: '
    body = answer.body
    if isinstance(body, str) and re.match(r'\s*<(?:!doctype|html|\?xml)', body, re.IGNORECASE):
        title = re.search(r'<title[^>]*>\s*([^<]{1,80})', body, re.IGNORECASE)
        return f'{status}a web page' + (f' ({title[1].strip()})' if title else '')
    if isinstance(body, dict) and (error := body.get('error') or body.get('detail') or body.get('message')):
        body = error.get('message', error) if isinstance(error, dict) else error
    text = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)
    return f'{status}{key.hide(" ".join(text.split()))[:SHOWN_CHARS] or "nothing"}'


async def _why(error: Exception, url: str) -> str:
    """Return why nothing came back, and what to do."""
    causes = list(_causes(error))
    proxy = proxy_for(url)
    if isinstance(error, httpx2.ProxyError):
        return f'a proxy that refuses: {error}; correct ${proxy.variable if proxy else "HTTPS_PROXY"} or spare this server with NO_PROXY'
    if proxy and proxy.url.startswith('https:') and any(type(cause) is ssl.SSLError for cause in causes):
        return f'a proxy that speaks no TLS; write http:// into ${proxy.variable}'
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return (f'a certificate that nothing here vouches for ({cause.verify_message}); put the one that does (PEM) into a file and name it '
                    'in $SSL_CERT_FILE, or correct the host in base_urls')
        if isinstance(cause, ssl.SSLError):
            return f'no TLS there ({cause.reason or "cut off"}); for a server without it write {_with("http", url)} in base_urls'
    unknown = any(isinstance(cause, socket.gaierror) for cause in causes)
    if proxy:
        words = f'no such host as {urlsplit(proxy.url).hostname}' if unknown else _words(error, causes)
        spare = urlsplit(url).hostname
        return f'no way through this proxy: {words}; start it, correct ${proxy.variable}, or spare this server: NO_PROXY={spare}'
    if unknown:
        return f'no such host as {urlsplit(url).hostname}; correct base_urls'
    if url.startswith('http:') and isinstance(error, httpx2.RemoteProtocolError | httpx2.ReadError) and await _speaks_tls(url):
        return f'a port for https; write {_with("https", url)} in base_urls'
    words = _words(error, causes)
    return f'{words}; start the server (`phantom serve-demo` for the demo) or correct base_urls'


def _words(error: Exception, causes: Sequence[BaseException]) -> str:
    system = next((f'[Errno {e.errno}] {os.strerror(e.errno)}' for e in causes if isinstance(e, OSError) and e.errno), '')
    return system or str(error).rstrip('.') or type(error).__name__


def _with(scheme: str, url: str) -> str:
    return f'{scheme}:{url.partition(":")[2].removesuffix("/models")}'


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what caused it, the deepest last."""
    seen: list[BaseException] = []
    waiting = [error]
    while waiting:
        one = waiting.pop(0)
        if one in seen:
            continue
        seen.append(one)
        yield one
        waiting += [e for e in (one.__cause__, one.__context__) if e is not None]
        waiting += one.exceptions if isinstance(one, BaseExceptionGroup) else ()


async def _speaks_tls(url: str) -> bool:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # nothing is sent: only whether it answers a handshake
    parts = urlsplit(url)
    try:
        async with asyncio.timeout(LIST_S):
            _, writer = await asyncio.open_connection(parts.hostname, parts.port or 80, ssl=context)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True
