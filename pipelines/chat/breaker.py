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
from pipelines.chat.remedies import NOT_ASKED, Nature, is_provable, nature_of, remedy_for, told
from pipelines.chat.server_words import same_way
from schemas.replies import FINAL_KINDS, ChatRequest, Failure, Outcome, Reply

FIRST = 3  # calls: where none was answered so far, so many that fail in one way are enough
LAST = 20  # calls: later, more than half of so many
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

    Failures that are about a request by their words count once a control failed, too: the smallest request that is like theirs. With `give_up`
    every call that can be made is made: only a model that answered nothing so far, and not the control either, is let go.
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
        self._wanted: set[str] = set()  # likenesses of which a control is asked before anything else
        self._controlled: dict[str, str] = {}  # likeness -> key of its control
        self._taken: set[str] = set()  # likenesses whose control was answered
        self._doubted: set[str] = set()  # likenesses whose control failed
        self._waiting: list[tuple[Failure, str]] = []  # provable, with their likeness, of which none was answered yet

    @property
    def open(self) -> bool:
        """Return whether no call may be made any more."""
        return self.fault is not None

    @property
    def wants_control(self) -> bool:
        """Return whether a control is to be asked before any other call is made."""
        return bool(self._wanted)

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

    def settle(self, outcomes: Sequence[Outcome], *, at_end: bool = False) -> list[Outcome]:
        """Return what may be stored of `outcomes` and of earlier ones that waited for this.

        A control that was answered proves what failed beside it `at_end` only: of LAST calls that fail in a row the server is at fault after all.
        """
        with self._lock:
            for outcome in outcomes:
                if isinstance(outcome, Failure) and outcome.retryable:
                    self._note(outcome, is_last=True)
                elif isinstance(outcome, Failure) and is_provable(outcome):
                    self._waiting.append((outcome, self._alike.get(outcome.key, '')))
            at_once = [o for o in outcomes if is_proven(o) and not (isinstance(o, Failure) and is_provable(o))]
            proving = self._answered | (self._taken if at_end and not self.open else set())
            proven = [failure for failure, alike in self._waiting if alike in proving]
            self._waiting = [(failure, alike) for failure, alike in self._waiting if alike not in proving]
        return [*at_once, *proven]

    def controls(self, requests: Iterable[ChatRequest]) -> list[ChatRequest]:
        """Return a tiny request of each likeness of `requests` that fails while none of it was answered; each is given once."""
        with self._lock:
            doubtful = (self._wanted | {alike for _, alike in self._waiting}) - self._controlled.keys()
            self._wanted.clear()
            if self.open or not doubtful:
                return []
            found = {alike: request for request in requests if (alike := self._alike[request.key]) in doubtful}
            made = {alike: control_of(request) for alike, request in found.items()}
            self._alike |= {control.key: alike for alike, control in made.items()}
            self._controlled |= {alike: control.key for alike, control in made.items()}
        return list(made.values())

    def unproven(self) -> list[Failure]:
        """Return the failures that still wait, as pending ones, and forget them."""
        found = [replace(failure, retryable=True) for failure, _ in self._waiting]
        self._waiting = []
        return found

    def cut_off(self, request: ChatRequest) -> Failure:
        """Return the failure of a request that was not asked since this is open: it says so."""
        assert self.fault is not None, 'a closed breaker cuts nothing off'
        self.n_cut_off += 1
        like_those = replace(self.fault, detail=NOT_ASKED + self.fault.detail, retryable=True, text='', prompt_tokens=0, completion_tokens=0)
        return replace(like_those, key=request.key, resized=request.resized)

    def _note(self, outcome: Outcome, *, is_last: bool) -> None:
        nature = nature_of(outcome) if isinstance(outcome, Failure) else Nature.ANSWERED
        alike = self._alike.get(outcome.key, '')
        if nature is Nature.AWAITED:
            return
        if nature is not Nature.PASSING:
            self._silent_since = None
        if outcome.key == self._controlled.get(alike) and nature is not Nature.ANSWERED and (is_last or nature is Nature.PROVABLE):
            self._doubted.add(alike)
        if is_last or nature is Nature.ANSWERED:
            self._unsure.discard(outcome.key)
        if nature is Nature.ANSWERED:
            self._has_answered = True
            if outcome.key == self._controlled.get(alike):
                self._taken.add(alike)
                return
            self._keep(outcome.key, '')
            if isinstance(outcome, Reply) or outcome.kind == 'length':
                self._answered.add(alike)
        elif isinstance(outcome, Failure) and nature is Nature.PASSING:
            self._wait_for(outcome)
        elif isinstance(outcome, Failure) and not (nature is Nature.PROVABLE and alike in self._answered):
            is_sure = nature is not Nature.UNSURE or is_last or outcome.key in self._unsure
            if not is_sure:
                self._unsure.add(outcome.key)
            self._keep(outcome.key, way_of(outcome) if is_sure else '')
            if is_sure:
                self._judge(outcome, alike, needs_control=self.give_up or nature is Nature.PROVABLE)

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

    def _judge(self, failure: Failure, alike: str, *, needs_control: bool) -> None:
        """Open, or have a control asked before, if this is one failure too many of its way."""
        if self.give_up and (self._has_answered or self._answered):
            return
        way = way_of(failure)
        most = LAST if self.give_up else LAST // 2 + 1 if self._has_answered else FIRST
        n = sum(other == way for other in self._calls.values())
        if n < most:
            return
        if not needs_control or alike in self._doubted or (alike in self._taken and n == LAST):
            self.fault = self.fault or failure
        elif alike not in self._controlled:
            self._wanted.add(alike)


def way_of(failure: Failure) -> str:
    """Return the same text for failures of one way: status or kind, and the words without what is particular to one request."""
    return f'{failure.status or failure.kind} {same_way(failure.detail)}'


def explain(pending: Sequence[Failure], total: int, *, where: str, cut_off: int = 0) -> str:
    """Return what became of the calls that were not answered: how many, in which ways, in the server's own words, and what to do about each."""
    pending = [replace(failure, detail=failure.detail.removeprefix(NOT_ASKED)) for failure in pending]
    ways = Counter(way_of(failure) for failure in pending)
    examples = {way_of(failure): failure for failure in reversed(pending)}
    stopped = f', {cut_off} of them not asked since those before failed in one way' if cut_off else ''
    lines = [f'{n} x {told(examples[way])}\n    {remedy_for(examples[way])}' for way, n in ways.most_common(SHOWN_WAYS)]
    rest = sum(n for _, n in ways.most_common()[SHOWN_WAYS:])
    return '\n'.join([f'{where}: {len(pending)} of {total} call(s) have no reply{stopped}', *lines, *([f'{rest} in other ways'] if rest else [])])
