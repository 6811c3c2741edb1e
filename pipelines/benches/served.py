"""A model behind a server that answers a benchmark: asked as a recipe's models are, each reply stored before it counts and never bought twice."""

import asyncio
import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pipelines.benches.judge_asking import is_pending
from pipelines.benches.judge_identity import Signed, who_answered
from pipelines.chat.ask import ask
from pipelines.chat.breaker import Breaker, explain, patience_of
from pipelines.chat.clients import open_http
from pipelines.chat.contact import LIST_S, listed, names_of
from pipelines.chat.contact import ask as ask_server
from pipelines.chat.describe import describe_server
from pipelines.chat.keys import read_key
from pipelines.chat.open import open_backend
from pipelines.chat.protocol import IMAGES
from pipelines.chat.requests import greedy, make_request, prepare_image
from pipelines.replies.ledger import Ledger
from pipelines.replies.store import ReplyStore
from schemas.errors import PendingWork, UserError
from schemas.recipe import Budget, Model
from schemas.replies import ChatRequest, Failure, Outcome

WHOLE_PX = 100_000  # longer side: a server gets the picture that a checkpoint is given, and whoever serves it cuts it
SHOWN_NAMES = 10


def name_served(url: str, name: str, *, revision: str = '', key_env: str = 'OPENAI_API_KEY') -> Model:
    """Return the model to be asked at `url`: the one that is named or, without a name, the only one there. Raises UserError for anything else."""
    try:
        model = Model(model=name or 'any', revision=revision, base_urls=[url], api_key_env=key_env, images=True, max_image_px=WHOLE_PX)
    except ValidationError as e:
        if e.errors()[0]['loc'] == ('api_key_env',):
            raise UserError('--key-env: expected the name of an environment variable that holds the key, found something else') from e
        raise UserError(f'--url: {e.errors()[0]["msg"].removeprefix("Value error, base_urls: ")}') from e
    return model if name else model.model_copy(update={'model': only_name(model)})


def only_name(model: Model) -> str:
    """Return the name of the only model that a server lists; raises UserError where it lists none or several, or does not answer."""
    url, key = model.base_urls[0].rstrip('/'), read_key(model.api_key_env)

    async def look() -> Any:
        async with open_http(url, key, timeout=LIST_S) as http:
            return await ask_server(http, 'GET', f'{url}/models', key=key, limit_s=LIST_S)

    answer = asyncio.run(look())
    names = [names_of(row)[0] for row in listed(answer.body)] if answer.status == 200 else []
    if len(names) == 1:
        return names[0]
    found = key.hide(', '.join(names[:SHOWN_NAMES])) if names else answer.fault or f'a list of none (HTTP {answer.status})'
    raise UserError(f'--url {url}: expected one model, found {found}; name the one that is meant with --model, or start the server')


@contextmanager
def serving(bench: str, model: Model, out: Path) -> Iterator['ServedModel']:
    """Give the model at its address, met and seen to answer about a picture, with the replies it gave before, kept in `out`/served."""
    backend = open_backend(model)
    try:
        manners = backend.check(frozenset({IMAGES}))
    except UserError as e:
        raise type(e)(f'served model (--url, --model): {e}') from e
    finally:
        backend.close()
    backend, store = open_backend(model, manners=manners), ReplyStore(out / 'served' / 'replies')
    try:
        about = describe_server(model)
        ledger = Ledger(out / 'served' / 'ledger', Budget(), [model])
        breaker = Breaker(patience_s=patience_of(model.timeout_s))
        ask_model = partial(ask, store=store, backend=Signed(backend, about), ledger=ledger, source=bench, breaker=breaker)
        yield ServedModel(model, ask_model, about, breaker)
    finally:
        backend.close()
        store.close()


class ServedModel:
    """What one model replied; `phantom eval` scores it as it would a checkpoint's replies."""

    def __init__(self, model: Model, ask_model: Any, about: dict[str, Any], breaker: Breaker):
        self._model, self._ask_model, self._about, self._breaker = model, ask_model, about, breaker
        self._outcomes: list[Outcome] = []

    def ask(self, questions: Sequence[str], pictures: Sequence[Sequence[bytes]], max_tokens: int) -> list[str]:
        """Return the greedy reply to each question about its pictures, which stand before it; cut at `max_tokens`; '' where a call failed for good.

        Raises PendingWork while calls are still to be made: the same command asks only those.
        """
        requests = [self._request(*asked, max_tokens) for asked in zip(questions, pictures, strict=True)]
        outcomes = self._ask_model(requests)
        found = [outcomes[request.key] for request in requests]
        if waiting := [outcome for outcome in found if is_pending(outcome)]:
            where = f'model {self._model.model!r} at {", ".join(self._model.base_urls)}'
            told = explain(waiting, len(requests), where=where, cut_off=self._breaker.n_cut_off)
            raise PendingWork(f'{told}\nthere is no score until all replies are there; what came is stored: mend that and run the same command again')
        self._outcomes += found
        return [outcome.text if not isinstance(outcome, Failure) or outcome.kind == 'length' else '' for outcome in found]

    def about(self) -> dict[str, Any]:
        """Return who answered, and how many calls failed for good in which way."""
        failed = Counter(outcome.kind for outcome in self._outcomes if isinstance(outcome, Failure) and outcome.kind != 'length')
        who = who_answered(self._outcomes, self._about)
        return {'served': {'model': self._model.model, 'revision': self._model.revision, **who}, 'failed': dict(sorted(failed.items()))}

    def _request(self, question: str, pictures: Sequence[bytes], max_tokens: int) -> ChatRequest:
        images = [prepare_image(data, hashlib.sha256(data).hexdigest(), WHOLE_PX) for data in pictures]
        parts = [{'type': 'image_url', 'image_url': {'url': f'image:{index}'}} for index in range(len(images))]
        messages = [{'role': 'user', 'content': [*parts, {'type': 'text', 'text': question}]}]
        return make_request(messages, model=self._model.model, revision=self._model.revision, settings=greedy(max_tokens), images=images)
