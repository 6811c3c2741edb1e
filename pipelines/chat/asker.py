"""What a step that asks models holds: the reply store, the ledger, one backend per model, and what to do with calls that keep failing."""

from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from pipelines.chat.ask import ask
from pipelines.chat.manners import read_manners
from pipelines.chat.open import open_backend
from pipelines.chat.protocol import ChatBackend
from pipelines.replies.ledger import Ledger
from pipelines.replies.store import ReplyStore
from schemas.errors import PendingWork
from schemas.recipe import Budget, Model
from schemas.replies import ChatRequest, Failure, Outcome


@dataclass
class Asker:
    """Asks models for one build. Plain values until it is used, so that it travels to a worker."""

    models: dict[str, Model]
    budget: Budget
    replies: str
    ledger: str
    _backends: dict[str, ChatBackend] = field(default_factory=dict)

    def __getstate__(self) -> dict[str, Any]:  # what was opened here is opened anew there
        return {**{name.name: getattr(self, name.name) for name in fields(self)}, '_backends': {}}

    @cached_property
    def _store(self) -> ReplyStore:
        return ReplyStore(self.replies)

    @cached_property
    def _ledger(self) -> Ledger:
        return Ledger(Path(self.ledger), self.budget, self.models)

    def ask(self, model: str, requests: dict[str, list[ChatRequest]], *, give_up: bool = False) -> dict[str, Outcome]:
        """Return key -> outcome for the requests of each source; raises PendingWork if some keep failing.

        With `give_up` those come back as they are: failures that say retryable.
        """
        if model not in self._backends:
            self._backends[model] = open_backend(
                self.models[model], Path(self.replies).parent / 'batches', read_manners(Path(self.replies).parent / 'servers', model)
            )
        outcomes: dict[str, Outcome] = {}
        for source, wanted in requests.items():
            outcomes.update(ask(wanted, store=self._store, backend=self._backends[model], ledger=self._ledger, source=source))
        pending = [o for o in outcomes.values() if isinstance(o, Failure) and o.retryable]
        if pending and not give_up:
            raise PendingWork(f'{len(pending)} of {len(outcomes)} call(s) to {model} failed, the first with {pending[0].kind}: {pending[0].detail}')
        return outcomes

    def close(self) -> None:
        """Release the store and every backend; they open again when they are needed."""
        for backend in self._backends.values():
            backend.close()
        self._backends.clear()
        self.__dict__.pop('_ledger', None)
        if (store := self.__dict__.pop('_store', None)) is not None:
            store.close()
