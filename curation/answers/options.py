"""Options that a question names in words: 'linear or nonlinear?', 'Choose from: red, blue', ['yes', 'no'], A. cat B. dog."""

import re
from functools import lru_cache

from curation.answers.kinds import ARTICLES, options_of, tokens

ITEM_WORDS = 8  # a longer piece between commas is a clause, no option
_CUE = re.compile(
    r'\b(?:options?|choices|candidates|answers?|categories|classes|labels|select|choose|pick|answer|respond|reply|classify|choosing|selecting)\b'
    r'(?:[^.:?!\n]{0,40}?\b(?:from|of|among|between|with|are|is|as|into|either|using))?(?: (?:the )?following)?(?: (?:options?|choices|words'
    r'|answers?))?\s{0,8}[:：]?\s{0,8}(?P<list>[^\n?!]{3,600})',
    re.IGNORECASE)
_ENCLOSED = re.compile(r'[(\[{（【](?P<list>[^()\[\]{}（）【】\n]{3,600})[)\]}）】]')
_BULLETS = re.compile(r'(?:^|\n)[ \t]*(?:[-*•]|\d{1,2}[.)]|\(\d{1,2}\))[ \t]+(?P<item>[^\n]{1,200})')
_NUMBERED = re.compile(r'(?:^|[\s;])(?:\((?P<a>\d{1,2})\)|(?P<b>\d{1,2})[.)])\s+(?P<item>.+?)(?=[;\n]|\s\(?\d{1,2}[.)]\s|$)', re.DOTALL)
_OR = re.compile(r'[,、，]?\s{1,8}(?:or|vs\.?|versus)\s+|[,、，]?\s{0,8}(?:还是|或者|或|還是)\s*', re.IGNORECASE)
_PARTS = re.compile(r'\s{0,8}[,;|、，；]\s*(?:(?:and|or)\s+)?|\s{1,8}(?:or|and)\s+|\s{0,8}/\s*|\s{0,8}\n\s*', re.IGNORECASE)
_SENTENCE = re.compile(r'[?!.？。](?:\s|$)|\n')
_COLON = re.compile(r':(?!\d)|：')  # not that of a time
_CLAUSE = re.compile(r'[?!.;:？。](?:\s|$)|\n')
_COMMA = re.compile(r'\s{0,8}[,、，]\s*')
_ENTRIES = re.compile(r'\s{0,8}[,、，;；|]\s*(?:or\s+)?|\s{1,8}/\s+|\s{1,8}or\s+', re.IGNORECASE)
_SLASHED = re.compile(r'(?<![\w/.])(?P<list>[^\W\d_]+(?:/[^\W\d_]+)+)(?![\w/])')
_QUOTES = ' \t\n"\'“”‘’`*.。?!'
_ASKS = frozenset({
    'is', 'are', 'was', 'were', 'do', 'does', 'did', 'can', 'could', 'will', 'would', 'should', 'has', 'have', 'which', 'what', 'who', 'where',
    'when', 'how'
})  # fmt: skip
_EDGE = frozenset({
    'is', 'are', 'was', 'were', 'do', 'does', 'did', 'can', 'will', 'be', 'it', 'this', 'that', 'these', 'those', 'there', 'you', 'he', 'she',
    'they', 'of', 'in', 'on', 'at', 'as', 'to', 'from', 'by', 'for', 'with', 'than', 'have', 'has'
})  # fmt: skip


def named_options(question: str, answer: str) -> list[str]:
    """Return the options of `question`, of which `answer` is one (letter case and articles aside); [] where it names none, or not this answer."""
    wanted = tokens(answer)
    if not wanted or len(wanted) > ITEM_WORDS:
        return []
    chinese = len(wanted) == 1 and not wanted[0].isascii()
    for options in (*listed(question), *_alternatives(question, tuple(wanted)), *_enumerated(question, len(wanted))):
        if chinese:  # no blank parts the first option from the question
            options = (options[0][-len(wanted[0]):], *options[1:])
        if any(tokens(option) == wanted for option in options) and len({tuple(tokens(option)) for option in options}) > 1:
            return list(options)
    return []


def named_within(question: str, answer: str) -> tuple[int, int, list[str]] | None:
    """Return (start, end, options) of the one option of one word that a sentence names, None where it names none or several."""
    for options in (*listed(question), *_alternatives(question, ('',)), *_enumerated(question, 1)):
        words = [option for option in options if option and ' ' not in option and option.casefold() not in ('yes', 'no')]
        found = [m for option in words for m in re.finditer(rf'(?<![\w-]){re.escape(option)}(?![\w-])', answer, re.IGNORECASE)]
        if len(words) > 1 and len(found) == 1 and found[0][0] != answer:
            return *found[0].span(), words
    return None


@lru_cache(maxsize=4096)
def listed(question: str) -> tuple[tuple[str, ...], ...]:
    """Return every list of short items that `question` offers, the surest first."""
    found = [tuple(options_of(question).values()), tuple(m['item'].strip(_QUOTES) for m in _NUMBERED.finditer(question))]
    found += [_items(m['list']) for pattern in (_ENCLOSED, _CUE, _SLASHED) for m in pattern.finditer(question)]
    found += [tuple(m['item'].strip(_QUOTES) for m in _BULLETS.finditer(question))]
    return tuple(items for items in found if len(items) > 1)


def _items(text: str) -> tuple[str, ...]:
    sentence = re.split(r'[.。](?:\s|$)', text.strip(' ([{（【'))[0].rstrip(')]}）】')
    sentence = _COLON.split(sentence)[-1]
    separator = next((mark for mark in ('|', ';', '；', '\n') if mark in sentence), None)
    parts = sentence.split(separator) if separator else _PARTS.split(sentence)
    items = tuple(part.strip(_QUOTES) for part in parts if part.strip(_QUOTES))
    return items if all(len(item.split()) <= ITEM_WORDS for item in items) else ()


def _alternatives(question: str, wanted: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Return the things between which a question asks: 'Is the line solid, dashed or dotted?'. The outer ones are as long as the answer is."""
    found = []
    for clause in _CLAUSE.split(question):
        if not _OR.search(clause):
            continue
        before, *rest = (part.split() for part in _OR.split(clause))
        listed = [part.split() for part in _COMMA.split(' '.join(before))]
        begins = max((i for i, words in enumerate(listed) if words and words[0].casefold() in _ASKS), default=0)
        asked = bool(listed[begins]) and listed[begins][0].casefold().startswith(('wh', 'how')) and len(listed) > begins + 1
        pieces = [*listed[begins + asked:], *rest]  # Which is larger, A or B?
        articled = bool(pieces[-1]) and pieces[-1][0].casefold() in ARTICLES
        outer = _last(pieces[0], len(wanted), articled) if not asked else pieces[0]
        options = (outer, *pieces[1:-1], pieces[-1][:len(wanted) + articled])
        if all(options):
            found.append(tuple(_joined(words) for words in options))
    return found


def _enumerated(question: str, size: int) -> list[tuple[str, ...]]:
    """Return the lists that stand in a question without a word that says so: 'Is it linear, nonlinear?', 'rising; falling; flat' on a line.

    The first entry is as long as the answer, `size` words; what is longer than an entry beside it is a clause.
    """
    found = []
    for clause in _SENTENCE.split(question.rstrip('?？')):
        sentence = _COLON.split(clause)[-1]
        pieces = [piece.split() for piece in _ENTRIES.split(sentence)]
        if len(pieces) > 1 and all(pieces) and not any(len(words) > size + 2 or words[0].casefold() in _ASKS for words in pieces[1:]):
            entries = (pieces[0][-size:], *pieces[1:])
            found.append(tuple(entry for words in entries if (entry := ' '.join(words).strip(_QUOTES + ','))))
    return found


def numbered_options(question: str) -> dict[str, str]:
    """Return number -> text of the options that a question counts from 0 or 1: '(1) Georgia (2) Ohio'; fewer than two are none."""
    found = {m['a'] or m['b']: m['item'].strip(_QUOTES + ',;') for m in _NUMBERED.finditer(question)}
    return found if len(found) > 1 and [int(label) for label in found] in ([*range(len(found))], [*range(1, len(found) + 1)]) else {}


def _last(words: list[str], count: int, articled: bool) -> list[str]:
    """Return the last words of a piece that name an option: from its article if the last option has one too, else as many as the answer has."""
    near = [i for i in range(max(0, len(words) - ITEM_WORDS), len(words) - 1) if words[i].casefold() in ARTICLES] if articled else []
    return words[near[-1]:] if near else words[-count:]


def _joined(words: list[str]) -> str:
    while len(words) > 1 and words[0].casefold() in _EDGE:
        words = words[1:]
    return ' '.join(words).strip(_QUOTES + ',')
