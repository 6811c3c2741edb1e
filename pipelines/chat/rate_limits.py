"""What a server says of its room for calls: Retry-After, x-ratelimit-* and their kin, read into seconds and counts."""

import email.utils
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

LONGEST = 64  # characters of a header that names a time
EPOCH_S = 1e9  # a number above is a moment (seconds since 1970), one above EPOCH_MS milliseconds; below, seconds from now
EPOCH_MS = 1e11
# The lengths of time that Go writes (OpenAI, Groq): 1s, 6m0s, 20ms, 1h2m3.5s; Azure's and others' `7 seconds` are read as well.
DURATION = re.compile(r'(?:([\d.]+)d(?:ays?)?)?(?:([\d.]+)h(?:ours?)?)?(?:([\d.]+)m(?:in(?:utes?)?)?(?!s))?(?:([\d.]+)s(?:ec(?:onds?)?)?)?'
                      r'(?:([\d.]+)ms)?')
UNITS_S = (86400.0, 3600.0, 60.0, 1.0, 0.001)
# Waits that stand in the body alone: "Please try again in 5.289s" (OpenAI, Groq), "Please retry after 7 seconds" (Azure OpenAI),
# "Please retry in 34.07s" and "retryDelay": "34s" (Gemini).
WORDS = re.compile(
    r'(?:try again|retry|wait)\s+(?:in|after|for)\s+([\d.]+\s*(?:ms|s|m|h)\w*(?:[\d.]+\w+)*)|"retryDelay":\s*"([\d.]+s)"', re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Left:
    """How much of something is left, and for how many seconds no more of it comes."""

    what: str  # 'requests' or 'tokens'
    count: float
    reset_s: float


def seconds_until(text: str, *, now: float) -> float:
    """Return the seconds from `now` (of the epoch) that a header names as a number, a length, a moment or a date; 0 for anything else."""
    text = text.strip()
    if len(text) > LONGEST:
        return 0.0
    try:
        number = float(text)
    except ValueError:
        return _length_s(text) or _until_date(text, now)
    if not math.isfinite(number):
        return 0.0
    moment = number / 1000 if number > EPOCH_MS else number
    return max(0.0, moment - now if moment > EPOCH_S else moment)


def _length_s(text: str) -> float:
    found = DURATION.fullmatch(''.join(text[:LONGEST].split()))
    try:
        return sum(float(part) * unit for part, unit in zip(found.groups(), UNITS_S) if part) if found else 0.0
    except ValueError:  # such as 1.2.3s
        return 0.0


def _until_date(text: str, now: float) -> float:
    try:
        moment = datetime.fromisoformat(text)  # Anthropic: RFC 3339
        return max(0.0, (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - now)
    except ValueError:
        parsed = email.utils.parsedate_tz(text)
    try:
        return max(0.0, email.utils.mktime_tz(parsed) - now) if parsed else 0.0
    except (ValueError, OverflowError):
        return 0.0


def rest_asked_s(headers: Mapping[str, str], text: str, *, now: float) -> float:
    """Return for how many seconds a reply asks to be left alone, in a header or in its words; 0 where it does not."""
    in_ms = seconds_until(headers.get('retry-after-ms', ''), now=now) / 1000  # Azure OpenAI
    if in_ms:
        return in_ms
    for name in ('retry-after', 'x-ratelimit-retry-after'):
        if asked := seconds_until(headers.get(name, ''), now=now):
            return asked
    found = WORDS.search(text)
    return _length_s(next(filter(None, found.groups()), '').rstrip('.')) if found else 0.0


def left_of(headers: Mapping[str, str], *, now: float) -> list[Left]:
    """Return what a reply's headers say is left of requests and tokens, and until when.

    One rule for all of them: a name with `remaining`, whose fellow says `reset`. OpenAI, Groq and Azure write x-ratelimit-remaining-requests and
    -tokens, Cerebras adds -day and -minute, Together, OpenRouter and others write x-ratelimit-remaining, Anthropic
    anthropic-ratelimit-tokens-remaining, Mistral ratelimitbysize-remaining (tokens).
    """
    found = []
    for name, value in headers.items():
        name = name.lower()
        if 'remaining' not in name or 'limit' not in name:
            continue
        reset_s = seconds_until(headers.get(name.replace('remaining', 'reset'), ''), now=now)
        try:
            count = float(value)
        except ValueError:
            continue
        if count >= 0 and reset_s:  # -1 stands for "no limit"; without a reset nobody knows how long a 0 holds
            found.append(Left('tokens' if 'token' in name or 'bysize' in name else 'requests', count, reset_s))
    return found
