"""What a step that asks models holds: the reply store, the ledger, one backend per model, and what to do with calls that keep failing."""

from collections import Counter
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from pipelines.chat.ask import ask
from pipelines.chat.breaker import Breaker, explain, is_proven, patience_of
from pipelines.chat.manners import read_manners
from pipelines.chat.open import open_backend
from pipelines.chat.protocol import ChatBackend
from pipelines.chat.responses import reread
from pipelines.chat.served import count_served
from pipelines.replies.ledger import Ledger
from pipelines.replies.store import ReplyStore
from schemas.errors import NotStored, PendingWork
from schemas.recipe import Budget, Model
from schemas.replies import ChatRequest, Failure, Outcome


@dataclass
class Asker:
    """Asks models for one build. Plain values until it is used, so that it travels to a worker."""

    models: dict[str, Model]
    budget: Budget
    replies: str
    ledger: str
    only_stored: bool = False  # nobody is asked: a reply that is not stored is missing
    step: str = ''  # for which it asks
    served: Counter[str] = field(default_factory=Counter)  # what answered the calls since a step cleared it, as counts of its shard
    _backends: dict[str, ChatBackend] = field(default_factory=dict)
    _breakers: dict[str, Breaker] = field(default_factory=dict)  # over all shards of this process

    def __getstate__(self) -> dict[str, Any]:  # what was opened here is opened anew there
        return {**{name.name: getattr(self, name.name) for name in fields(self)}, '_backends': {}, '_breakers': {}}

    @cached_property
    def _store(self) -> ReplyStore:
        return ReplyStore(self.replies)

    @cached_property
    def _ledger(self) -> Ledger:
        return Ledger(Path(self.ledger), self.budget, self.models)

    def begin(self, step: str) -> None:
        """Ask for a shard of a step from now on."""
        self.served.clear()
        self.step = step

    def ask(self, model: str, requests: dict[str, list[ChatRequest]], *, give_up: bool = False) -> dict[str, Outcome]:
        """Return key -> outcome for the requests of each source; raises PendingWork, in the server's words, if some keep failing.

        With `give_up` those come back as they are: failures that say retryable. Raises NotStored where nobody may be asked and something would be.
        """
        if self.only_stored:
            return self._remembered(model, requests)
        self._ledger.step = self.step
        settings = self.models[model]
        if model not in self._backends:
            beside = Path(self.replies).parent
            self._backends[model] = open_backend(settings, beside / 'batches', read_manners(beside / 'servers', model))
        breaker = self._breakers.setdefault(model, Breaker(patience_s=patience_of(settings.timeout_s), give_up=give_up))
        cut_off = breaker.n_cut_off
        outcomes: dict[str, Outcome] = {}
        work = Path(self.ledger).parent
        for source, wanted in requests.items():
            outcomes.update(ask(
                wanted, store=self._store, backend=self._backends[model], ledger=self._ledger, source=source, breaker=breaker, work=work))
        self.served.update(count_served(model, outcomes.values()))
        pending = [o for o in outcomes.values() if isinstance(o, Failure) and o.retryable]
        if pending and not give_up:
            where = f'model {settings.model!r}' + (f' at {", ".join(settings.base_urls)}' if settings.base_urls else '')
            raise PendingWork(explain(pending, len(outcomes), where=where, cut_off=breaker.n_cut_off - cut_off))
        return outcomes

    def _remembered(self, model: str, requests: dict[str, list[ChatRequest]]) -> dict[str, Outcome]:
        """Return the stored outcomes, charged as those of a build that finds them stored."""
        found = self._store.get_many({request.key for some in requests.values() for request in some})
        outcomes = {key: reread(outcome) for key, outcome in found.items() if is_proven(outcome)}
        if missing := {request.key for some in requests.values() for request in some} - outcomes.keys():
            raise NotStored(len(missing))
        self._ledger.step = self.step
        self._ledger.refresh()
        for source, some in requests.items():
            self._ledger.charge(source, [outcomes[key] for key in dict.fromkeys(request.key for request in some)])
        self.served.update(count_served(model, outcomes.values()))
        return outcomes

    def needs(self, step: object) -> dict[str, float]:
        """Return what a process needs that runs those models in itself which a step asks (its `models`): the most that any of them takes."""
        resources = [self.models[name].resources for name in getattr(step, 'models', ())]
        taken = [resource.model_dump() for resource in resources if resource is not None]
        return {name: max(one[name] for one in taken) for name in taken[0]} if taken else {}

    def holds_model(self, step: object) -> bool:
        """Return whether a process runs a model in itself that asks those which a step asks (its `models`)."""
        return any(self.models[name].backend == 'vllm' for name in getattr(step, 'models', ()))

    def close(self) -> None:
        """Release the store and every backend; they open again when they are needed."""
        for backend in self._backends.values():
            backend.close()
        self._backends.clear()
        self.__dict__.pop('_ledger', None)
        if (store := self.__dict__.pop('_store', None)) is not None:
            store.close()
