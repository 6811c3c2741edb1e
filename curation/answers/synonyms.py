"""Answers that may say the same in other words: spelling, plural, synonym, a wider word. None of them is surely wrong for another.

A table and not WordNet: the answers of visual questions are a few thousand everyday words, and WordNet's senses (a red is a communist) join what
pictures keep apart. What is missing here costs a wrong negative; what is too much costs one distractor of many.
"""

import re
from functools import lru_cache

from curation.answers.kinds import ARTICLES, WORD_NUMBERS, tokens
from curation.answers.same_words import SAME
from curation.answers.wider_words import WIDER
from curation.english.grammar import singular

LONGEST = 8  # words; longer answers are compared by their words alone
LONGEST_CHARS = 64

_WORDS = {'one': '1', 'ok': 'okay', **{word: str(int(value)) for word, value in WORD_NUMBERS.items()}}
_LISTED = re.compile(r',|&|\band\b', re.IGNORECASE)
_NUMBER = re.compile(r'\d')
_SMALL = ARTICLES | {'of', 'some', 'his', 'her', 'its', 'their', 'my', 'it', 'is', 'are', 'they', 'there', 'very', 'in', 'on', 'at', 'to'}
# British endings and their American forms, where the rest of the word stays: colour, organise, analyse, traveller, travelling.
_SPELLINGS = (('isation', 'ization'), ('ising', 'izing'), ('ised', 'ized'), ('ises', 'izes'), ('ise', 'ize'), ('yse', 'yze'), ('ysed', 'yzed'),
              ('lled', 'led'), ('lling', 'ling'), ('ller', 'ler'), ('aeo', 'eo'), ('logue', 'log'), ('ence', 'ense'))  # fmt: skip
_OUR = frozenset({
    'colour', 'flavour', 'favour', 'favourite', 'honour', 'harbour', 'neighbour', 'neighbourhood', 'armour', 'odour', 'labour', 'humour',
    'rumour', 'vapour', 'behaviour', 'savour', 'tumour', 'parlour', 'splendour', 'vigour', 'colourful', 'coloured', 'flavoured', 'favoured'
})  # fmt: skip


def _keyed(line: str) -> list[str]:
    return [_joined(_plain(name)) for name in line.split('|')]


@lru_cache(maxsize=65_536)
def _word(word: str) -> str:
    """Return the form of one word by which spellings, numbers and plurals are compared."""
    word = _WORDS.get(word, word)
    one = singular(word)
    if one in _OUR:
        return one.replace('our', 'or', 1)
    for british, american in _SPELLINGS:
        if len(one) > len(british) + 3 and one.endswith(british):
            return one[:-len(british)] + american
    return one


def _plain(text: str) -> list[str]:
    words = [_word(word) for word in tokens(text.replace('-', ' ')) if word != 's']
    return [word for word in words if word not in _SMALL] or words


def _joined(words: list[str]) -> str:
    return ''.join(words)  # hot dog, hotdog; t shirt, tshirt


_CANON: dict[str, str] = {}
for _line in SAME.strip().splitlines():
    _names = _keyed(_line)
    for _name in _names:
        _CANON.setdefault(_name, _CANON.get(_names[0], _names[0]))
_PARENTS: dict[str, frozenset[str]] = {}
for _line in WIDER.strip().splitlines():
    _wide, *_narrow = [_CANON.get(_name, _name) for _name in _keyed(_line)]
    for _name in _narrow:
        _PARENTS[_name] = _PARENTS.get(_name, frozenset()) | {_wide}


@lru_cache(maxsize=65_536)
def _key(text: str) -> tuple[str, tuple[str, ...]]:
    """Return how a short answer is compared as a whole and word by word."""
    words = _plain(text)
    whole = _CANON.get(_joined(words), _joined(words))
    return whole, tuple(_CANON.get(word, word) for word in words if word not in ('and', 'or', ',', '/', '&'))


def says_the_same(one: str, other: str) -> bool:
    """Return whether two short answers are equal in other words, another spelling, or as list in another order."""
    if max(len(one), len(other)) > LONGEST_CHARS or max(one.count(' '), other.count(' ')) >= LONGEST:
        return False
    (a, a_words), (b, b_words) = _key(one), _key(other)
    if a == b or bool(a_words) and a_words == b_words:
        return True
    # red and white, white and red; but not 300, 400 and 400, 300
    return bool(_LISTED.search(one) and _LISTED.search(other) and not _NUMBER.search(one)) and sorted(a_words) == sorted(b_words)


def may_be_same(one: str, other: str) -> bool:
    """Return whether two answers may both be right of one thing: equal in other words, in other spelling, or one the wider word for the other."""
    if max(len(one), len(other)) > LONGEST_CHARS or max(one.count(' '), other.count(' ')) >= LONGEST:
        return False
    if says_the_same(one, other):
        return True
    (a, a_words), (b, b_words) = _key(one), _key(other)
    return _covers(a, b) or len(a_words) == len(b_words) > 1 and all(x == y or _covers(x, y) for x, y in zip(a_words, b_words, strict=True))


def _covers(one: str, other: str) -> bool:
    return one in _above(other) or other in _above(one)


@lru_cache(maxsize=16_384)
def _above(name: str) -> frozenset[str]:
    """Return every wider word for `name`."""
    found: set[str] = set()
    open_names = [name]
    while open_names:
        for wider in _PARENTS.get(open_names.pop(), ()):
            if wider not in found:
                found.add(wider)
                open_names.append(wider)
    return frozenset(found)
