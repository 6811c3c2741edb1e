"""How many calls a server is given at once: few at first, more while that brings more replies, half of them after a time-out."""

from dataclasses import dataclass

START = 4  # calls at once, before anything is known of the server
LEAPS = (8, 3)  # growth from round to round while the server is far from its limits: 4, 32, 256, so that 100 at once are soon there ...
EASY = 8  # ... far from them: the longest wait, grown as much, is still less than this part of the time-out
FACTOR = 2  # growth while it is not so far from them
STEP = 0.25  # ... and after the first round that brought nothing more, or the first time-out
TENSE = 2  # no growth that would bring the longest wait above this part of the time-out, and fewer calls when it is there
GAIN = 0.15  # twice as many calls at once must bring at least this share more replies a second: a queue brings none, a batch does
SETTLED = 2  # rounds after which a size is judged to bring too little: one can be bad luck
MIN_ROUND = 4  # replies
SMOOTH = 0.4  # weight of the last round in the rate of a size
FIRST_HOLD = 4  # rounds to hold a size after a larger one brought nothing or was too much; doubled each time, up to ...
MAX_HOLD = 64


@dataclass(slots=True)
class Size:
    """A number of calls at once, and what it was seen to bring."""

    calls: int
    rate: float = 0.0  # replies a second
    rounds: int = 0

    def add(self, rate: float) -> None:
        """Note the rate of one more round."""
        self.rate = rate if not self.rounds else self.rate + SMOOTH * (rate - self.rate)
        self.rounds += 1


class Pace:
    """The number of calls that one server bears at once, learned from what comes back. A round is as many replies as there are calls at once."""

    def __init__(self, most: int, timeout_s: float, now: float):
        self._most = most
        self._timeout_s = timeout_s
        self._size = Size(min(START, most))
        self._smaller: Size | None = None  # the size before the last growth
        self._calm = True  # nothing has gone wrong and growth has brought something so far
        self._hold = 0  # rounds until a larger size is tried
        self._next_hold = FIRST_HOLD
        self._changed = now  # when the size changed: calls sent before say nothing of it
        self._halved = now - 1
        self._begun, self._count, self._filled, self._longest_s = now, 0, False, 0.0  # of this round

    @property
    def limit(self) -> int:
        """How many calls may be in flight."""
        return self._size.calls

    def sent(self, in_flight: int) -> None:
        """Note a call that is sent; `in_flight` counts it."""
        self._filled = self._filled or in_flight >= self.limit

    def answered(self, sent_at: float, waited_s: float, now: float) -> None:
        """Note a reply, and how long nothing came of its call at the longest."""
        self._count += 1
        if sent_at >= self._changed:
            self._longest_s = max(self._longest_s, waited_s)
        if self._count >= max(self.limit, MIN_ROUND):
            self._judge(now)

    def overloaded(self, sent_at: float, now: float) -> None:
        """Note a call that the server had no room for: half as many at once, once for all that were sent before this is known."""
        if self._halve(sent_at, now):
            self._stop_growing()

    def throttled(self, sent_at: float, now: float) -> None:
        """Note a call that was one too many in its time: half as many at once, but more again as soon as they are let through."""
        self._halve(sent_at, now)

    def _halve(self, sent_at: float, now: float) -> bool:
        if sent_at <= self._halved:
            return False
        self._halved = now
        self._change(max(1, self.limit // 2), None, now)
        return True

    def _judge(self, now: float) -> None:
        filled, longest_s = self._filled, self._longest_s
        rate = self._count / max(now - self._begun, 1e-6)
        self._start_round(now)
        if longest_s * TENSE > self._timeout_s and self.limit > 1:
            self._stop_growing()
            return self._change(max(1, int(self.limit * (1 - STEP))), None, now)
        if not filled:
            return None  # there was not enough to ask: this says nothing of the server
        self._size.add(rate)
        self._hold = max(0, self._hold - 1)
        if self._pays():
            if not self._hold and self.limit < self._most and (self._calm or self._size.rounds >= SETTLED):
                self._grow(longest_s, now)
        elif self._size.rounds >= SETTLED and self._smaller is not None:
            self._stop_growing()
            self._change(self._smaller.calls, None, now)
        return None

    def _pays(self) -> bool:
        """Return whether this size brings more than the smaller one, as far as is known."""
        if self._smaller is None:
            return True
        growth = self.limit / self._smaller.calls - 1
        return self._size.rate >= self._smaller.rate * (1 + GAIN * growth)

    def _grow(self, longest_s: float, now: float) -> None:
        factors = (*LEAPS, FACTOR, 1 + STEP) if self._calm else (1 + STEP,)
        for factor in factors:
            ease = EASY if factor in LEAPS else TENSE
            if longest_s * factor * ease <= self._timeout_s:
                if self._smaller is not None and not self._calm:
                    self._next_hold = FIRST_HOLD
                return self._change(min(self._most, max(self.limit + 1, int(self.limit * factor))), self._size, now)
        return None

    def _stop_growing(self) -> None:
        self._calm = False
        self._hold = self._next_hold
        self._next_hold = min(2 * self._next_hold, MAX_HOLD)

    def _change(self, calls: int, smaller: Size | None, now: float) -> None:
        self._size, self._smaller, self._changed = Size(calls), smaller, now
        self._start_round(now)

    def _start_round(self, now: float) -> None:
        self._begun, self._count, self._filled, self._longest_s = now, 0, False, 0.0
