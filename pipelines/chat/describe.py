"""What an OpenAI-compatible server says of itself and of a model it serves."""

import asyncio
from typing import Any
from urllib.parse import urlsplit

from pipelines.chat.clients import open_http
from pipelines.chat.contact import LIST_S, ask, listed, row_of, version_of
from pipelines.chat.keys import Key, read_key
from schemas.recipe import Model

MODEL_FACTS = ('id', 'owned_by', 'root', 'max_model_len')  # not `created`: vLLM gives the moment it is asked


def describe_server(model: Model) -> dict[str, Any]:
    """Return the host, what /models says of the model, and the server's version; without what the server does not tell.

    Keys and passwords are left out: the host is named without them. Raises UserError where the environment keeps it from being asked.
    """
    return asyncio.run(_describe(model, read_key(model.api_key_env)))


async def _describe(model: Model, key: Key) -> dict[str, Any]:
    url = model.base_urls[0].rstrip('/')
    parts = urlsplit(url)
    about: dict[str, Any] = {'server': f'{parts.scheme}://{parts.hostname}{f":{parts.port}" if parts.port else ""}{parts.path}'}
    async with open_http(url, key, timeout=LIST_S) as http:
        answer = await ask(http, 'GET', f'{url}/models', key=key, limit_s=LIST_S)
        row = answer.status == 200 and row_of(model.model, listed(answer.body)) or {}
        about |= {name: key.hide(row[name]) if isinstance(row[name], str) else row[name] for name in MODEL_FACTS if row.get(name) is not None}
        version = await version_of(http, url, key)
    return {**about, **({'version': version} if version else {})}
