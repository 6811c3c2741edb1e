"""Where every HTTP client is made: what the environment says of headers, proxies and certificates is looked at here, in each process that asks."""

import os
import re
from typing import Any, TypeVar

import httpx2  # what `openai` is built on
import openai

from pipelines.chat.keys import Key
from pipelines.chat.proxies import proxy_for, trusted
from schemas.errors import UserError

SENT = ('OPENAI_ORG_ID', 'OPENAI_PROJECT_ID', 'OPENAI_CUSTOM_HEADERS')  # variables that `openai` 3 puts into headers unasked
LIMITS = httpx2.Limits(max_connections=2048, max_keepalive_connections=1024)  # the library's own, 100 and 20, are fewer than `concurrency` may be
HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # a name (RFC 9110, section 5.6.2)
NO_KEY = 'none'  # what a server without keys is sent

HttpT = TypeVar('HttpT', httpx2.Client, httpx2.AsyncClient)


def open_client(url: str, key: Key, *, timeout: float | openai.Timeout, max_retries: int = 0) -> openai.AsyncOpenAI:
    """Return a client for the server at `url`; raises UserError where the environment keeps one from being made."""
    http = _http(openai.DefaultAsyncHttpxClient, url)
    return openai.AsyncOpenAI(base_url=url, api_key=key.value or NO_KEY, max_retries=max_retries, timeout=timeout, http_client=http)


def open_blocking_client(url: str, key: Key, *, timeout: float | openai.Timeout, max_retries: int = 0) -> openai.OpenAI:
    """Return a client that waits for each answer; raises UserError as `open_client` does."""
    http = _http(openai.DefaultHttpxClient, url)
    return openai.OpenAI(base_url=url, api_key=key.value or NO_KEY, max_retries=max_retries, timeout=timeout, http_client=http)


def open_http(url: str, key: Key, *, timeout: float) -> httpx2.AsyncClient:
    """Return a bare client that sends the headers the others send and follows no redirect; raises UserError as `open_client` does."""
    headers = {'Authorization': f'Bearer {key.value or NO_KEY}', 'User-Agent': f'AsyncOpenAI/Python {openai.__version__}'}
    for variable, name in (('OPENAI_ORG_ID', 'OpenAI-Organization'), ('OPENAI_PROJECT_ID', 'OpenAI-Project')):
        if os.environ.get(variable):
            headers[name] = os.environ[variable]
    for line in os.environ.get('OPENAI_CUSTOM_HEADERS', '').split('\n'):
        name, colon, value = line.partition(':')
        if colon and name.strip():
            headers[name.strip()] = value.strip()
    return _http(httpx2.AsyncClient, url, timeout=timeout, follow_redirects=False, headers=headers, limits=LIMITS)


def _http(kind: type[HttpT], url: str, **more: Any) -> HttpT:
    """Return an HTTP client that takes nothing from the environment by itself: the library would stop at a proxy that no call of ours uses."""
    for variable in SENT:
        _refuse_unsendable(variable)
    proxy = proxy_for(url)
    try:
        return kind(trust_env=False, proxy=proxy.url if proxy else None, verify=trusted(url, proxy), **more)
    except (ValueError, ImportError, httpx2.InvalidURL):  # the library's words may hold the password
        assert proxy is not None, 'without a proxy there is nothing to refuse'
        raise UserError(f'${proxy.variable}: expected a proxy such as http://127.0.0.1:3128, found {proxy}; correct it, or unset it') from None


def _refuse_unsendable(variable: str) -> None:
    value = os.environ.get(variable, '')
    lines = value.split('\n') if variable == 'OPENAI_CUSTOM_HEADERS' else [value]
    if not all(line.isascii() and line.isprintable() for line in lines) or variable != 'OPENAI_CUSTOM_HEADERS' and value != value.strip():
        raise UserError(f'${variable}: expected printable ASCII, since it is sent as a header, found something else in it; correct it, or unset it')
    names = [line.partition(':')[0].strip() for line in lines if ':' in line]
    if variable == 'OPENAI_CUSTOM_HEADERS' and not all(map(HEADER.fullmatch, names)):
        raise UserError(f'${variable}: expected lines such as "X-Team: blue", found a name that no header has; correct it, or unset it')
