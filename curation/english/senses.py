"""Every way to make a text wrong by one word that excludes it, where the word surely has that sense and all that agrees with it can follow."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain

from curation.english.attributes import ASKED, ATTRIBUTES, COLOURS, FIXED, FRUIT, GROUP, NO_NOUN, NUMBERS, ONE_SEX, PEOPLE, SENSES, SHAPES
from curation.english.grammar import counted_noun, is_plural, like, replaced

_COLOUR = '|'.join(COLOURS)
_FIXED = re.compile(rf'\b(?:{FIXED})\b', re.IGNORECASE)
_FRUIT = re.compile(rf' (?:{FRUIT})\b')
_NO_NOUN = re.compile(rf'{NO_NOUN}|(?:{FRUIT})\b')
_COLOURED = re.compile(
    r'\b(?:is|are|was|were|bright|dark|light|pale|colou?red|painted(?: in)?|wearing|dressed in|wears|turned|in) $'
    rf'|\b(?:{_COLOUR}) and $', re.IGNORECASE)
_SHAPED = re.compile(rf'(?:^|\b(?:an?|the|one|each|this|that|large|small|big|tiny|grey|{_COLOUR}) )$', re.IGNORECASE)
_AFTER_SHAPE = re.compile(
    r'\s*(?:[.,;:!?)]|$|(?:is|are|was|in|on|at|to|and|or|left|right|above|below|inside|outside|next|near|beside|under|stands|lies|sits|that|which|shape)\b)')
_DENIED = re.compile(r"\b(?:no|not|never|without|neither|nor|none|nobody|nothing|cannot)\b|n['’]t\b", re.IGNORECASE)
_NOT_ALL = re.compile(r'\bnot (?:all|every|everything|everyone|both)\b', re.IGNORECASE)  # not all are closed, and not all are open
_CLAUSE = re.compile(r'[,;:.!?\n]|\b(?:and|but)\b', re.IGNORECASE)
_SHADE = re.compile(r'\b(?:light|dark|pale|bright|deep) $', re.IGNORECASE)  # of a colour that has some
NEAR_CHARS = 80
AROUND_CHARS = 200
_TO_ITS_END = '[^.;]*'
_TITLES = ('Mr.', 'Mrs.', 'Ms.', 'Dr.', 'St.', 'Prof.')
_WORD = re.compile(r"[^\W\d_]+")

_IN_GROUPS = frozenset(GROUP) | {'grey'}
_ONE_SEX = re.compile(rf'\b(?:{ONE_SEX})\b', re.IGNORECASE)
_ALL_PEOPLE = frozenset(word for pair in PEOPLE for word in pair)
_MALE = frozenset(pair[0] for pair in PEOPLE)
_HERS = {'he': 'she', 'him': 'her', 'his': 'her', 'himself': 'herself'}
_HIS = {'she': 'he', 'herself': 'himself'}
_PERSON = re.compile(rf'\b(?:{"|".join(sorted(_ALL_PEOPLE))}|{"|".join((*_HERS, *_HIS, "her"))})\b(?!-)', re.IGNORECASE)
_POSSESSED = re.compile(
    r' (?!(?:and|or|but|in|on|at|to|with|from|by|for|as|while|when|because|is|are|was|the|a|an|up|down|out|off|away|back|over|into|that|if|so|near'
    r'|under)\b)[a-z]', re.IGNORECASE)  # 'her' before it is 'his', else 'him'


@dataclass(frozen=True, slots=True)
class Swap:
    """One way to make a text wrong: the word said, the word put in its place, and what of the text changes: equal ways change the same."""

    old: str
    new: str
    span: tuple[int, int]
    put: str

    def made(self, text: str) -> str:
        """Return the whole text then, with its article in agreement."""
        return replaced(text, *self.span, self.put)


def swaps(text: str, seen: str, said: frozenset[str]) -> list[Swap]:
    """Return every way to put a word that excludes it in the place of an attribute of `text`, in order.

    `seen`: the text as the shield shows it. `said`: words of the text and its question; a colour among them may be true of something else.
    """
    found = []
    for word in _attribute_words(seen):
        low = _spelled(word[0].casefold())
        number = GROUP[low]
        if not _has_sense(low, number, seen, word):
            continue
        if _is_denied(seen, word.start(), among=len(ATTRIBUTES[number])):
            continue
        unshaded = ('black', 'white') if _SHADE.search(seen[:word.start()]) else ()
        others = [other for other in ATTRIBUTES[number] if other not in (low, 'one', *unshaded) and other not in said]
        if len(ATTRIBUTES[number]) == 2 and not others and not _stands_in(_other(low), seen):
            others = [_other(low)]  # of two, the question may name both
        if low not in _ALL_PEOPLE:
            found += [Swap(low, other, word.span(), _like(word[0], other)) for other in others]
        elif (changed := _of_the_other_sex(text, seen, low)) is not None:
            found += [Swap(low, other, (0, len(text)), changed) for other in others]
    return found


def _attribute_words(seen: str) -> list[re.Match[str]]:
    """Return every word of a group, in order."""
    if seen.isascii():  # so that it is as long in lower case
        low = seen.lower()
        places = sorted(chain.from_iterable(_places(word, low) for word in _IN_GROUPS.intersection(_WORD.findall(low))))
        return [word for at in places if (word := _WORD.match(seen, at))]
    return [word for word in _WORD.finditer(seen) if word[0].casefold() in _IN_GROUPS]


def _places(word: str, low: str) -> Iterator[int]:
    """Yield where a word stands in a text of lower case, letters beside it apart."""
    at = low.find(word)
    while at >= 0:
        end = at + len(word)
        if not low[max(0, at - 1):at].isalpha() and not low[end:end + 1].isalpha():
            yield at
        at = low.find(word, end)


@lru_cache(maxsize=16_384)
def _like(model: str, word: str) -> str:
    return like(model, word)


def asked_for(word: str, question: str) -> bool:
    """Return whether `question` asks for the sense in which the lone word excludes others of its group."""
    return word not in ASKED or bool(re.search(ASKED[word], question, re.IGNORECASE))


def _is_denied(seen: str, start: int, *, among: int) -> bool:
    """Return whether the clause before `start` denies: where there are no white chairs there may be no blue ones either."""
    clause = _CLAUSE.split(seen[max(0, start - NEAR_CHARS):start])[-1]
    return (_DENIED if among > 2 else _NOT_ALL).search(clause) is not None


def _other(low: str) -> str:
    return next(other for other in ATTRIBUTES[GROUP[low]] if other != low)


def _stands_in(word: str, seen: str) -> bool:
    return re.search(rf'\b{word}\b', seen, re.IGNORECASE) is not None


def _spelled(low: str) -> str:
    return 'gray' if low == 'grey' else low


@lru_cache(maxsize=1024)
def _patterns(low: str) -> tuple[re.Pattern[str], ...]:
    named = f'(?P<w>{low})(?![\\w-])'
    return tuple(re.compile(pattern.replace('{w}', named), re.IGNORECASE) for pattern in SENSES[ATTRIBUTES[GROUP[low]]])


def _has_sense(low: str, number: int, seen: str, word: re.Match[str]) -> bool:
    start, end = word.span()
    if not seen[:start].strip(' .,"') and not seen[end:].strip(' .,!"'):
        return True  # a lone word: `asked_for` says its sense
    if seen[max(0, start - 1):start] in ('-', '\uffff') or seen[end:end + 1] in ('-', '’', "'", '\uffff') or _is_name(seen, word):
        return False
    words = ATTRIBUTES[number]
    if words is COLOURS:
        return _is_colour(low, seen, start, end)
    if words is SHAPES:
        return _is_shape(seen, start, end)
    if words is NUMBERS:
        return _counts(low, seen, start, end)
    if words in PEOPLE:
        return not seen[:start].casefold().endswith(('snow ', 'to ', 'gingerbread ')) and not re.match(r' (?:made|power|cave)\b', seen[end:])
    patterns = _patterns(low)
    return not patterns or any(_stands_at(start, pattern, seen) for pattern in patterns)


def _stands_at(start: int, pattern: re.Pattern[str], seen: str) -> bool:
    """Return whether the word at `start` is the one of a pattern's matches, of which none looks farther than AROUND_CHARS, but to a clause's end."""
    stop = len(seen) if _TO_ITS_END in pattern.pattern else start + AROUND_CHARS
    for found in pattern.finditer(seen, max(0, start - AROUND_CHARS), stop):
        if found.start('w') >= start:
            return found.start('w') == start
    return False


def _is_name(seen: str, word: re.Match[str]) -> bool:
    """Return whether a word is written large inside a sentence, or at its beginning before another such word: the White House, Red Bull."""
    if not word[0][0].isupper() or (word[0].isupper() and seen.isupper()):
        return False
    before = seen[:word.start()].rstrip(' "“\'(*')
    return bool(before) and (before[-1] not in '.!?:\n' or before.endswith(_TITLES)) or re.match(r'[ -][A-Z]', seen[word.end():]) is not None


def _counts(low: str, seen: str, start: int, end: int) -> bool:
    """Return whether a number word stands before a plural, which any of them but 'one' may do: two dogs, not 'one of them', 'three of the four'."""
    noun = counted_noun(seen, end)
    return low != 'one' and noun is not None and noun[2] and not seen[:start].casefold().endswith(('of the ', ' and '))


def _is_colour(low: str, seen: str, start: int, end: int) -> bool:
    near = seen[max(0, start - 24):end + 24]
    if any(found.start() <= min(start, 24) < found.end() for found in _FIXED.finditer(near)):
        return False
    return low != 'orange' or _is_no_fruit(seen, start, end)


def _is_no_fruit(seen: str, start: int, end: int) -> bool:
    rest = seen[end:end + 40]
    if _COLOURED.search(seen[max(0, start - 40):start]):
        return not _FRUIT.match(rest)
    following = re.match(r' ([a-z]+)', rest)
    if re.match(rf',? and (?:{_COLOUR})\b', rest):
        return True
    if not following or _NO_NOUN.match(following[1]):
        return False
    return not (is_plural(following[1]) and re.search(r'\b(?:an|one|the|this|each) $', seen[:start], re.IGNORECASE))  # an orange lies


def _is_shape(seen: str, start: int, end: int) -> bool:
    if seen[max(0, start - 4):end].casefold() == 'the square' and not any(_stands_in(shape, seen) for shape in SHAPES[:3]):
        return False  # of a town
    return bool(_SHAPED.search(seen[max(0, start - 40):start])) and _AFTER_SHAPE.match(seen, end) is not None


def _of_the_other_sex(text: str, seen: str, low: str) -> str | None:
    """Return the text with every mention of its only person changed, and every pronoun with it."""
    people = {word for word in _WORD.findall(seen.casefold()) if word in _ALL_PEOPLE}
    if people != {low} or _ONE_SEX.search(seen) or seen != text:
        return None
    pronouns = {word.casefold() for word in _PERSON.findall(seen)} - _ALL_PEOPLE
    if pronouns & ({*_HIS, 'her'} if low in _MALE else set(_HERS)):
        return None  # of somebody else
    return _PERSON.sub(lambda found: _agreeing(found, text, low), text)


def _agreeing(found: re.Match[str], text: str, low: str) -> str:
    word = found[0].casefold()
    if word == low:
        return like(found[0], _other(low))
    if low in _MALE:
        return like(found[0], _HERS[word])
    return like(found[0], _HIS[word] if word in _HIS else 'his' if _POSSESSED.match(text, found.end()) else 'him')
