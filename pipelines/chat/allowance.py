"""When the next call may go to a server that limits how many it takes: as it says itself, else as its refusals (HTTP 429) showed."""

import math
import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.chat.rate_limits import Left

PAUSE_S = 0.25  # after a refusal without a word of when to come back, doubling with each further one ...
MAX_PAUSE_S = 30.0  # ... up to this
POLL_S = 1.0  # while one call finds out whether there is room again
REMEMBERED = 1024  # calls taken; enough for ten seconds of a hundred a second
ESTIMATE_S = 1.0  # a rate is measured over this long at least
CUT = 0.9  # of the rate that met a refusal
HOPELESS = 3  # refusals, more than half of the calls since the last cut, that show that there is no room at all for the moment; or ...
HOPELESS_S = 0.25  # ... as many as come in this time at the present rate, if that is more: a burst can meet several
NEAR = 0.96  # of it: so far the rate grows fast again, beyond it slowly, since each refusal costs a call and a pause
FIRST, FAST, SLOW = 0.15, 0.10, 0.001  # share by which the rate grows in a second: before it met a refusal, up to there, beyond
IN_VAIN = 8  # slower rates, none of which so many calls in a row as this bore: the refusals have another cause than the rate, and for ...
LET_GO_S = 60.0  # ... so long none is learned from them: a proxy whose upstream is full refuses at random, at any rate
LONGEST_GROWTH_S = 1000.0  # more than doubles any rate; hours of rest are no number to raise a share to
CATCH_UP_S = 0.05  # calls that were due while this process was busy elsewhere are sent at once, up to so much time's worth


@dataclass(slots=True)
class Credit:
    """What a server said is left, and until when that holds."""

    count: float
    until: float


class Allowance:
    """The moments at which one server may be sent a call. Times are those of one steady clock."""

    def __init__(self, now: float):
        self._rest_until = now
        self._next_at = now
        self._rate = math.inf  # calls a second
        self._ceiling = math.inf  # the rate that last met a refusal
        self._in_vain = 0  # slower rates since one was borne
        self._let_go_until = now
        self._refusals = 0  # in a row, one for each round trip
        self._told = False  # whether the last refusal said when to come back
        self._searching = False  # for the moment from which calls are taken again, with one at a time
        self._cut_at = -math.inf  # when a refusal was last noted: calls sent before belong to the same
        self._refused_from = now  # when the call was sent that first met the present refusals
        self._credits: dict[str, Credit] = {}
        self._tokens = 0.0  # of one call, smoothed
        self._cut_span = ESTIMATE_S
        self._grown_at = now
        self._paced = False  # whether the rate held a call back since it last grew
        self.last_taken = -math.inf  # when a call last came back that was taken
        self._taken: deque[float] = deque(maxlen=REMEMBERED)  # when calls were sent that were taken
        self._sends: deque[float] = deque(maxlen=REMEMBERED)  # when calls were sent
        self._sent = self._lost = 0  # calls since the last refusal that counted, and those of them that were refused

    def ready_at(self, now: float, in_flight: int) -> float:
        """Return the earliest moment for another call (now, or a later one, if nothing comes back before)."""
        at = max(self._rest_until, self._next_at)
        self._paced = self._paced or self._next_at > now
        if self._searching and self._sent and in_flight:
            at = max(at, now + POLL_S)
        return max([at, *(c.until for what, c in self._credits.items() if now < c.until and not self._covers(what, c, in_flight))])

    def _covers(self, what: str, credit: Credit, in_flight: int) -> bool:
        """Return whether a credit has room for one more beside those in flight, which it may not have counted."""
        each = 1.0 if what == 'requests' else self._tokens
        return credit.count > 0 and credit.count >= each * (in_flight + 1)

    def rest_s(self, now: float) -> float:
        """Return for how long the server itself wants to be left alone."""
        told = [c.until for what, c in self._credits.items() if not self._covers(what, c, 0)]
        return max([self._rest_until if self._told else now, *told]) - now

    def refused_for(self, now: float) -> float:
        """Return for how long every call has been refused, 0 when the last one was not."""
        return now - self._refused_from if self._refusals else 0.0

    def sent(self, now: float) -> None:
        """Note a call that is sent."""
        self._sends.append(now)
        self._sent += 1
        if self._rate < math.inf:
            due = max(self._next_at, self._rest_until, now - CATCH_UP_S)  # nothing was due while the server rested
            self._next_at = min(due, now) + 1 / self._rate

    def taken(self, sent_at: float, now: float, tokens: int) -> None:
        """Note a call that the server took, and the tokens it told of."""
        self._taken.append(sent_at)
        self.last_taken = now
        if self._sent >= IN_VAIN and not self._lost:
            self._in_vain = 0
        if tokens:
            self._tokens = max(float(tokens), 0.9 * self._tokens)
        if self._refusals and sent_at > self._cut_at:
            self._learn(sent_at)
            self._refusals, self._searching = 0, False
            self._count_anew(now)
        elif self._rate < math.inf and self._paced:
            self._grow(now)

    def refused(self, sent_at: float, now: float, rest_s: float) -> bool:
        """Note a refusal for want of room, and the seconds it asks for (0: it does not say).

        Return whether there is no room at all for the moment: False, if calls only came a little too fast.
        """
        if rest_s:
            self._rest_until = max(self._rest_until, now + rest_s)
        if sent_at <= self._cut_at:
            if not self._refusals and self._rate < math.inf:  # one more of those that went out too fast: it was not borne either
                self._rate = max(self._rate - CUT / self._cut_span, CUT / self._cut_span)
            return False
        self._told = rest_s > 0
        self._lost += 1
        if not self._refusals and self._is_bearable():
            if self._rate == math.inf or now - self._cut_at >= ESTIMATE_S:
                self._cut(now, max(ESTIMATE_S, rest_s))
            return False
        if not self._refusals:
            self._refused_from = sent_at
        self._refusals += 1
        self._count_anew(now)
        if not self._told:
            pause_s = min(PAUSE_S * 2 ** (self._refusals - 1), MAX_PAUSE_S) * (1 + random.random() / 4)
            self._rest_until, self._searching = max(self._rest_until, now + pause_s), True
        return True

    def _is_bearable(self) -> bool:
        """Return whether a slower rate will do, as far as is known: most calls were taken, or it says when it takes them."""
        if self.last_taken == -math.inf and not self._told:
            return False
        return self._lost < max(HOPELESS, HOPELESS_S * self._rate if self._rate < math.inf else 0) or 2 * self._lost <= self._sent

    def _cut(self, now: float, span: float) -> None:
        """Go on a little slower than the server bore in the last `span` seconds."""
        self._cut_span = span
        if self._is_in_vain(now):
            self._count_anew(now)
            return
        borne = max(1, sum(t > now - span for t in self._sends) - self._lost) / span
        if self._rate < math.inf:
            crept = self._rate <= self._ceiling * (2 - NEAR)  # over the limit, which is better known then than by counting
            borne = self._rate if crept and self._ceiling < math.inf else max(min(borne, self._rate), self._rate / 2)
            self._ceiling = borne
        self._rate = borne * CUT
        self._next_at = max(self._next_at, now + 1 / self._rate)
        self._grown_at = now
        self._count_anew(now)

    def _is_in_vain(self, now: float) -> bool:
        """Note that the rate is to fall again; return whether that has shown to be of no use."""
        if now >= self._let_go_until:
            self._in_vain += 1
        if self._in_vain > IN_VAIN:
            self._in_vain, self._let_go_until = 0, now + LET_GO_S
            self._rate = self._ceiling = math.inf
            self._next_at = now
        return now < self._let_go_until

    def _count_anew(self, now: float) -> None:
        self._cut_at, self._sent, self._lost = now, 0, 0

    def rest(self, seconds: float, now: float) -> None:
        """Leave the server alone, as it asked."""
        self._rest_until, self._told = max(self._rest_until, now + seconds), True

    def left(self, found: Sequence[Left], now: float) -> None:
        """Note what the server says is left."""
        for what in {left.what for left in found}:
            least = min((left for left in found if left.what == what), key=_count)
            self._credits[what] = Credit(least.count, now + least.reset_s)

    def _learn(self, back_at: float) -> None:
        """Take as the server's rate what it took in so long a time before it refused as it went on refusing: limits count over such a time."""
        if self._is_in_vain(self.last_taken):
            return
        span = max(ESTIMATE_S, back_at - self._refused_from)
        seen = max(1, sum(self._refused_from - span <= t <= self._refused_from for t in self._taken)) / span
        self._rate = seen if self._rate == math.inf else min(self._rate * CUT, seen)
        self._next_at = max(self._next_at, back_at + 1 / self._rate)
        self._grown_at = back_at

    def _grow(self, now: float) -> None:
        near = NEAR * self._ceiling
        share = SLOW if self._rate >= near else FIRST if near == math.inf else FAST
        grown = self._rate * min(2.0, (1 + share) ** min(now - self._grown_at, LONGEST_GROWTH_S))
        self._rate = grown if share == SLOW else min(grown, near)
        self._grown_at, self._paced = now, False


def _count(left: Left) -> float:
    return left.count
