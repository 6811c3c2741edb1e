"""Outcomes for a batch of requests: stored ones first, the missing ones asked, each batch stored as it arrives."""

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipelines.chat.breaker import Breaker, is_proven, unless_proven
from pipelines.chat.protocol import ChatBackend
from pipelines.chat.responses import reread
from pipelines.chat.waiting import Waiting, told
from pipelines.replies.ledger import Ledger, Spend
from pipelines.replies.store import ReplyStore
from schemas.replies import ChatRequest, Failure, Outcome

STORE_EVERY = 32  # replies; what a kill can lose is this and what is in flight


def ask(
    requests: Sequence[ChatRequest], *, store: ReplyStore, backend: ChatBackend, ledger: Ledger, source: str, breaker: Breaker | None = None,
    work: Path | None = None,
) -> dict[str, Outcome]:
    """Return key -> outcome for every request. Pending failures are returned but not stored; a later run asks them again.

    A failure that is provably about its request is stored once one like it is answered: the tiny control that is asked for that, if no other is.
    Failures found stored that are not proven (of older stores) are asked again. What `breaker` lets not be asked comes back as pending, too.
    In the folder `work` it is noted how the calls go, for who looks from outside.
    Raises BudgetExceeded, after storing what is in flight, when the ledger has no room for the missing requests or for another try at one.
    """
    breaker = Breaker() if breaker is None else breaker
    outcomes = {key: reread(outcome) for key, outcome in store.get_many(r.key for r in requests).items() if is_proven(outcome)}
    ledger.refresh()
    ledger.charge(source, outcomes.values())
    missing = list({r.key: r for r in requests if r.key not in outcomes}.values())
    breaker.meet(requests, outcomes)
    window = _Window(missing, ledger, source, breaker)
    waiting = Waiting(missing[0].model if missing else '', len(missing), source)
    batch: list[Outcome] = []
    try:
        while window.has_room():
            with told(waiting, work):
                for outcome in map(unless_proven, backend.complete(waiting.counted(window.requests()), window.hear)):
                    outcomes[outcome.key] = outcome
                    waiting.came(lost=_is_pending(outcome))
                    if _is_pending(outcome):
                        window.let_go()
                    batch.append(outcome)
                    if len(batch) == STORE_EVERY:
                        whole, batch = batch, []
                        window.settle(_stored(breaker.settle(whole), store))
            whole, batch = batch, []
            window.settle(_stored(breaker.settle(whole), store))
            for control in breaker.controls(missing):
                known = [outcome for outcome in store.get_many([control.key]).values() if is_proven(outcome)]
                ledger.charge(source, known)
                for outcome in known:
                    breaker.hear(outcome)
                if not known:
                    window.ask_next(control)
    finally:
        window.settle(_stored(breaker.settle(batch, at_end=True), store))
        unproven = breaker.unproven()
        window.give_back(unproven)
    outcomes |= {failure.key: failure for failure in unproven}
    left = [request for request in missing if request.key not in outcomes]
    unanswered = len(left) + sum(_is_pending(outcomes[r.key]) for r in missing if r.key in outcomes)
    fault = ledger.fault() or (window.stopped if left and not breaker.open else '')
    if unanswered and window.stopped and fault:
        raise ledger.stop(fault, missing=unanswered)
    outcomes |= {request.key: breaker.cut_off(request) for request in left}
    return {request.key: outcomes[request.key] for request in requests}


class _Window:
    """Hands out requests as long as the budget has room for those not yet charged, and says whether there is room for another try.

    The thread that reads requests also tells what came back, so a reply that reaches the limit is the last thing before the stop,
    however late the caller's thread takes, stores and charges it.
    """

    def __init__(self, missing: Sequence[ChatRequest], ledger: Ledger, source: str, breaker: Breaker):
        self._missing = list(missing)
        self._ledger = ledger
        self._source = source
        self._breaker = breaker
        self._lock = threading.Lock()
        self._next = 0  # of the missing
        self._in_flight = 0  # issued and not charged yet: each is one post at most, until it is heard of
        self._arrived = Spend()  # what those of them cost that are back and may be stored
        self.stopped = ''  # what was spent when a request or another try at one was held back

    def has_room(self) -> bool:
        """Return whether there are requests left and room for one. Those held back for calls that then ended without a reply are issued now."""
        with self._lock:
            return not self._breaker.open and self._next < len(self._missing) and self._room(self._in_flight)

    def requests(self) -> Iterator[ChatRequest]:
        """Yield requests until the budget is spent, or the breaker is open or wants a control asked first."""
        while not (self._breaker.open or self._breaker.wants_control):
            with self._lock:
                if self._next == len(self._missing) or not self._room(self._in_flight):
                    return
                request = self._missing[self._next]
                self._next += 1
                self._in_flight += 1
            yield request

    def ask_next(self, request: ChatRequest) -> None:
        """Put a request before those that are left."""
        with self._lock:
            self._missing.insert(self._next, request)

    def hear(self, outcome: Outcome) -> bool:
        """Note what a try cost; return whether there is room for another one: a stop may be late by what is in flight, not by what waits."""
        with self._lock:
            if _is_pending(unless_proven(outcome)):
                self._ledger.charge_tries(self._source, [outcome])  # it is stored nowhere: if not now, it is forgotten with this process
            else:
                self._arrived += self._ledger.spend_of(outcome)
            room = self._room(self._in_flight - 1)  # the post that was heard of is in the ledger
        return self._breaker.hear(outcome) and room

    def let_go(self) -> None:
        """Make room for another one in the place of a call that ended without a reply."""
        with self._lock:
            self._release(1)

    def settle(self, stored: Sequence[Outcome]) -> None:
        """Charge what has been stored."""
        with self._lock:
            self._ledger.charge_asked(self._source, stored)
            self._ledger.refresh()
            self._release(len(stored), stored)

    def give_back(self, unproven: Sequence[Failure]) -> None:
        """Charge the posts of failures that are pending after all."""
        with self._lock:
            self._ledger.charge_tries(self._source, unproven)
            self._release(len(unproven), unproven)

    def _release(self, n: int, arrived: Sequence[Outcome] = ()) -> None:
        self._in_flight -= n
        for outcome in arrived:
            self._arrived -= self._ledger.spend_of(outcome)
        if not self._in_flight:
            self._arrived = Spend()  # sums of money leave crumbs

    def _room(self, in_flight: int) -> bool:
        fault = self._ledger.fault(in_flight, self._arrived)
        self.stopped = self.stopped or fault
        return not fault


def _is_pending(outcome: Outcome) -> bool:
    return isinstance(outcome, Failure) and outcome.retryable


def _stored(batch: list[Outcome], store: ReplyStore) -> list[Outcome]:
    store.put_many(batch)
    return batch
