"""Where every HTTP client is made."""

import httpx2  # what `openai` is built on

from pipelines.chat.keys import Key

NO_KEY = 'none'  # what a server without keys is sent
UNLIMITED = httpx2.Limits(max_connections=None, max_keepalive_connections=None)  # how many calls are in flight is decided elsewhere; by default 100


def open_http(url: str, key: Key, *, timeout: float) -> httpx2.AsyncClient:
    """Return a client for the server at `url` that follows no redirect."""
    headers = {'Authorization': f'Bearer {key.value or NO_KEY}', 'Accept': 'application/json'}
    return httpx2.AsyncClient(timeout=timeout, follow_redirects=False, headers=headers, limits=UNLIMITED)
