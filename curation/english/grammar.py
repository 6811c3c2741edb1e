"""English that agrees: articles before a changed word, plurals after a changed number. A wrong answer must not be known by its grammar."""

import re
from functools import lru_cache

from curation.english.remembered import remembered

_VOWEL = re.compile(r'(?:[aeio]|u(?!ni(?![dnm])|s[aeiu]|t[ei]|ku|biq|r[aio])|hour|hono|honest|heir|8|1[18](?![\d.]))', re.IGNORECASE)
_SPOKEN_WITH_A_CONSONANT = re.compile(r'(?:eu|ewe|one(?![a-z])|once|ouija)', re.IGNORECASE)
_ARTICLE = re.compile(r'(?<![\w\'’-])(an?)([ \t]+["“\'(*]{0,3})$', re.IGNORECASE)
_IRREGULAR = {
    'men': 'man', 'women': 'woman', 'children': 'child', 'people': 'person', 'feet': 'foot', 'teeth': 'tooth', 'mice': 'mouse', 'geese': 'goose',
    'oxen': 'ox', 'knives': 'knife', 'wives': 'wife', 'lives': 'life', 'leaves': 'leaf', 'loaves': 'loaf', 'wolves': 'wolf', 'shelves': 'shelf',
    'halves': 'half', 'calves': 'calf', 'thieves': 'thief', 'elves': 'elf', 'scarves': 'scarf', 'hooves': 'hoof', 'vertices': 'vertex',
    'matrices': 'matrix', 'cacti': 'cactus', 'dice': 'die', 'firemen': 'fireman', 'policemen': 'policeman', 'snowmen': 'snowman',
    'potatoes': 'potato', 'tomatoes': 'tomato', 'heroes': 'hero', 'mangoes': 'mango', 'echoes': 'echo', 'buses': 'bus', 'gases': 'gas',
    'movies': 'movie', 'cookies': 'cookie', 'zombies': 'zombie', 'pies': 'pie', 'ties': 'tie', 'selfies': 'selfie', 'hoodies': 'hoodie',
    'axes': 'axe', 'shoes': 'shoe', 'toes': 'toe', 'canoes': 'canoe',
}  # fmt: skip
_PLURAL = {one: many for many, one in _IRREGULAR.items()}
_SAME = frozenset({'sheep', 'deer', 'fish', 'aircraft', 'series', 'species', 'bison', 'moose', 'salmon', 'shrimp', 'cattle', 'police'})
_NO_PLURAL = re.compile(r'(?:ss|us|is|ous|as)$')  # glass, bus, this, various, has
_UNITS = frozenset({'m', 'cm', 'mm', 'km', 'kg', 'g', 'mg', 'l', 'ml', 's', 'ms', 'h', 'hr', 'min', 'ft', 'in', 'lb', 'oz', 'mph', 'am', 'pm',
                    'percent', 'k', 'd', 'kcal', 'mb', 'gb', 'hz', 'mi', 'yd', 'a', 'p'})  # fmt: skip
_SCALES = frozenset({'hundred', 'thousand', 'million', 'billion', 'dozen'})
# After a number these are no noun that it counts.
_FUNCTION = frozenset({
    'of', 'is', 'are', 'was', 'were', 'be', 'been', 'in', 'on', 'at', 'to', 'by', 'for', 'from', 'with', 'and', 'or', 'but', 'as', 'than',
    'then', 'that', 'which', 'who', 'while', 'when', 'where', 'if', 'not', 'the', 'a', 'an', 'this', 'these', 'those', 'it', 'he', 'she',
    'they', 'we', 'you', 'has', 'have', 'had', 'will', 'can', 'may', 'out', 'up', 'into', 'over', 'under', 'per', 'about', 'after', 'before',
    'between', 'among', 'against', 'until', 'since', 'also', 'only', 'so', 'more', 'less', 'each'
})  # fmt: skip
# Words that other languages share with English would be changed in them: an English text has more of its own small words.
_ENGLISH = frozenset({
    'the', 'and', 'with', 'this', 'that', 'these', 'are', 'there', 'it', 'its', 'from', 'his', 'her', 'he', 'she', 'they', 'their', 'has',
    'have', 'had', 'who', 'which', 'while', 'when', 'you', 'your', 'of', 'is', 'in', 'on', 'at', 'to', 'by', 'for', 'a', 'an', 'was', 'were',
    'be', 'not', 'or', 'as', 'one', 'two', 'three', 'near', 'under', 'behind', 'wearing', 'standing', 'sitting', 'holding'
})  # fmt: skip
_FOREIGN = frozenset({
    'un', 'une', 'le', 'les', 'des', 'du', 'de', 'el', 'los', 'las', 'una', 'uno', 'der', 'die', 'das', 'ein', 'eine', 'einen', 'und', 'ist',
    'den', 'dem', 'mit', 'het', 'een', 'en', 'van', 'il', 'lo', 'gli', 'di', 'che', 'os', 'uma', 'um', 'com', 'em', 'da', 'na',
    'que', 'é', 'est', 'et', 'à', 'au', 'aux', 'dans', 'sur', 'avec', 'se', 'su', 'por', 'para', 'con', 'jest',
    'je', 'nie', 'det', 'og', 'är', 'och', 'ett', 'på', 'med', 'si', 'ja', 'za', 've', 'bir', 'auf', 'für', 'im', 'zu', 'von', 'nicht', 'sich',
    'zijn', 'niet', 'op', 'voor', 'aan', 'te'
})  # fmt: skip
_WORD = re.compile(r"[^\W\d_]+")
_RUN = re.compile(  # one word, with a colour or a size before it at most, and what follows is no noun
    r'[ \t]+(?:(?:red|blue|green|yellow|orange|purple|pink|brown|black|white|gr[ae]y|large|small|big|tall|old|young|hot|more|other)[ \t]+)?'
    rf'([^\W\d_]+)(?![\w-])(?=\W*$|[ \t]*[.,;:!?)$*\\]|[ \t]+(?:{"|".join(sorted(_FUNCTION))}|left|remaining|total|standing|sitting)\b)')


def article_for(following: str) -> str:
    """Return 'a' or 'an', as it stands before `following`: an hour, a university, an 8, a red."""
    return 'an' if _VOWEL.match(following) and not _SPOKEN_WITH_A_CONSONANT.match(following) else 'a'


def replaced(text: str, start: int, end: int, new: str) -> str:
    """Return `text` with `new` in the place of [start, end), and the article before it made to fit."""
    before = text[:start]
    found = _ARTICLE.search(before[-12:])  # an article and its blank; the length bounds the search
    if found and article_for(text[start:end]) != article_for(new):
        article = article_for(new)
        at = start - len(before[-12:]) + found.start()
        cased = article.upper() if found[1].isupper() and len(found[1]) > 1 else article.capitalize() if found[1][0].isupper() else article
        before = before[:at] + cased + found[2]
    return before + new + text[end:]


@lru_cache(maxsize=65_536)
def singular(word: str) -> str:
    """Return the singular of a lower-case English noun by rule; a word that is none comes back as it is."""
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if word in _SAME or len(word) < 4 or not word.endswith('s') or _NO_PLURAL.search(word) or not word.isascii():
        return word
    if word.endswith('ies'):
        return word[:-3] + 'y'
    return word[:-2] if word.endswith(('ches', 'shes', 'sses', 'xes', 'zzes')) else word[:-1]


def plural(word: str) -> str:
    """Return the plural of an English noun by rule."""
    low = word.casefold()
    if low in _SAME or is_plural(low):
        return word
    if low in _PLURAL:
        many = _PLURAL[low]
        return word[:1] + many[1:] if many[:1] == low[:1] else many
    if low.endswith(('s', 'x', 'z', 'ch', 'sh')):
        return word + 'es'
    return word[:-1] + 'ies' if low.endswith('y') and low[-2:-1] not in 'aeiou' else word + 's'


def is_plural(word: str) -> bool:
    """Return whether a word reads as a plural noun."""
    return word in _SAME or singular(word) != word


def counted_noun(text: str, end: int) -> tuple[int, int, bool] | None:
    """Return (start, end, whether it is plural) of the noun that a number ending at `end` of `text` counts, at most two words between; else None.

    Where no plural is in sight it is the next word, whatever that is.
    """
    at, first = end, None
    for _ in range(3):
        found = re.compile(r'[ \t]+([^\W\d_]+)(?![\w-])').match(text, at)
        if not found or found[1].casefold() in _FUNCTION or (first is None and found[1].casefold() in _UNITS):
            break
        if is_plural(found[1].casefold()):
            return found.start(1), found.end(1), True
        if found[1].casefold() not in _SCALES:
            first = first or (found.start(1), found.end(1), False)
        at = found.end()
    return first


def single_noun(text: str, end: int) -> tuple[int, int] | None:
    """Return where the one noun stands that 'one' or '1' ending at `end` counts; None where words follow of which it need not be the last."""
    words = _RUN.match(text, end)
    return (words.start(1), words.end(1)) if words and words[1].casefold() not in _FUNCTION | _UNITS | _SCALES else None


@remembered
def is_english(text: str) -> bool:
    """Return whether rules for English words may change `text`: more of its small words are English than of other languages."""
    letters = [] if text.isascii() else [c for c in text if c.isalpha()]
    if sum(map(str.isascii, letters)) * 10 < len(letters) * 9:
        return False
    words = [word.casefold() for word in _WORD.findall(text)]
    ours, theirs = sum(map(_ENGLISH.__contains__, words)), sum(map(_FOREIGN.__contains__, words))
    return ours > 2 * theirs if theirs else ours > 0 or len(words) <= 4


def like(model: str, word: str) -> str:
    """Return `word` capitalised as `model` is, where a single word or a whole answer was replaced."""
    if '\\' in word or '.' in word.strip('.'):
        return word  # a formula, an address
    if model.isupper() and len(model) > 1:
        return word.upper()
    if model[:1].isupper() and word[:1].islower():
        return word[:1].upper() + word[1:]
    return word[:1].lower() + word[1:] if model.islower() and word[:1].isupper() and word[1:].islower() and ' ' not in word else word
