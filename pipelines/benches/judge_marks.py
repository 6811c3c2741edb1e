"""The two marks that a judge gives a first and a second answer; None for anything else."""

import re

from pipelines.benches.judge_markup import as_seen
from pipelines.benches.judge_reading import LABEL_ALONE, LABELS, left_at_that

_MARK = r'(?P<{name}>\d{{1,2}}(?:[.,]\d+)?)(?:\s*(?:/|out of)\s*10(?:[.,]0+)?)?(?![.,]?\d|\w|\s*[%/]|\s*out of)'
_SIDED = r'(?:the\s+)?(?:assistant|answer|response|reply|model|candidate|mark|score)[\s_#]*'
_FIRST = rf'{_SIDED}(?:1|a|one|first)|(?:the\s+)?(?:first|1st)(?:[\s_]+[a-z]+)?|a'
_SECOND = rf'{_SIDED}(?:2|b|two|second)|(?:the\s+)?(?:second|2nd)(?:[\s_]+[a-z]+)?|b'
_GETS = rf's?(?:\s+{LABELS})?\s*(?:[:=|]|->|\b(?:is|gets)\b)\s*'
_OF = rf'(?:(?:the )?{LABELS}\s*(?:(?:of|for)\b)?\s*[:=]?\s*)?'
_NAMED_MARKS = re.compile(
    rf'{_OF}(?P<side>{_FIRST}|{_SECOND}){_GETS}{_MARK.format(name="first")}[\s,;.|]*(?:and\s+)?{_OF}(?P<other>{_FIRST}|{_SECOND}){_GETS}{_MARK.format(name="second")}',
    re.IGNORECASE,
)
_TWO_MARKS = re.compile(
    rf'{_OF}{_MARK.format(name="first")}(?:\s*[;|]\s*|\s*,\s*|\s+(?:(?:and|vs\.?)\s+)?){_MARK.format(name="second")}', re.IGNORECASE
)


def read_marks(text: str) -> tuple[float, float] | None:
    """Return the two marks from 1 to 10 on the first line; those of a first and a second answer may be named, on two lines then.

    `8,7` is two marks, as in LLaVA's code, which puts blanks for commas; `8,5 7` has a decimal comma. Marks `of 10` are read, others are not.
    """
    seen = re.sub(r'[{}()\[\]【】]', ' ', as_seen(text))
    lines = [line.strip() for line in seen.split('\n') if re.search(r'\w', line)]
    while len(lines) > 1 and LABEL_ALONE.fullmatch(lines[0]):
        lines.pop(0)
    if not lines or re.search(r'\d,\d+,\d', lines[0]):
        return None
    for line in (lines[0], ' '.join(lines[:2])):
        if found := _NAMED_MARKS.match(line):
            first, second = found['first'], found['second']
            led, other = (bool(re.fullmatch(_FIRST, found[side], re.IGNORECASE)) for side in ('side', 'other'))
            return None if led == other else _both(*((first, second) if led else (second, first)), found)
    found = _TWO_MARKS.match(lines[0]) or _TWO_MARKS.match(lines[0].replace(',', ' '))
    return _both(found['first'], found['second'], found) if found else None


def _both(first: str, second: str, found: re.Match) -> tuple[float, float] | None:
    """Return both marks, None unless they lie in 1 to 10 and what follows leaves it at that."""
    rest = found.string[found.end() :]
    if re.search(r'\d', rest) or not left_at_that(rest):
        return None
    a, b = float(first.replace(',', '.')), float(second.replace(',', '.'))
    return (a, b) if 1 <= a <= 10 and 1 <= b <= 10 else None
