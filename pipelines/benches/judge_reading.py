"""What a judge wrote, read as the one thing it was asked for; None, so that it is asked again, for anything else.

A number is read where it is the reply, stands alone or with its reason on the first or the last line, or behind a label (`Grade: 0.5`, `Score = 0.5`,
`{"score": 0.5}`, `the grade is 0.5`). Marks around it do not matter (bold, code, headings, \\boxed{}, quotes, brackets, tags); a decimal comma, an
exponent and the digits of other scripts are read. Not read, since more than one thing may be meant: a number among several (`0 or 1`, `0.4-0.6`,
`0.5 ... no, 0.6`), of another scale (`1 out of 10`, `5/10`, `50%`), denied, doubted or bounded (`not 1`, `0.5?`, `about 0.5`, `> 0.5`), with a sign,
a thousands' comma (`1,000`), the number of a list's point (`1. The reply ...`), one that the limit of tokens may have cut, and words for numbers.
`0.5/1` and `0.5 out of 1` are 0.5; `0/1` is no grade, since the choice itself is written so.
"""

import json
import re
from collections.abc import Callable
from typing import Any

from pipelines.benches.judge_markup import as_seen

CUT = '…'  # ends a reply that did not end by itself

LABELS = (
    r'(?:grades?|scores?|marks?|ratings?|correctness|accuracy|judge?ments?|verdict|evaluation|note|bewertung|punktzahl|puntuaci[oó]n|calificaci[oó]n|nota'
    r'|оценка|балл|得分|评分|評分|分数|分數|打分|成绩|スコア|評価|採点|点数|점수|평가)'
)
_NUMBER = r'(?P<number>\+?(?:\d+(?:[.,]\d+)?|\.\d+)(?:[eE][+-]?\d+)?)'
_BARE = re.compile(r'[\s({\[【]*' + _NUMBER)
_STRONG = (
    r'\s*(?:[(\[](?P<scale>[^()\[\]]*)[)\]]\s*)?'
    r'(?:[:=|]|->|→|\s[-–—]\s|\s(?=[\d(\[])|\b(?:is|would be|should be|will be)\b(?: a)?|[为為是は]|[은는이]\s)[\s:=]*'
)
_LABELLED = re.compile(rf'(?:(?<![^\W\d_])|(?<=[^\x00-\x7f])){LABELS}{_STRONG}[(\[【]*{_NUMBER}', re.IGNORECASE)
_GIVEN = re.compile(rf'\b(?:grade|score|mark|rating) of (?:a )?{_NUMBER}', re.IGNORECASE)
_LESSER_LABEL = re.compile(
    r'\W*(?:\w+ ){0,2}(?:answer|output|result|total|overall|final|value|quality|similarity|same|match|equal)'
    rf'\s*(?:[:=|]|->|\bis\b)[\s(\[【]*{_NUMBER}', re.IGNORECASE
)
LABEL_ALONE = re.compile(rf'(?:\w+ )?(?:{LABELS}|answer)\s*[:=]?', re.IGNORECASE)
_OF_ONE = re.compile(r'\s*\(?\s*(?:/|(?:out )?of)\s*1(?:[.,]0+)?(?![.,]?\d|\s*%)(?:\s*[)\]】])*', re.IGNORECASE)
_UNIT = re.compile(r'\s*(?:分|点|點|점)|(?<=[.,]\d)\s+points?\b', re.IGNORECASE)
_OTHER_SCALE = re.compile(r'(?:out of|scale|max\w*)\b\D*(?:0\D+)?(?:[2-9]|1\d)', re.IGNORECASE)
_SCALE_NAME = re.compile(r'max|out.?of|scale|total', re.IGNORECASE)
# First words behind a number that make something else of it: another number, a bound, a scale, a condition, a denial.
_MORE = re.compile(
    r'(?:or|to|and|of|out|in|on|from|per|percent|pct|stars?|tenths?|hundredths?|thousand|million|half|at (?:least|most)|max\w*|min\w*'
    r'|tops|up|plus|minus|times|over|through|till|until|vs|versus|if|unless|only|when|provided|is|isnt|would|was|cannot|cant|could|might|may|should|seems|not|no|instead'
    r'|oder|bis|von|et|ou|sur|de|y|o|из|или)\b|[/%‰°?…~<>=^*+&\\]|或|到|至|和|と|から|또는|以',
    re.IGNORECASE,
)  # fmt: skip
_TAKEN_BACK = re.compile(r'\b(?:no,? wait|wait|actually|hmm+|second thoughts?|scratch that|correction|sorry|rather)\b|\?', re.IGNORECASE)
# A line that takes back those before.
_ANEW = re.compile(r'\W*(?:no,|no wait|wait|actually|on second|scratch that|correction|sorry|hmm)', re.IGNORECASE)
_REASON = re.compile(
    r'(?:because|since|as|for|due|the|this|it|its|there|reply|both|while|although|though|i|explanation|reason(?:ing)?|rationale|justification)\b'
    r'|因|由于',
    re.IGNORECASE,
)
_NOT_SAID = re.compile(r'\b(?:not|cannot|never|no|nor|if|unless|whether|max\w*|min\w*|highest|lowest|(?:do|does|would|is|ca|wo)nt)\b', re.IGNORECASE)
_DENIED = object()


def read_grade(text: str) -> float | None:
    """Return the grade between 0 and 1 that a reply gives."""
    return _read_one(text, _grade)


def read_same(text: str) -> int | None:
    """Return 1 or 0 if that is what a reply says; `1,0` is both."""
    found = _read_one(re.sub(r'^\W*1 or 0\W*:', '', text), _one_or_zero)  # a judge may repeat the last words of what it was asked
    return None if found is None else int(found)


def _grade(number: str) -> float | None:
    """Return the value of a number between 0 and 1; None for others, and for 1,000, which is a thousand or one."""
    if re.match(r'\+|0\d', number) or re.fullmatch(r'[1-9],\d{3}', number):
        return None
    value = float(number.replace(',', '.'))
    return value if 0 <= value <= 1 else None


def _one_or_zero(number: str) -> float | None:
    return None if ',' in number or _grade(number) not in (0, 1) else float(number)


def _read_one(text: str, value_of: Callable[[str], float | None]) -> float | None:
    cut = text.endswith(CUT)
    found = _of_json(text, value_of)
    if found is _DENIED:
        return None
    if found is not None:
        return found
    text = as_seen(text)
    if any(_OTHER_SCALE.match(line.lstrip(' (')) for line in text.split('\n')):
        return None
    lines = [line.strip() for line in text.split('\n') if re.search(r'\w', line)]
    lines = lines[max((place for place, line in enumerate(lines) if _ANEW.match(line)), default=0) :]
    while len(lines) > 1 and LABEL_ALONE.fullmatch(lines[0]):
        lines.pop(0)
    if not lines:
        return None
    behind = [_value(match, value_of, labelled=True) for line in lines for match in _LABELLED.finditer(line) if not _denied(match)]
    ends = [lines[0]] if cut else list(dict.fromkeys([lines[0], lines[-1]]))
    bare = [value for line in ends if (match := _BARE.match(line)) and (value := _value(match, value_of, labelled=False)) is not None]
    lesser = [_value(match, value_of, labelled=True) for line in ends if (match := _LESSER_LABEL.match(line))]
    if behind or bare or len([line for line in lines if re.search(r'\d', line)]) > 1:
        lesser = [value for value in lesser if value is not None and (behind or bare)]  # they may speak against it, and of something else
    values = {*behind, *bare, *lesser}
    if not values:
        values = {_value(match, value_of, labelled=True) for line in lines for match in _GIVEN.finditer(line) if not _denied(match)}
    return values.pop() if len(values) == 1 else None


def _of_json(text: str, value_of: Callable[[str], float | None]) -> Any:
    """Return the value of a reply that is a JSON object, _DENIED where it holds none or several, None where it is no JSON object."""
    start, end = text.find('{'), text.rfind('}')
    if start < 0 or re.search(r'\w', re.sub(r'```\w*', '', text[:start])) or re.search(r'\w', text[end + 1 :]):
        return None
    try:
        pairs = json.loads(text[start : end + 1], object_pairs_hook=list, parse_float=str, parse_int=str)
    except (ValueError, RecursionError):
        return None
    if not isinstance(pairs, list) or not all(isinstance(pair, tuple) for pair in pairs):
        return _DENIED
    scales = [value for name, value in pairs if _SCALE_NAME.search(name)]
    if any(not isinstance(value, str) or not re.fullmatch(r'1(\.0+)?', value) for value in scales):
        return _DENIED
    named = [value for name, value in pairs if re.search(LABELS, name, re.IGNORECASE) and not _SCALE_NAME.search(name)]
    values = named or [value for _, value in pairs if isinstance(value, str) and re.fullmatch(r'[\d.,]+', value)]
    matches = [_BARE.match(as_seen(value)) if isinstance(value, str) else None for value in values]
    found = {_value(match, value_of, labelled=True) if match else None for match in matches}
    return found.pop() if len(found) == 1 and None not in found else _DENIED


def _denied(match: re.Match) -> bool:
    """Return whether the words in front of a label deny it, bound it or make it a condition."""
    clause = re.split(r'[,.;:!?]', match.string[: match.start()])[-1]
    return bool(_NOT_SAID.search(clause))


def _value(match: re.Match, value_of: Callable[[str], float | None], *, labelled: bool) -> float | None:
    """Return the value of a number, None unless what follows lets it be the one thing said."""
    number, rest = match['number'], match.string[match.end() :]
    if labelled and 'scale' in match.re.groupindex and re.search(r'[2-9]|1\d', match['scale'] or ''):
        return None
    value = value_of(number)
    return value if value is not None and _stands(number, rest, labelled=labelled) else None


def _stands(number: str, rest: str, *, labelled: bool) -> bool:
    """Return whether a number stands for itself, by the rest of its line."""
    whole = not re.search(r'[.,eE]', number)
    if scale := _OF_ONE.match(rest):
        if number == '0' and '/' in scale[0]:
            return False
        rest = rest[scale.end() :]
    elif unit := _UNIT.match(number + rest, len(number)):
        rest = rest[unit.end() - len(number) :]
    if re.match(r'[\w%‰°]|[.,:]\d|\.\.|-', rest):
        return False
    if whole and not labelled and re.match(r'[.)]\s*[^\W\d]', rest):
        return False  # a point of a list
    sentence = re.split(r'[.!](?:\s|$)', rest, maxsplit=1)[0]
    if not left_at_that(sentence) or _TAKEN_BACK.search(rest) or _OTHER_SCALE.search(rest):
        return False
    others = re.findall(r'(?<![\d.,])\d*[.,]\d+', rest)
    return all(other.replace(',', '.') == number.replace(',', '.') for other in others)


def left_at_that(rest: str) -> bool:
    """Return whether the words behind a number leave it at that: none, or its reason; `1 part`, `1 or 2` and `1? no` do not."""
    said = rest.strip(' .,;:!)]】(—–-')
    reason = bool(_REASON.match(said))
    if (re.match(r'\s+\w', rest) or re.search(r'\d', said)) and not reason:
        return False
    return not (_MORE.match(said) or _TAKEN_BACK.search(rest))
