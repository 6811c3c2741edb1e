"""When to stop asking a model: its calls fail in one way and will go on to, or none has been answered for long.

And which failures may be kept: those that are provably about one request, once a request like it was answered here.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from pipelines.chat.endpoints import PATIENCE_S
from pipelines.chat.likeness import control_of, likeness
from pipelines.chat.remedies import Nature, is_provable, nature_of, remedy_for, told
from pipelines.chat.server_words import same_way
from schemas.replies import FINAL_KINDS, ChatRequest, Failure, Outcome, Reply

FIRST = 3  # calls: where none was answered so far, so many that fail in one way are enough
LAST = 20  # calls: later, more than half of so many
SINGLE = 2  # at most so many unproven failures of a kind are put to the test by a control; more of them are no chance but the server
SHOWN_WAYS = 3  # of failing, in a message: the most frequent
TRIES_TO_PATIENCE = 2  # calls that run out of time one after the other, beyond the first: then the pace has gone from four at once to one


def is_proven(outcome: Outcome) -> bool:
    """Return whether an outcome is one that stays: of older stores failures are not, which were final for any status."""
    return isinstance(outcome, Reply) or (outcome.kind in FINAL_KINDS and not outcome.retryable)


def unless_proven(outcome: Outcome) -> Outcome:
    """Return an outcome that stays as it is, any other one as pending, whatever its backend takes it for."""
    return outcome if isinstance(outcome, Reply) or is_proven(outcome) else replace(outcome, retryable=True)


def patience_of(timeout_s: float) -> float:
    """Return how many seconds a model may leave every call without an answer before it is asked no more."""
    return max(PATIENCE_S, TRIES_TO_PATIENCE * timeout_s)


class Breaker:
    """Of one model, for as long as a process asks it. Hears each try, in whatever thread; open, it lets none begin any more.

    With `give_up` every call that can be made is made: only a model of which nothing else comes back than failures in one way is let go.
    """

    def __init__(self, *, patience_s: float = PATIENCE_S, give_up: bool = False, clock: Callable[[], float] = time.monotonic):
        self.give_up = give_up
        self.fault: Failure | None = None  # what it opened for
        self.n_cut_off = 0  # requests that were not asked since
        self._patience_s = patience_s
        self._clock = clock
        self._lock = threading.Lock()
        self._calls: dict[str, str] = {}  # the last calls in the order they were first heard of: key -> the way it fails, '' where it does not
        self._unsure: set[str] = set()  # calls of which one try failed in a way that the next one may not
        self._has_answered = False
        self._silent_since: float | None = None
        self._alike: dict[str, str] = {}  # key -> likeness, of the requests being asked
        self._answered: set[str] = set()  # likenesses of which one was answered
        self._controlled: set[str] = set()
        self._waiting: list[tuple[Failure, str]] = []  # provable, with their likeness, of which none was answered yet

    @property
    def open(self) -> bool:
        """Return whether no call may be made any more."""
        return self.fault is not None

    def meet(self, requests: Iterable[ChatRequest], stored: dict[str, Outcome]) -> None:
        """Learn what is about to be asked, and which requests like it were answered before."""
        with self._lock:
            self._alike = {request.key: likeness(request) for request in requests}
            self._answered |= {self._alike[key] for key, outcome in stored.items() if isinstance(outcome, Reply)}

    def hear(self, outcome: Outcome) -> bool:
        """Note what a try brought; return whether another may be made."""
        with self._lock:
            self._note(outcome, is_last=False)
        return not self.open

    def settle(self, outcomes: Sequence[Outcome]) -> list[Outcome]:
        """Return what may be stored of `outcomes` and of earlier ones that waited for this."""
        with self._lock:
            for outcome in outcomes:
                if isinstance(outcome, Failure) and outcome.retryable:
                    self._note(outcome, is_last=True)
                elif isinstance(outcome, Failure) and is_provable(outcome):
                    self._waiting.append((outcome, self._alike.get(outcome.key, '')))
            at_once = [o for o in outcomes if is_proven(o) and not (isinstance(o, Failure) and is_provable(o))]
            proven = [failure for failure, alike in self._waiting if alike in self._answered]
            self._waiting = [(failure, alike) for failure, alike in self._waiting if alike not in self._answered]
        return [*at_once, *proven]

    def controls(self, requests: Iterable[ChatRequest]) -> list[ChatRequest]:
        """Return a tiny request for each kind of those few that failed provably while none like them was asked with success."""
        few = Counter(alike for _, alike in self._waiting)
        waiting = {failure.key: alike for failure, alike in self._waiting if few[alike] <= SINGLE and alike not in self._controlled}
        found = {waiting[request.key]: control_of(request) for request in requests if request.key in waiting}
        if self.open:
            return []
        self._controlled |= found.keys()
        return list(found.values())

    def unproven(self, requests: Iterable[ChatRequest]) -> list[Failure]:
        """Return the failures of `requests` that still wait, as pending ones, and forget them."""
        keys = {request.key for request in requests}
        found = [replace(failure, retryable=True) for failure, _ in self._waiting if failure.key in keys]
        self._waiting = [(failure, alike) for failure, alike in self._waiting if failure.key not in keys]
        return found

    def cut_off(self, request: ChatRequest) -> Failure:
        """Return the failure of a request that was not asked since this is open."""
        assert self.fault is not None, 'a closed breaker cuts nothing off'
        self.n_cut_off += 1
        return replace(self.fault, key=request.key, retryable=True, text='', resized=request.resized, prompt_tokens=0, completion_tokens=0)

    def _note(self, outcome: Outcome, *, is_last: bool) -> None:
        nature = nature_of(outcome) if isinstance(outcome, Failure) else Nature.ANSWERED
        alike = self._alike.get(outcome.key, '')
        if nature is Nature.AWAITED:
            return
        if nature is not Nature.PASSING:
            self._silent_since = None
        if is_last or nature is Nature.ANSWERED:
            self._unsure.discard(outcome.key)
        if nature is Nature.ANSWERED:
            self._has_answered = True
            self._keep(outcome.key, '')
            if isinstance(outcome, Reply) or outcome.kind == 'length':
                self._answered.add(alike)
        elif isinstance(outcome, Failure) and nature is Nature.PASSING:
            self._wait_for(outcome)
        elif isinstance(outcome, Failure) and not (nature is Nature.PROVABLE and (self.give_up or alike in self._answered)):
            is_sure = nature is not Nature.UNSURE or is_last or outcome.key in self._unsure
            if not is_sure:
                self._unsure.add(outcome.key)
            self._keep(outcome.key, way_of(outcome) if is_sure else '')
            if is_sure:
                self._judge(outcome, is_provable=nature is Nature.PROVABLE)

    def _keep(self, key: str, way: str) -> None:
        """Note how a call fares, and forget all but the last ones."""
        self._calls[key] = way
        for old in list(self._calls)[:-LAST]:
            del self._calls[old]

    def _wait_for(self, failure: Failure) -> None:
        now = self._clock()
        if self._silent_since is None:
            self._silent_since = now
        elif now - self._silent_since > self._patience_s:
            self.fault = self.fault or failure

    def _judge(self, failure: Failure, *, is_provable: bool) -> None:
        """Open if this is one failure too many of its way."""
        way = way_of(failure)
        alike = sum(other == way for other in self._calls.values())
        first = FIRST if not (self._has_answered or is_provable) else LAST // 2 + 1
        if alike >= (LAST if self.give_up else first):
            self.fault = self.fault or failure


def way_of(failure: Failure) -> str:
    """Return the same text for failures of one way: status or kind, and the words without what is particular to one request."""
    return f'{failure.status or failure.kind} {same_way(failure.detail)}'


def explain(pending: Sequence[Failure], total: int, *, where: str, cut_off: int = 0) -> str:
    """Return what became of the calls that were not answered: how many, in which ways, in the server's own words, and what to do about each."""
    ways = Counter(way_of(failure) for failure in pending)
    examples = {way_of(failure): failure for failure in reversed(pending)}
    stopped = f', {cut_off} of them not asked since those before failed in one way' if cut_off else ''
    lines = [f'{n} x {told(examples[way])}\n    {remedy_for(examples[way])}' for way, n in ways.most_common(SHOWN_WAYS)]
    rest = sum(n for _, n in ways.most_common()[SHOWN_WAYS:])
    return '\n'.join([f'{where}: {len(pending)} of {total} call(s) have no reply{stopped}', *lines, *([f'{rest} in other ways'] if rest else [])])
