"""How many calls a server gets and when: played against servers of many kinds, in virtual time."""

import random
from collections.abc import Callable

import pytest

from pipelines.chat.allowance import Allowance
from pipelines.chat.pace import START, Pace
from pipelines.chat.protocol import unheard
from pipelines.chat.rate_limits import Left
from pipelines.chat.requests import greedy, make_request
from schemas.replies import ChatRequest, Failure
from tests.pipelines.chat.virtual_time import Limited, Played, Slots, play


def requests(count: int) -> list[ChatRequest]:
    return [make_request([{'role': 'user', 'content': f'question {n}'}], model='m', revision='r', settings=greedy(64)) for n in range(count)]


def played(servers: list, make: Callable[[], list], count: int, hear=unheard, **settings) -> Played:
    """Return what came of `count` requests; `servers` is filled."""

    def made() -> list:
        servers.extend(make())
        return servers

    random.seed(7)
    return play(made, iter(requests(count)), hear, **settings)


def steady(seconds: float) -> Callable[[int], float]:
    return lambda working: seconds


def batching(working: int) -> float:
    """A server that reads many prompts at once: 64 of them take three times as long as one."""
    return 1 + working / 32


@pytest.mark.parametrize(
    ('server', 'calls', 'rate'),
    [
        ((1, steady(1.0)), 60, 1), ((1, steady(0.1)), 400, 10), ((1, steady(0.01)), 3000, 100),
        ((10, steady(1.0)), 400, 10), ((100, steady(1.0)), 6000, 100), ((64, batching), 2000, 64 / 3),
    ],
)
def test_a_server_that_queues_is_used_by_the_defaults_and_no_call_is_late(server, calls, rate):
    servers: list[Slots] = []
    run = played(servers, lambda: [Slots(*server)], calls)
    assert not any(isinstance(o, Failure) for o in run.outcomes)
    assert len(run.outcomes) == servers[0].posts == calls
    assert run.late == 0
    assert run.rate >= 0.9 * rate


@pytest.mark.parametrize(('count', 'calls'), [(10, 300), (100, 3000)])
def test_half_a_minute_is_enough_to_find_a_hundred_slots(count, calls):
    run = played([], lambda: [Slots(count, steady(1.0))], calls)
    assert run.rate >= 0.93 * count


def test_a_server_that_was_left_alone_as_it_asked_is_not_asked_for_what_it_missed():
    run = played([], lambda: [Limited(10, 1.0, 0.05, tells=True)], 300)
    assert run.rate >= 0.93 * 10


@pytest.mark.parametrize('tells', [False, True])
@pytest.mark.parametrize(('per_s', 'seconds', 'calls'), [(1, 0.05, 120), (1, 1.0, 120), (10, 0.05, 600), (10, 1.0, 600), (100, 0.05, 6000), (100, 1.0, 9000)])
def test_a_server_that_refuses_beyond_a_rate_is_used_and_hardly_refuses(per_s, seconds, calls, tells):
    servers: list[Limited] = []
    run = played(servers, lambda: [Limited(per_s, 1.0, seconds, tells)], calls)
    assert not any(isinstance(o, Failure) for o in run.outcomes)
    assert len(run.outcomes) == calls
    assert run.rate >= 0.9 * per_s
    assert servers[0].posts <= calls + 10 + calls // 20


@pytest.mark.parametrize('tells', [False, True])
def test_a_limit_by_the_minute_fails_no_call(tells):
    servers: list[Limited] = []
    run = played(servers, lambda: [Limited(60, 60.0, 0.5, tells, fixed=True)], 240)
    assert not any(isinstance(o, Failure) for o in run.outcomes)
    assert run.seconds < 240 / 0.9


@pytest.mark.parametrize('timeout_s', [5, 10, 120])
def test_a_serial_server_is_never_flooded(timeout_s):
    """With one call a second the longest wait is that of the last in the queue: half the time-out at the most, but for the first four."""
    servers: list[Slots] = []
    run = played(servers, lambda: [Slots(1, steady(1.0))], 200, timeout_s=timeout_s)
    assert run.late == 0
    assert servers[0].most <= max(START, timeout_s / 2)
    assert run.rate >= 0.95


def test_a_fast_and_a_slow_server_share_the_work_by_what_they_do():
    servers: list[Slots] = []
    run = played(servers, lambda: [Slots(1, steady(1.0)), Slots(50, steady(1.0))], 3000)
    assert not any(isinstance(o, Failure) for o in run.outcomes)
    assert servers[0].posts < 120
    assert run.rate >= 0.8 * 51


def test_after_a_no_nothing_is_sent_or_waited_for():
    """The server asks for a rest of a minute; the first refusal heard ends all."""
    servers: list[Limited] = []
    run = played(servers, lambda: [Limited(2, 60.0, 0.1, tells=True)], 40, hear=lambda outcome: not isinstance(outcome, Failure))
    assert run.seconds < 1
    assert servers[0].posts <= START


def pace(timeout_s: float = 120.0, most: int = 256) -> Pace:
    return Pace(most, timeout_s, now=0.0)


def rounds(of: Pace, count: int, now: float, *, each_s: float) -> float:
    """Answer `count` rounds, each in `each_s` seconds."""
    for _ in range(count):
        calls = max(of.limit, START)
        of.sent(of.limit)
        for _ in range(calls):
            of.answered(now, each_s, now + each_s)
        now += each_s
    return now


def test_a_time_out_halves_once_for_all_that_were_sent_before():
    one = pace()
    now = rounds(one, 2, 0.0, each_s=1.0)
    assert one.limit == 256
    for n in range(30):
        one.overloaded(now - 0.5, now + n / 100)
    assert one.limit == 128
    one.overloaded(now + 1, now + 2)
    assert one.limit == 64


def test_it_grows_no_further_when_more_calls_bring_no_more_replies():
    one, now = pace(), 0.0
    for _ in range(12):
        now = rounds(one, 1, now, each_s=one.limit / 4)  # four a second, whatever is sent
    assert one.limit <= 12


def test_too_little_to_ask_says_nothing_of_the_server():
    one = pace()
    for n in range(100):
        one.sent(1)
        one.answered(float(n), 1.0, n + 1.0)
    assert one.limit == START


def test_a_server_that_says_it_has_no_room_is_left_alone_until_it_has():
    one = Allowance(0.0)
    one.left([Left('requests', 3, 10.0)], 0.0)
    assert one.ready_at(0.0, 2) <= 0.0
    assert one.ready_at(0.0, 3) == 10.0, 'those in flight may not be counted yet'
    one.left([Left('requests', 0, 20.0), Left('tokens', 9000, 5.0)], 1.0)
    assert one.ready_at(2.0, 0) == 21.0
    assert one.rest_s(2.0) == 19.0
    assert one.ready_at(22.0, 0) <= 22.0


def test_tokens_left_are_set_against_what_a_call_takes():
    one = Allowance(0.0)
    one.sent(0.0)
    one.taken(0.0, 1.0, 400)
    one.left([Left('tokens', 1000, 30.0)], 1.0)
    assert one.ready_at(1.0, 1) <= 1.0
    assert one.ready_at(1.0, 2) == 31.0
