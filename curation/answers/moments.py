"""The day and the time of day that a short answer names, in every notation; what is left open (a year, am or pm, which is the month) stays open."""

import re

MONTHS = ('january', 'february', 'march', 'april', 'may', 'june', 'july', 'august', 'september', 'october', 'november', 'december')
_MONTH = r'(jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?'
_WEEKDAY = re.compile(r'(?:on )?(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?\.?,?\s+(?=\S)')
_YEAR = r'(\d{4})'
_DAY = r'(\d{1,2})(?:st|nd|rd|th)?'
_ISO = re.compile(r'(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})|(\d{4})年(\d{1,2})月(\d{1,2})日')
_NUMERIC = re.compile(r'(\d{1,2})([-/.])(\d{1,2})\2(\d{4}|\d{2})')
_MONTH_FIRST = re.compile(rf'{_MONTH}(?: ?(?:the )?{_DAY}(?!\d))?(?:,? {_YEAR})?')
_DAY_FIRST = re.compile(rf'(?:the )?{_DAY}(?: of)?[ -]?{_MONTH}(?:,?[ -]{_YEAR})?')
_BARE_YEAR = re.compile(r'(?:the year )?(1\d{3}|20\d{2})(?: ?(?:ad|ce))?')
_CLOCK = re.compile(
    r'(?:at )?(\d{1,2})(?:[:.h](\d{2}))?(?::(\d{2}))? ?(?:(a\.?m\.?|p\.?m\.?)|(o\'?clock)(?: (a\.?m\.?|p\.?m\.?))?)?'
    r'(?: (in the (?:morning|afternoon|evening)|at night))?'
)
_PAST = re.compile(
    r'(half|quarter|a quarter|\d{1,2}|five|ten|twenty)(?: minutes?)? (past|after|to|before) (\d{1,2}|[a-z]+)(?: ?(a\.?m\.?|p\.?m\.?))?'
    r"(?: o'?clock)?"
)
_MAY_BE_TIME = re.compile(r'\d(?:[:.h]| ?[ap]\.?m| at night)|noon|midday|midnight|clock| (?:past|to|after|before) | [ap]\.?m| in the')
_HOURS = ('twelve', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine', 'ten', 'eleven')
_MINUTES = {'half': 30, 'quarter': 15, 'a quarter': 15, 'five': 5, 'ten': 10, 'twenty': 20}
_BEGINS = frozenset([*(month[:3] for month in MONTHS), 'on ', 'in ', 'the', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'])
Date = tuple[int | None, int | None, int | None]  # year, month, day
HALF_DAY, DAY = 720 * 60, 1440 * 60  # seconds


def dates_of(text: str) -> tuple[Date, ...]:
    """Return what date an answer in lower case may name: several where day and month can be told apart by nobody, none where it names none."""
    if not (text[:1].isdigit() or text[-1:].isdigit() or text[:3] in _BEGINS):
        return ()
    text = _WEEKDAY.sub('', text.removeprefix('in ').removeprefix('on '), count=1)
    if found := _ISO.fullmatch(text):
        year, month, day = (int(part) for part in found.groups() if part)
        return _valid((year, month, day))
    if found := _NUMERIC.fullmatch(text):
        a, b = int(found[1]), int(found[3])
        years = [int(found[4])] if len(found[4]) == 4 else [1900 + int(found[4]), 2000 + int(found[4])]
        return tuple(dict.fromkeys(date for year in years for pair in ((b, a), (a, b)) for date in _valid((year, *pair))))
    if found := _MONTH_FIRST.fullmatch(text):
        return _valid((_int(found[3]), _month(found[1]), _int(found[2])))
    if found := _DAY_FIRST.fullmatch(text):
        return _valid((_int(found[3]), _month(found[2]), int(found[1])))
    if found := _BARE_YEAR.fullmatch(text):
        return ((int(found[1]), None, None),)
    return ()


def _valid(date: Date) -> tuple[Date, ...]:
    return (date,) if date[1] is None or 1 <= date[1] <= 12 and (date[2] is None or 1 <= date[2] <= 31) else ()


def _month(name: str) -> int:
    return next(n for n, month in enumerate(MONTHS, 1) if month.startswith(name[:3]))


def _int(digits: str | None) -> int | None:
    return int(digits) if digits else None


def compare_dates(truth: tuple[Date, ...], other: tuple[Date, ...]) -> bool | None:
    """Return whether two dates are the same, None where one leaves open what the other says."""
    if len(truth) == len(other) == 1 and truth == other:
        return True
    return False if all(any(x is not None and y is not None and x != y for x, y in zip(a, b, strict=True)) for a in truth for b in other) else None


def times_of(text: str) -> frozenset[int]:
    """Return the seconds of the day that an answer in lower case may name: two where it may be am or pm, none where it names no time."""
    if not _MAY_BE_TIME.search(text):
        return frozenset()
    text = text.replace('’', "'").removeprefix('at ')
    if text in ('noon', 'midday', '12 noon', 'midnight', '12 midnight'):
        return frozenset({0 if 'midnight' in text else HALF_DAY})
    words = text.split(' ')
    if words[0] in _HOURS and len(words) > 1 and words[1].startswith(("o'clock", 'oclock', 'am', 'pm', 'a.m', 'p.m', 'in')):
        text = ' '.join([str(_HOURS.index(words[0]) or 12), *words[1:]])
    if found := _PAST.fullmatch(text):
        minutes = _MINUTES.get(found[1]) or (int(found[1]) if found[1].isdigit() else 0)
        hour = int(found[3]) if found[3].isdigit() else _HOURS.index(found[3]) if found[3] in _HOURS else -1
        if hour < 0 or hour > 23:
            return frozenset()
        shift = minutes if found[2] in ('past', 'after') else -minutes
        return _either((hour * 3600 + shift * 60) % DAY, found[4], twelve=hour <= 12)
    found = _CLOCK.fullmatch(text)
    if not found or not (found[2] or found[4] or found[5] or found[7]) or '.' in text and not (found[4] or found[6]) and ':' not in text:
        return frozenset()
    hour, minute, second = int(found[1]), int(found[2] or 0), int(found[3] or 0)
    if hour > 24 or minute > 59 or second > 59:
        return frozenset()
    half = found[4] or found[6] or {'in the morning': 'am', None: None}.get(found[7], 'pm')
    return _either((hour * 3600 + minute * 60 + second) % DAY, half, twelve=hour <= 12)


def _either(seconds: int, half: str | None, *, twelve: bool) -> frozenset[int]:
    if not twelve:
        return frozenset({seconds})
    start = seconds % HALF_DAY
    if half is None:
        return frozenset({start, start + HALF_DAY})
    return frozenset({start if half.startswith('a') else start + HALF_DAY})


def compare_times(truth: frozenset[int], other: frozenset[int]) -> bool | None:
    """Return whether two times of day are the same, None where that hangs on am or pm."""
    return True if truth == other else None if truth & other else False
