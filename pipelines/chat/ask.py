"""Outcomes for a batch of requests: stored ones first, the missing ones asked, each batch stored as it arrives."""

from collections.abc import Iterator, Sequence

from pipelines.chat.protocol import ChatBackend
from pipelines.ledger import Ledger
from pipelines.replies import ReplyStore
from schemas.replies import ChatRequest, Failure, Outcome

STORE_EVERY = 32  # replies; what a kill can lose is this and what is in flight


def ask(
    requests: Sequence[ChatRequest], *, store: ReplyStore, backend: ChatBackend, ledger: Ledger, source: str
) -> dict[str, Outcome]:
    """Return key -> outcome for every request. Pending failures are returned but not stored; a later run asks them again.

    Raises BudgetExceeded, after storing what is in flight, when the ledger has no room for the missing requests.
    """
    outcomes = store.get_many(request.key for request in requests)
    ledger.refresh()
    ledger.charge(source, outcomes.values())
    missing = list({r.key: r for r in requests if r.key not in outcomes}.values())
    if not missing:
        return outcomes
    window = _Window(missing, ledger)
    batch: list[Outcome] = []
    try:
        for outcome in backend.complete(window.requests()):
            batch.append(outcome)
            outcomes[outcome.key] = outcome
            if len(batch) == STORE_EVERY:
                _keep(batch, store, ledger, source)
                window.settled += len(batch)
                batch = []
    finally:
        _keep(batch, store, ledger, source)
    if window.fault:
        raise ledger.stop(window.fault, missing=sum(r.key not in outcomes for r in missing))
    return outcomes


class _Window:
    """Hands out requests as long as the budget has room for those not yet counted."""

    def __init__(self, missing: Sequence[ChatRequest], ledger: Ledger):
        self._missing = missing
        self._ledger = ledger
        self.issued = 0  # written by the backend's thread only
        self.settled = 0  # written by the caller's thread only
        self.fault = ''

    def requests(self) -> Iterator[ChatRequest]:
        for request in self._missing:
            self.fault = self._ledger.fault(in_flight=self.issued - self.settled)
            if self.fault:
                return
            self.issued += 1
            yield request


def _keep(batch: Sequence[Outcome], store: ReplyStore, ledger: Ledger, source: str) -> None:
    settled = [o for o in batch if not (isinstance(o, Failure) and o.retryable)]
    store.put_many(settled)
    ledger.charge(source, settled)
    ledger.refresh()
