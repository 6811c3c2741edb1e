"""The final answer of a worked solution: where a text states it, and what it says. The steps before it are no part of it."""

import itertools
import re
from dataclasses import dataclass
from functools import lru_cache

from curation.answers.kinds import same_number, tokens
from curation.answers.shield import SHIELD, is_code, structure_shielded
from curation.english.remembered import lacks

_CUE = r'(?:final |correct |right |exact |best |required |desired )?answers?'
_LEAD = r'[\s:：=*_"“\'‘]{0,8}'
# What follows a statement's cue, up to the end of its sentence or line; a point inside a number ends nothing.
_VALUE = (
    r'(?P<value>[^\n]{1,160}?)(?=[.。!！;；]?[\s*_"”]*(?:\n|\Z)|(?<![\s(:*][A-H])[.。!！]["”)*]{0,3}\s+\S|。|\s*</|,? (?:because|since|which|where'
    r'|as)\b|, so\b)'
)
# Each behind words of which a text in ASCII that states an answer so holds one; none where it cannot be in ASCII.
_NAMED = tuple((words, re.compile(pattern, re.IGNORECASE | re.MULTILINE)) for words, pattern in (
    (('####',), r'(?:^|\s)####[ \t]*(?!\#)' + _VALUE.replace('[^\\n]', '[^\\n#]')),  # GSM8K
    (('answer',), rf'\b{_CUE}(?: (?:to|of|for) [^.\n]{{1,80}}?)?\*{{0,2}}\s*(?:is|are|was|would be|should be|will be|equals|must be)\b'
                  rf'\*{{0,2}}(?: that| therefore| thus)?{_LEAD}{_VALUE}'),
    (('answer',), rf'(?:^|(?<=[\s*>#(])){_CUE}\*{{0,2}}\s*[:：=]\*{{0,2}}{_LEAD}{_VALUE}'),
    (('ans',), rf'^[ \t]*ans\.?\s*[:：=]\s*{_VALUE}'),
    (('answer',), rf'^[#* \t]{{0,8}}{_CUE}[*:\s]{{0,8}}\n\s{{0,8}}{_VALUE}'),  # a headline, then the answer
    (('\n',), r'\A\*{0,4}(?P<value>[^\n]{1,80}?)[.*]{0,4}\n{1,3}\W{0,10}'
               r'(?:explanation|reason(?:ing|s)?|rationale|because|solution|justification)\b'),
    ((), r'(?:最终|正确|最后)?(?:答案|结果|選項|选项)(?:应该|應該)?\s*(?:是|为|為|：|:|选|選)\s*' + _VALUE),
    ((), r'(?:故|应|應|所以|因此)[选選]\s*[:：]?\s*' + _VALUE),
    ((), r'答え(?:は|:|：)\s*(?P<value>[^\n。]+?)(?=です|である|となる|[。\n]|\Z)'),
    ((), r'(?:정답|답)(?:은|:)\s*(?P<value>[^\n.]+?)(?=입니다|이다|[.\n]|\Z)'),
    (('respuesta', 'risposta', 'antwort', 'resposta'),
     rf'\b(?:la (?:réponse|respuesta|risposta)|die antwort|a resposta)(?: final| correcta| correcte| corretta)? (?:est|es|è|ist|lautet'
     rf'|é){_LEAD}{_VALUE}'),
))  # fmt: skip
# Said of steps as well, so that it counts only where nothing is called the answer.
_WEAK_WORDS = ('solution', 'result', 'option', 'choice', 'value')
_WEAKLY_NAMED = re.compile(
    rf'\b(?:solution|result|option|choice|value)\*{{0,2}} ?(?:is|:|=)\*{{0,2}}{_LEAD}(?=[^\n]{{0,20}}\d|\(?[A-H]\b){_VALUE}', re.IGNORECASE)
_CHOICE_WORDS = ('choose', 'select', 'pick', 'option', 'choice', 'answer')
_CHOICE = re.compile(
    r'\b(?:choose|select|pick) (?:option |choice |answer )?\(?(?P<value>[A-Ha-h])\)?(?![\w\'])|\b(?:option|choice'
    r'|answer) \(?(?P<other>[A-H])\)? is (?:the )?(?:correct|right)', re.IGNORECASE)
_TAG = re.compile(r'<(answer|conclusion)>(?P<value>[^<>]+)</\1>', re.IGNORECASE)
_BOX = re.compile(r'\\(?:boxed|fbox|framebox)\s*\{')
_CONCLUDES = re.compile(
    rf'(?:\b(?P<sure>therefore|thus|hence|consequently|in total|altogether|we (?:get|have|find|obtain)|this gives)\b|\b(?:so|accordingly'
    rf'|finally|in conclusion)\b|∴|因此|所以)'
    rf'[^\n]*?(?:(?<![<>!])=|≈|\\approx|\b(?:is|are|was|were|has|have|had|equals|costs?|makes?|gets?|needs?|there are|will be)\b|为'
    rf'|是)\s*{_VALUE}', re.IGNORECASE)
_EQUALS = re.compile(r'(?:(?<![<>!=])(?:=|≈|\\approx)|\bequals\b|\bis\b)(?!=)\s*' + _VALUE, re.IGNORECASE)
_CALCULATES = re.compile(r'[\\$+*×÷^=<]')  # without one of these only a 'step 1' is worked
_WORKED = re.compile(
    r'\\[a-zA-Z]{2,}|\$[^$\n]+\$|\\[(\[]|\d\s*[+*×÷^=]\s*\d|=\s*[-+$]?\d|<<[^<>]*>>|\b[Ss]tep \d|^[ \t]{0,20}\d{1,4}[.)] .*=', re.MULTILINE)
_BREAK = re.compile(r'\n\s*|[.!?]\s+|。')
_NUMBER = re.compile(r'(?<![\w.])\d[\d,]*(?:\.\d+)?(?!\w)')
_PROSE = re.compile(r'[^\W\d_]{2,}')
_HAS_NUMBER = re.compile(r'\d')
_INSIDE = re.compile(r'\\(?:text(?:bf|rm|it)?|mathrm|mathbf|mathit|displaystyle|large|Large)\b|[\s$*"“”\'‘’{}()（）\[\]]')
LAST_SENTENCE = 500  # characters at most
SHORT_VALUE = 120  # characters; what follows "the answer is" and is longer is prose, not a final answer


@dataclass(frozen=True, slots=True)
class Final:
    """The final answer of a text: what it says, every place that states it, in order, and places that state other things as an answer."""

    value: str
    spans: tuple[tuple[int, int], ...]
    others: tuple[tuple[int, int], ...] = ()


@lru_cache(maxsize=4096)  # a pool's texts are looked at for every sample
def final_answer(text: str) -> Final | None:
    """Return the final answer that `text` states by name ('The answer is 12.', '#### 12', '\\boxed{12}') or that a calculation ends in."""
    if is_code(text):
        return None
    seen = structure_shielded(text)
    tagged = [_trimmed(text, *found.span('value')) for found in _TAG.finditer(text)] if '<' in text else []
    named = _innermost([*_boxes(text), *tagged, *_stated(seen)])
    if not named and not lacks(seen, *_WEAK_WORDS):
        named = _innermost(_short(seen, [found.span('value') for found in _WEAKLY_NAMED.finditer(seen)]))[-1:]
    if named:
        value = text[slice(*named[-1])]
        same = tuple(span for span in named if same_value(text[slice(*span)], value))
        return Final(value, same, tuple(sorted({*named} - {*same})))
    span = _concluded(text, seen)
    return Final(text[slice(*span)], (span,)) if span else None


def same_value(one: str, other: str) -> bool:
    """Return whether two statements of a final answer agree, markup aside: '$12$', '12' and 'x = 12 cm'; '(B)', '\\text{B}' and 'B. cat'."""
    a, b = sorted((_bare(one), _bare(other)), key=len)
    return one == other or bool(a) and (a == b[:len(a)] or a == b[-len(a):] or same_number(' '.join(a), ' '.join(b)))


def _bare(value: str) -> list[str]:
    return tokens(_INSIDE.sub(' ', value).replace(SHIELD, ' '))


def is_worked(text: str) -> bool:
    """Return whether `text` calculates: formulas, equations, steps."""
    return bool((_CALCULATES.search(text) or 'tep ' in text) and _WORKED.search(text))


def _boxes(text: str) -> list[tuple[int, int]]:
    spans = []
    for found in _BOX.finditer(text):
        depth, at = 1, found.end()
        while at < len(text) and depth and at - found.end() <= 4 * SHORT_VALUE:
            depth += {'{': 1, '}': -1}.get(text[at], 0) if text[at - 1] != '\\' else 0
            at += 1
        if depth == 0:
            spans.append(_trimmed(text, found.end(), at - 1))
    return spans


def _stated(seen: str) -> list[tuple[int, int]]:
    spans = [found.span('value') for words, pattern in _NAMED if not lacks(seen, *words) for found in pattern.finditer(seen)]
    if not lacks(seen, *_CHOICE_WORDS):
        spans += [found.span('value' if found['value'] else 'other') for found in _CHOICE.finditer(seen)]
    return _short(seen, spans)


def _short(seen: str, spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    return [_trimmed(seen, *span) for span in spans if span[1] - span[0] <= SHORT_VALUE]


def _concluded(text: str, seen: str) -> tuple[int, int] | None:
    """Return where the last sentence of a calculation states its result, None where nothing is calculated."""
    end = len(seen.rstrip(' .。\n\t'))
    near = max(0, end - LAST_SENTENCE)
    last = max((found.end() for found in _BREAK.finditer(seen, near, end)), default=near)
    worked = is_worked(text)
    concluded = [found for found in _CONCLUDES.finditer(seen, last) if worked or found['sure']]
    for found in (concluded or (list(_EQUALS.finditer(seen, last)) if worked else []))[-1:]:
        while (inner := _EQUALS.search(seen, found.start('value'))) and _HAS_NUMBER.search(inner['value']):  # so 3 + 4 = 7: the last equation's value
            found = inner
        if _HAS_NUMBER.search(found['value']):
            return _trimmed(seen, *found.span('value'))
    if worked and not _PROSE.search(seen):
        return _trimmed(seen, 0, end)  # a formula and nothing else
    numbers = list(_NUMBER.finditer(seen, last)) if worked else []
    return numbers[-1].span() if numbers else None


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """Return the span without the blanks, marks and dollars around a value."""
    while start < end and text[start] in ' \t\n*_"“‘':
        start += 1
    while start < end and text[end - 1] in ' \t\n*_"”’.。,;；!！':
        end -= 1
    return start, end


def _innermost(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the spans in order, each that holds another given up for it: 'The answer is \\boxed{12}' states 12."""
    own = sorted({span for span in spans if span[0] < span[1]}, key=lambda span: (-span[0], span[1]))  # what a span holds comes before it
    ends = itertools.accumulate((end for _, end in own), min, initial=own[0][1] + 1 if own else 0)
    return [span for span, end in zip(own, ends, strict=False) if span[1] < end][::-1]
