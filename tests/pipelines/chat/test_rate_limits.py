"""What servers say of their room, in the words each of them uses."""

import pytest

from pipelines.chat.allowance import Allowance
from pipelines.chat.rate_limits import Left, left_of, rest_asked_s, seconds_until
from pipelines.chat.remedies import has_no_credit

NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ('text', 'seconds'),
    [
        ('', 0), ('2.5', 2.5), ('-1', 0), ('99999', 99999), ('soon', 0), ('nan', 0), ('inf', 0),
        ('1s', 1), ('6m0s', 360), ('20ms', 0.02), ('2m59.56s', 179.56), ('1h2m3.5s', 3723.5), ('1d', 86400), ('7 seconds', 7), ('1.2.3s', 0),
        ('1800000030', 30), ('1800000030000', 30), ('1700000000', 0),
        ('Fri, 15 Jan 2027 08:00:30 GMT', 30), ('2027-01-15T08:00:30Z', 30), ('2027-01-15T08:00:30', 30),
    ],
)
def test_a_number_a_length_a_moment_and_a_date_are_read(text, seconds):
    assert seconds_until(text, now=NOW) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ('headers', 'text', 'seconds'),
    [
        ({'retry-after': '3'}, '', 3), ({'retry-after-ms': '250', 'retry-after': '1'}, '', 0.25), ({'retry-after': '6m0s'}, '', 360),
        ({}, 'Rate limit reached for m on tokens per min (TPM): Limit 15000, Used 11972. Please try again in 5.289s. Visit https://x', 5.289),
        ({}, 'Please try again in 1m12.5s.', 72.5), ({}, 'Please try again in 20ms.', 0.02), ({}, 'Please retry after 7 seconds.', 7),
        ({}, '{"error": {"details": [{"retryDelay": "34s"}]}}', 34), ({}, 'Please retry in 34.07s.', 34.07),
        ({}, 'Rate limit reached', 0), ({}, 'Please try again in a while', 0), ({}, 'Please wait and try again later.', 0),
    ],
)
def test_a_rest_is_asked_for_in_a_header_or_in_words(headers, text, seconds):
    assert rest_asked_s(headers, text, now=NOW) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ('headers', 'left'),
    [
        ({'x-ratelimit-remaining-requests': '59', 'x-ratelimit-reset-requests': '1s', 'x-ratelimit-limit-requests': '60',
          'x-ratelimit-remaining-tokens': '149984', 'x-ratelimit-reset-tokens': '6m0s'}, [Left('requests', 59, 1), Left('tokens', 149984, 360)]),
        ({'anthropic-ratelimit-tokens-remaining': '0', 'anthropic-ratelimit-tokens-reset': '2027-01-15T08:00:30Z'}, [Left('tokens', 0, 30)]),
        ({'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '1800000030000'}, [Left('requests', 0, 30)]),
        ({'x-ratelimit-remaining-tokens-minute': '7', 'x-ratelimit-reset-tokens-minute': '12.5'}, [Left('tokens', 7, 12.5)]),
        ({'ratelimitbysize-remaining': '3', 'ratelimitbysize-reset': '9'}, [Left('tokens', 3, 9)]),
        ({'X-RateLimit-Remaining': '3', 'x-ratelimit-reset': '9'}, [Left('requests', 3, 9)]),
        ({'x-ratelimit-remaining-requests': '-1', 'x-ratelimit-reset-requests': '1s'}, []),
        ({'x-ratelimit-remaining-requests': '0'}, []), ({'x-ratelimit-remaining-requests': 'many', 'x-ratelimit-reset-requests': '1s'}, []),
        ({'retry-after': '1'}, []),
    ],
)
def test_what_is_left_is_read_by_one_rule(headers, left):
    assert left_of(headers, now=NOW) == left


@pytest.mark.parametrize('text', ['insufficient_quota', 'Insufficient Balance', 'exceeded_current_quota_error', 'Your credit balance is too low'])
def test_an_empty_purse_is_told_from_a_limit(text):
    assert has_no_credit(text)


@pytest.mark.parametrize('text', ['Rate limit reached for requests', 'Too Many Requests', 'Resource has been exhausted (e.g. check quota).'])
def test_a_limit_is_no_empty_purse(text):
    assert not has_no_credit(text)


def test_the_time_that_a_header_takes_to_read_does_not_grow_with_it():
    for blanks in (60, 1_000):  # it took 30 s for 150 of them
        assert seconds_until('1d' + ' ' * blanks + 'x', now=NOW) == 0
    assert seconds_until('1h 2m  3s', now=NOW) == 3723
    assert seconds_until('7 seconds', now=NOW) == 7


def test_refusals_that_no_rate_avoids_do_not_slow_the_calls_further_and_further():
    """Every call is refused once, however long it waited: the rate that is learned from this would halve with every ten calls."""
    allowance, now, done = Allowance(0.0), 0.0, []
    allowance.taken(0.0, 0.01, 10)
    for n in range(600):
        now = max(now, allowance.ready_at(now, 0))
        allowance.sent(now)
        now += 0.01
        if n % 2:
            allowance.taken(now - 0.01, now, 10)
            done.append(now)
        else:
            allowance.refused(now - 0.01, now, 0.0)
    assert done[-1] < 60
    assert done[-1] - done[-100] < 10


def test_hours_between_two_calls_are_no_overflow():
    allowance = Allowance(0.0)
    for now in (0.0, 0.1, 0.2, 0.3):
        allowance.sent(now)
    allowance.taken(0.0, 0.35, 10)
    allowance.refused(0.3, 0.35, 0.0)
    allowance.sent(0.4)
    assert allowance.ready_at(0.4, 0) > 0.4
    allowance.sent(90_000.0)
    allowance.taken(90_000.0, 90_000.1, 10)
    assert 90_000.0 < allowance.ready_at(90_000.1, 0) < 90_010.0
