"""What an OpenAI-compatible server says of itself and of a model it serves."""

from typing import Any
from urllib.parse import urlsplit

import httpx

from pipelines.chat.keys import read_key
from schemas.recipe import Model

TIMEOUT_S = 10.0
MODEL_FACTS = ('id', 'owned_by', 'root', 'max_model_len')  # not `created`: vLLM gives the moment it is asked


def describe_server(model: Model) -> dict[str, Any]:
    """Return the host, what /models says of the model, and a vLLM server's version; without what the server does not tell.

    Keys and passwords are left out: the host is named without them.
    """
    url = model.base_urls[0]
    parts = urlsplit(url)
    about: dict[str, Any] = {'server': f'{parts.scheme}://{parts.hostname}{f":{parts.port}" if parts.port else ""}{parts.path}'}
    key = read_key(model.api_key_env)
    headers = {'Authorization': f'Bearer {key.value}'} if key.value else {}
    with httpx.Client(timeout=TIMEOUT_S, headers=headers) as client:
        rows = _fetch(client, f'{url.rstrip("/")}/models').get('data')
        row = next((row for row in (rows if isinstance(rows, list) else []) if isinstance(row, dict) and row.get('id') == model.model), {})
        about |= {name: row[name] for name in MODEL_FACTS if row.get(name) is not None}
        version = _fetch(client, f'{parts.scheme}://{parts.netloc}/version').get('version')
    return {**about, **({'version': str(version)} if version else {})}


def _fetch(client: httpx.Client, url: str) -> dict[str, Any]:
    try:
        found = client.get(url).raise_for_status().json()
    except (httpx.HTTPError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
