"""Words that exclude each other, so that one is wrong where another is right; and the spelling in which two answers are compared.

Small on purpose: what is not here cannot be told.
"""

import re
from functools import lru_cache

from curation.answers.number_words import SMALL, ordinal_of
from curation.english.remembered import remembered

_SPELLINGS = (
    'grey gray', 'colour color', 'colours colors', 'centre center',
    'metre meter', 'metres meters', 'litre liter', 'theatre theater', 'aluminium aluminum',
    'tyre tire', 'pyjamas pajamas', 'moustache mustache', 'doughnut donut', 'yoghurt yogurt', 'plough plow', 'favourite favorite', 'harbour harbor',
    'television tv telly', 'sofa couch settee', 'bicycle bike',
    'motorbike motorcycle', 'automobile car', 'telephone phone', 'cellphone mobile smartphone',
    'aeroplane airplane plane aircraft', 'photograph photo', 'refrigerator fridge', 'child kid', 'mother mom mum', 'father dad', 'trousers pants',
    'autumn fall', 'lorry truck', 'film movie', 'rubbish trash garbage', 'lift elevator', 'cookie biscuit', 'purple violet', 'circular round',
    'middle center', 'under beneath underneath below', 'over above', 'usa us america',
    'uk britain', 'ok okay', 'sunglasses shades', 'hippo hippopotamus',
    'rhino rhinoceros', 'laptop notebook', 'stove cooker',
    'sidewalk pavement', 'eyeglasses glasses spectacles', 'ad advertisement advert', 'exam examination',
    'math mathematics maths', 'vs versus', 'man male', 'woman female', 'oval ellipse', 'monday mon', 'tuesday tue tues',
    'wednesday wed', 'thursday thu thur thurs', 'friday fri', 'saint st', 'doctor dr', 'mister mr', 'northeast ne', 'northwest nw', 'southeast se',
    'southwest sw',
    *(f'{word} {word}色' for word in '红橙黄绿蓝紫粉棕黑白灰'), *(f'{word} {word}边 {word}侧 {word}面' for word in '左右上下'), '二 两',
    'cyan turquoise aqua teal', 'magenta fuchsia',
)  # fmt: skip
_ONE = {word: words.split()[0] for words in _SPELLINGS for word in words.split()}
_PHRASES = (
    (re.compile(r'\b(?:the )?united states(?: of america)?\b'), 'usa'),
    (re.compile(r'\b(?:the )?united kingdom\b|\bgreat britain\b'), 'uk'),
    (re.compile(r'\b(?:the )?united arab emirates\b'), 'uae'), (re.compile(r'\bnew york city\b'), 'nyc'),
    (re.compile(r'\bt-shirt\b|\btee shirt\b'), 'tshirt'),
    (re.compile(r'\b(?:mobile|cell|smart) phone\b'), 'cellphone'), (re.compile(r'\bpolice man\b'), 'policeman'),
)  # fmt: skip
_ABBREVIATED = re.compile(r'\.(?<=[^\W\d_]\.)(?=\s)')
_IN_PHRASES = ('united ', 'great britain', 'new york city', 'shirt', ' phone', 'police man')  # without one of these a text holds none of them
_COMPASS = re.compile(r'\b(north|south)[ -](east|west)\b')
_INNER_MARK = re.compile(r"(?<=[^\W\d_])[-'](?=[^\W\d_])")
_IRREGULAR = {'men': 'man', 'women': 'woman', 'children': 'child', 'people': 'person', 'feet': 'foot', 'mice': 'mouse'}
_INITIAL = re.compile(r'\.(?<=\b[^\W\d_]\.)')
_DOTTED = re.compile(r'\b(?:[^\W\d_]\.\s?)+[^\W\d_](?!\w)\.?')
_EXCLUSIVE = (
    'red orange yellow green blue purple pink brown black white grey',
    'circle triangle square star hexagon pentagon octagon cross heart crescent',
    'circle triangle rectangle star hexagon pentagon octagon cross heart',
    'cube sphere cylinder cone pyramid',
    'left right', 'top bottom', 'upper lower', 'up down', 'above below',
    'inside outside', 'front back', 'before after', 'first last', 'north south east west',
    'man woman', 'boy girl', 'male female', 'day night', 'indoors outdoors', 'open closed', 'on off', 'full empty', 'hot cold', 'wet dry', 'even odd',
    'positive negative', 'increase decrease', 'increasing decreasing', 'increased decreased',
    'higher lower', 'more less', 'more fewer', 'larger smaller',
    'bigger smaller', 'maximum minimum', 'highest lowest', 'largest smallest', 'most least', 'horizontal vertical', 'parallel perpendicular',
    'always never', 'all none', 'clockwise counterclockwise', 'spring summer autumn winter', 'acute right obtuse', 'solid liquid gas',
    'monday tuesday wednesday thursday friday saturday sunday', 'odd even', 'convex concave', 'linear nonlinear', 'old young', 'true false',
    'asia africa europe antarctica australia', 'mercury venus earth mars jupiter saturn uranus neptune',
    '红 橙 黄 绿 蓝 紫 粉 棕 黑 白 灰', '左 右', '一 二 三 四 五 六 七 八 九 十', '上 下', '男 女', '男人 女人', '白天 夜晚', '线性 非线性',
    'sunny rainy snowy', 'metal wood plastic glass',
)  # fmt: skip
_CLASSES: dict[str, set[int]] = {}
for _number, _words in enumerate(_EXCLUSIVE):
    for _word in _words.split():
        _CLASSES.setdefault(_ONE.get(_word, _word), set()).add(_number)


@remembered
def spelt_alike(said: str) -> str:
    """Return words, as `said` gives them, in one spelling, one synonym and one number: `the U.S.A.` and `united states`, `dogs` and `dog`."""
    text = said
    if '.' in said:
        text = _DOTTED.sub(lambda found: re.sub(r'[.\s]', '', found[0]) + ' ', said) if _INITIAL.search(said) else said
        text = _ABBREVIATED.sub('', text).strip()
    if 'th' in text:
        text = _COMPASS.sub(r'\1\2', text)
    if any(part in text for part in _IN_PHRASES):
        for phrase, word in _PHRASES:
            text = phrase.sub(word, text)
    text = text.replace(' & ', ' and ')
    if '-' in text or "'" in text:
        text = _INNER_MARK.sub(' ', text)
    return ' '.join(map(_one_word, text.split()))


def spelt_the_same(long: str, short: str) -> bool:
    """Return whether both are one in this spelling; one of more words than the other is not looked at, unless words of it may become one."""
    wanted = spelt_alike(short)
    falls_together = '.' in long and _INITIAL.search(long) or any(part in long for part in (*_IN_PHRASES, 'north', 'south'))
    return (falls_together or len(long.split()) <= wanted.count(' ') + 1) and spelt_alike(long) == wanted


@lru_cache(maxsize=65_536)
def _one_word(word: str) -> str:
    if word in _ONE:
        return _ONE[word]
    if (place := ordinal_of(word)) is not None:
        return f'{place}th'
    if word in SMALL:
        return str(SMALL[word])
    if len(word) > 3 and word.endswith('s') and not word.endswith(('ss', 'us', 'is')) and word.isalpha():
        y_or_es = word[:-3] + 'y' if word.endswith('ies') and len(word) > 4 else word[:-2] if word.endswith(('ches', 'shes', 'xes', 'sses')) else ''
        return _ONE.get(y_or_es or word[:-1], y_or_es or word[:-1])
    single = _IRREGULAR.get(word, word)
    return _ONE.get(single, single)


def exclude(one: str, other: str) -> bool:
    """Return whether two words, as `said` gives them, are members of one closed class, so that one is wrong where the other is right."""
    a, b = _ONE.get(one, one), _ONE.get(other, other)
    return a != b and bool(_CLASSES.get(a, set()) & _CLASSES.get(b, set()))
