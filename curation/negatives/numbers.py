"""A number of an answer changed: clearly another, in the same notation, and in agreement with what it counts."""

import hashlib
import math
import re
from collections.abc import Sequence

from curation.answers.kinds import WORD_NUMBERS, YEAR, notation
from curation.answers.number_words import PARTS
from curation.english.grammar import counted_noun, is_english, like, plural, replaced, single_noun

MONTHS = ['january', 'february', 'march', 'april', 'may', 'june', 'july', 'august', 'september', 'october', 'november', 'december']
YEARS = 9  # a wrong year is at most this far off
NEAREST = 8  # so many right numbers of a notation tell how large one can be
_WORD = re.compile(r'[^\W\d_]+')
# Bounded: no float holds a number of 400 digits. Scripts without blanks write letters beside digits.
_DIGITS = re.compile(
    r'(?:(?<![\w.])|(?<=[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\u0e00-\u0e7f]))(?:\d{1,3}(?:,\d{3}){1,9}(?!\d)|\d{1,31})(?:\.\d{1,15})?'
    r'(?:(?!\w)|(?=[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\u0e00-\u0e7f]))')
_CLOCK = re.compile(r'(?<![\d:])(\d{1,2}):([0-5]\d)(?::[0-5]\d)?(?![\d:])')
_THERE_IS = re.compile(r'\bthere (is|was) (?:only |exactly |just )?$', re.IGNORECASE)
_OBJECT = re.compile(  # what comes next is no subject, so that no verb agrees with it
    r'\b(?:has|have|had|with|holds?|eats?|gets?|buys?|sees?|shows?|contains?|costs?|needs?|of|by|for|in|takes?|gives?|leaves?|adds?|makes?|equals|is|was|be|to)'
    r' (?:only |exactly |just |about )?$|=\s*$', re.IGNORECASE)
_TWELVE = re.compile(r' (?:noon|midnight)\b', re.IGNORECASE)
_PERCENT = re.compile(r'\s*(?:%|percent\b|per cent\b)')


def pick(sample_id: str, salt: str, count: int) -> int:
    """Return a number below `count` that depends on the id and the salt only."""
    return int.from_bytes(hashlib.sha256(f'{salt}\0{sample_id}'.encode()).digest()[:8]) % count


def other_digits(sample_id: str, text: str, seen: str, pool: Sequence[str]) -> str | None:
    """Return `text` with its last number changed by 10 to 50 % (counts: by 1 to 3), in the same notation and as round as it was; None without one.

    It stays below the largest right number of this notation in the pool: larger ones would all be wrong. `seen`: what of the text may change.
    """
    clock = list(_CLOCK.finditer(seen))
    if clock:
        return text[:clock[-1].start(1)] + _other_hour(sample_id, clock[-1][1]) + text[clock[-1].end(1):]
    english = is_english(text)
    for digits in reversed(list(_DIGITS.finditer(seen))):
        changed = change_at(sample_id, text, seen, *digits.span(), most=_most(text, pool), english=english)
        if changed is not None:
            return changed
    return None


def change_at(sample_id: str, text: str, seen: str, start: int, end: int, *, most: float = math.inf, english: bool = True) -> str | None:
    """Return `text` with the digits of [start, end) changed, and the article and the noun beside them in agreement; None where that is not sure."""
    digits = text[start:end]
    if _TWELVE.match(seen, end):
        return None
    percent = bool(_PERCENT.match(seen, end)) and _plain(digits) <= 100
    noun = counted_noun(seen, end) if english else None
    if noun is None and YEAR.fullmatch(digits) and not _PERCENT.match(seen, end):
        return text[:start] + other_year(sample_id, digits, text[end:]) + text[end:]
    new = _changed(sample_id, digits, min(most, 100) if percent else most, one=noun is None, fine=percent)
    if noun and _plain(digits) == 1:  # its noun and its verb are in the singular: all change, or none
        single = single_noun(seen, end)
        return _more_than_one(text, start, end, new, single) if single else None
    return replaced(text, start, end, new) if english else text[:start] + new + text[end:]


def other_year(sample_id: str, year: str, after: str) -> str:
    """Return a year near `year`; of a decade (1990s, as `after` shows) another one."""
    is_decade = year.endswith('0') and after[:1] == 's' and not after[1:2].isalpha()
    shift = (1 + pick(sample_id, 'year', YEARS // 3 if is_decade else YEARS)) * (10 if is_decade else 1)
    return str(int(year) + (shift if pick(sample_id, 'forward', 2) else -shift))


def _more_than_one(text: str, start: int, end: int, new: str, noun: tuple[int, int]) -> str | None:
    before, after = text[:start], text[noun[1]:]
    if there := _THERE_IS.search(before):
        before = before[:there.start(1)] + ('are' if there[1].casefold() == 'is' else 'were') + before[there.end(1):]
    elif not (_OBJECT.search(before) or (not before.strip('$*_ ') and not after.strip(' .$*_'))):
        return None
    return before + new + text[end:noun[0]] + plural(text[noun[0]:noun[1]]) + after


def _most(text: str, pool: Sequence[str]) -> float:
    known = [last[-1] for other in pool if notation(other.strip()) == notation(text) and (last := _DIGITS.findall(other))]
    return max((_plain(number) for number in known), default=math.inf) if len(known) >= NEAREST else math.inf


def _other_hour(sample_id: str, hour: str) -> str:
    most = 12 if 1 <= int(hour) <= 12 else 24
    moved = (int(hour) - (most == 12) + 1 + pick(sample_id, 'hour', most - 1)) % most + (most == 12)
    return str(moved).zfill(2) if hour.startswith('0') or most == 24 else str(moved)


def _plain(digits: str) -> float:
    return float(digits.replace(',', ''))


def _changed(sample_id: str, digits: str, most: float, *, one: bool, fine: bool) -> str:
    """Return other digits; never 1 unless `one`, for a plural may follow. `fine`: of a round share the tens may change."""
    places = len(digits.partition('.')[2])
    plain = digits.replace(',', '').replace('.', '')
    zeros = len(plain) - len(plain.rstrip('0')) if plain.strip('0') else 0
    if fine and zeros and len(plain) - zeros == 1:
        zeros -= 1
    scale = 10.0 ** (places - zeros)
    units = round(_plain(digits) * scale)  # whole units of the last place that is not 0, so that the notation stays
    span = (1, 3) if units < 10 else (max(1, -(-units // 10)), units // 2)
    step = span[0] + pick(sample_id, 'number', span[1] - span[0] + 1)
    down = (pick(sample_id, 'down', 2) or (units + step) / scale > most) and units - step > 0
    changed = units - step if down else units + step
    if not one and changed / scale == 1:
        changed = units + step
    text = f'{changed / scale:,.{places}f}' if ',' in digits else f'{changed / scale:.{places}f}'
    return text.zfill(len(digits)) if digits.startswith('0') and places == 0 else text


def other_number_word(sample_id: str, answer: str) -> str | None:
    """Return a short answer with the word that counts changed, and its noun with it: 'one dog', 'three dogs'."""
    word = _WORD.match(answer)
    if not word or word[0].casefold() not in WORD_NUMBERS:
        return None
    if answer[word.end():].strip(' .').casefold() in PARTS:
        return None  # six thirds
    noun, one = counted_noun(answer, word.end()), word[0].casefold() == 'one'
    single = single_noun(answer, word.end()) if noun and one else None
    if noun and one and not single:
        return None
    names = [name for name in list(WORD_NUMBERS)[1:11] if name != word[0].casefold() and (noun is None or name != 'one')]
    new = like(word[0], names[pick(sample_id, 'word', len(names))])
    if single:
        return new + answer[word.end():single[0]] + plural(answer[single[0]:single[1]]) + answer[single[1]:]
    return new + answer[word.end():]
