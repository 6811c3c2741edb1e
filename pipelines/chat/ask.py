"""Outcomes for a batch of requests: stored ones first, the missing ones asked, each batch stored as it arrives."""

import threading
from collections.abc import Iterator, Sequence

from pipelines.chat.protocol import ChatBackend
from pipelines.chat.responses import reread
from pipelines.replies.ledger import Ledger, Spend
from pipelines.replies.store import ReplyStore
from schemas.replies import ChatRequest, Failure, Outcome

STORE_EVERY = 32  # replies; what a kill can lose is this and what is in flight


def ask(
    requests: Sequence[ChatRequest], *, store: ReplyStore, backend: ChatBackend, ledger: Ledger, source: str
) -> dict[str, Outcome]:
    """Return key -> outcome for every request. Pending failures are returned but not stored; a later run asks them again.

    Raises BudgetExceeded, after storing what is in flight, when the ledger has no room for the missing requests.
    """
    outcomes = {key: reread(outcome) for key, outcome in store.get_many(request.key for request in requests).items()}
    ledger.refresh()
    ledger.charge(source, outcomes.values())
    missing = list({r.key: r for r in requests if r.key not in outcomes}.values())
    if not missing:
        return outcomes
    window = _Window(missing, ledger)
    batch: list[Outcome] = []
    try:
        for outcome in backend.complete(window.requests(), window.hear):
            batch.append(outcome)
            outcomes[outcome.key] = outcome
            if len(batch) == STORE_EVERY:
                window.settle(batch, _stored(batch, store), source)
                batch = []
    finally:
        window.settle(batch, _stored(batch, store), source)
    if window.fault:
        raise ledger.stop(window.fault, missing=sum(r.key not in outcomes for r in missing))
    return outcomes


class _Window:
    """Hands out requests as long as the budget has room for those not yet charged.

    The thread that reads requests also tells what came back, so a reply that reaches the limit is the last thing before the stop,
    however late the caller's thread takes, stores and charges it.
    """

    def __init__(self, missing: Sequence[ChatRequest], ledger: Ledger):
        self._missing = missing
        self._ledger = ledger
        self._lock = threading.Lock()
        self._in_flight = 0  # issued and not charged yet
        self._arrived = Spend()  # what those of them cost that are back
        self.fault = ''

    def requests(self) -> Iterator[ChatRequest]:
        """Yield requests until the budget is spent; then `fault` says how."""
        for request in self._missing:
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
        return True

    def settle(self, batch: Sequence[Outcome], stored: Sequence[Outcome], source: str) -> None:
        """Charge what has been stored of `batch`, the rest of which is to be asked again."""
        with self._lock:
            self._ledger.charge(source, stored)
            self._ledger.refresh()
            self._in_flight -= len(batch)
            for outcome in batch:
                self._arrived -= self._ledger.spend_of(outcome)


def _stored(batch: Sequence[Outcome], store: ReplyStore) -> list[Outcome]:
    settled = [o for o in batch if not (isinstance(o, Failure) and o.retryable)]
    store.put_many(settled)
    return settled
