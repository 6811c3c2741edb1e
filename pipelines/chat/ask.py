"""Outcomes for a batch of requests: stored ones first, the missing ones asked, each batch stored as it arrives."""

import threading
from collections.abc import Iterator, Sequence

from pipelines.chat.breaker import Breaker, is_proven, unless_proven
from pipelines.chat.protocol import ChatBackend
from pipelines.replies.ledger import Ledger, Spend
from pipelines.replies.store import ReplyStore
from schemas.replies import ChatRequest, Outcome

STORE_EVERY = 32  # replies; what a kill can lose is this and what is in flight


def ask(
    requests: Sequence[ChatRequest], *, store: ReplyStore, backend: ChatBackend, ledger: Ledger, source: str, breaker: Breaker | None = None
) -> dict[str, Outcome]:
    """Return key -> outcome for every request. Pending failures are returned but not stored; a later run asks them again.

    Failures found stored that are not proven (of older stores) are asked again. What `breaker` lets not be asked comes back as pending, too.
    Raises BudgetExceeded, after storing what is in flight, when the ledger has no room for the missing requests.
    """
    breaker = Breaker() if breaker is None else breaker
    outcomes = {key: outcome for key, outcome in store.get_many(request.key for request in requests).items() if is_proven(outcome)}
    ledger.refresh()
    ledger.charge(source, outcomes.values())
    missing = list({r.key: r for r in requests if r.key not in outcomes}.values())
    breaker.meet(requests, outcomes)
    if not missing:
        return outcomes
    window = _Window(missing, ledger, breaker)
    batch: list[Outcome] = []
    try:
        for outcome in backend.complete(window.requests(), window.hear):
            batch.append(unless_proven(outcome))
            outcomes[outcome.key] = batch[-1]
            if len(batch) == STORE_EVERY:
                window.settle(batch, _stored(breaker.settle(batch), store), source)
                batch = []
    finally:
        window.settle(batch, _stored(breaker.settle(batch), store), source)
    if window.fault:
        raise ledger.stop(window.fault, missing=sum(r.key not in outcomes for r in missing))
    for control in breaker.controls(missing):
        ask([control], store=store, backend=backend, ledger=ledger, source=source, breaker=breaker)
    window.settle([], _stored(breaker.settle([]), store), source)
    outcomes |= {failure.key: failure for failure in breaker.unproven(missing)}
    return outcomes | {request.key: breaker.cut_off(request) for request in missing if request.key not in outcomes}


class _Window:
    """Hands out requests as long as the budget has room for those not yet charged.

    The thread that reads requests also tells what came back, so a reply that reaches the limit is the last thing before the stop,
    however late the caller's thread takes, stores and charges it.
    """

    def __init__(self, missing: Sequence[ChatRequest], ledger: Ledger, breaker: Breaker):
        self._missing = missing
        self._ledger = ledger
        self._breaker = breaker
        self._lock = threading.Lock()
        self._in_flight = 0  # issued and not charged yet
        self._arrived = Spend()  # what those of them cost that are back
        self.fault = ''

    def requests(self) -> Iterator[ChatRequest]:
        """Yield requests until the budget is spent; then `fault` says how. None once the breaker is open."""
        for request in self._missing:
            if self._breaker.open:
                return
            with self._lock:
                self.fault = self._ledger.fault(self._in_flight, self._arrived)
                if self.fault:
                    return
                self._in_flight += 1
            yield request

    def hear(self, outcome: Outcome) -> bool:
        """Note the cost of an outcome that is back: a stop may be late by what is in flight, not by what waits to be taken or stored."""
        with self._lock:
            self._arrived += self._ledger.spend_of(outcome)
        return self._breaker.hear(outcome)

    def settle(self, batch: Sequence[Outcome], stored: Sequence[Outcome], source: str) -> None:
        """Charge what has been stored of `batch`, the rest of which is to be asked again."""
        with self._lock:
            self._ledger.charge(source, stored)
            self._ledger.refresh()
            self._in_flight -= len(batch)
            for outcome in batch:
                self._arrived -= self._ledger.spend_of(outcome)


def _stored(batch: list[Outcome], store: ReplyStore) -> list[Outcome]:
    store.put_many(batch)
    return batch
