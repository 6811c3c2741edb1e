"""Words that exclude each other, and the words around each of them that show it has the sense in which they do.

'{w}' in a pattern is the word. A group without patterns has one sense, or is told by code in `senses`. To leave a word alone costs one wrong answer;
to change it in another sense ('has left his bag') makes one that its grammar gives away: what is not listed is left.
"""

COLOURS = ('red', 'blue', 'green', 'yellow', 'orange', 'purple', 'pink', 'brown', 'black', 'white', 'gray', 'teal')
SHAPES = ('circle', 'rectangle', 'triangle', 'square')
NUMBERS = ('one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine', 'ten')
PEOPLE = (('man', 'woman'), ('boy', 'girl'), ('male', 'female'), ('men', 'women'), ('boys', 'girls'))

_THE = r'(?:the|an?|its|his|her|their|your|my|this|each|some|two|three|four|several|very|of|and|with|on|in)'
_OWNER = r'(?:the|its|his|her|their|your|my)'
_STOP = r'\s*(?:[.,;:!?)]|$|and\b|but\b|while\b|when\b|because\b|with\b|in\b|on\b|at\b|near\b|than\b)'
_SIDE = (r'(?:side|half|corner|edge|end|part|portion|section|third|quarter|panel|column|row|hand|lane|bank|page|border|area|image|picture|figure'
         r'|photo)s?')  # fmt: skip
_LIMB = r'(?:hands?|arms?|legs?|foot|feet|eyes?|ears?|shoulders?|knees?|wings?|paws?|wheels?|thumbs?|wrists?|elbows?|ankles?|shoes?|hips?)'
_AT = r'(?:the|an?|him|her|it|them|us|me|his|their|its|each|this|that|these|those|two|three|four|five|some|several|\d+)\b'
_THINGS = (r'doors?|windows?|gates?|books?|laptops?|umbrellas?|box|boxes|drawers?|suitcases?|lids?|fridge|refrigerator|oven|mouths?|eyes|curtains'
           r'|cabinets?|containers?')  # fmt: skip
_VESSELS = (r'glass|glasses|plates?|bowls?|cups?|bottles?|boxes|box|baskets?|shelf|shelves|rooms?|tanks?|parking lot|bus|stadium|fridge|jars?'
            r'|buckets?|cart|suitcase|mugs?')  # fmt: skip
_SAID_OF = r'\b(?:is|are|was|were|looks?|remains?)(?: very| quite| still| now)? {w}(?=\s*(?:[.,;]|$))'
_CHANGED_TO = r'(?:to|from|by|sharply|steadily|slightly|until|between|again)\b'


def _before(nouns: str, *, after: str = _THE) -> str:
    return rf'(?:^|\b{after} ){{w}}(?= (?:{nouns})\b)'


def _not_after(*words: str) -> str:
    return ''.join(rf'(?<!\b{word} )' for word in words) + r'\b{w}'


SENSES: dict[tuple[str, ...], tuple[str, ...]] = {
    ('monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday'): (),  # alone: in a sentence they are written as names
    COLOURS: (), SHAPES: (), NUMBERS: (), **dict.fromkeys(PEOPLE, ()),
    ('left', 'right'): (
        rf'\b(?:on|to|at|in|from|towards?|near) {_OWNER} (?:far |very |bottom |top |upper |lower )?{{w}}'
        rf'(?= {_SIDE}\b|{_STOP}|[\'’]| (?:of|is|are|has|holds|wears|stands|sits)\b)',
        rf'(?:^|\b(?:the|an?|its|his|her|their|your|my|each) ){{w}}(?=(?:[ -]hand)? (?:{_SIDE}|{_LIMB})\b)',
        _not_after('what is', "what's", 'that is', 'that was', 'nothing', 'little', 'much', 'all')
        + r'(?= of (?:the|an?|it|him|her|them|\d+|two|three)\b)',
        r'\b(?:turns?|turning|turned|facing|faces|looks|looking|pointing|points|leaning|leans|heading|heads|moving|moves|tilted)'
        rf' (?:to the |slightly |sharply )*{{w}}(?={_STOP})',
        rf'\b(?:top|bottom|upper|lower|far|front|rear|back)[ -]{{w}}(?= {_SIDE}\b|{_STOP}| of\b)',
    ),
    ('top', 'bottom'): (
        r'\b(?:at|from|near|towards?|in|along|across) the (?:very )?{w}(?= (?:of|left|right|half|corner|row|part)\b|[.,;]|$)',
        rf'(?:^|\bthe ){{w}}(?= (?:of the|left|right|{_SIDE}|shelf|shelves|step|floor|drawer|bunk|layer|rung)\b)',
    ),
    ('upper', 'lower'): (_before(rf'left|right|{_SIDE}|lip|body|arm|deck|floors?|levels?|lid|shelf|shelves|jaw|leg', after=_OWNER),),
    ('above', 'below'): (_not_after('described', 'mentioned') + rf'(?= {_AT})',),
    ('inside', 'outside'): (
        rf'\b{{w}}(?= (?:of )?{_AT})',
        rf'\b(?:is|are|was|were|being|stands?|sits?|waits?|standing|sitting|waiting|playing|parked|plays?) {{w}}(?={_STOP})',
    ),
    ('front', 'back'): (
        r'\b(?:at|in|on|from|near|towards?) the {w}(?= (?:of the|row|seats?|door|yard)\b|[.,;]|$)(?!,? and forth)',
        _before(r'seats?|rows?|doors?|wheels?|yard|legs?|paws?|windows?|cover|pocket|porch|entrance|bumper|tires?|lights?', after=_OWNER),
    ),
    ('before', 'after'): (
        _not_after(
            'named', 'look', 'looks', 'looking', 'looked', 'takes', 'taking', 'run', 'runs', 'running', 'chasing', 'go', 'going', 'modeled',
            'modelled', 'one', 'day', 'time', 'soon', 'shortly', 'ever', 'just', 'only', 'stands', 'standing') + rf'(?= (?!a while\b){_AT})',),
    ('first', 'last'): (
        rf'\b{_OWNER} {{w}}(?= (?!aid|class|lady|base|baseman|degree|supper|resort|and|or|of|night|week|year|month|to|few|name|person|ever|thing'
        r'|is|are|was)\w)',),
    ('early', 'late'): (_before(r'morning|afternoon|evening|spring|summer|autumn|winter|stages?|hours?|\d{2,4}s|century|days|train|bus|flight'),),
    ('large', 'small'): (
        rf'(?:^|\b(?:{_THE}|every|one|another|both|five|many|has|are|by) ){{w}}'
        r'(?= (?!(?:child|children|kids?|boys?|girls?|baby|babies)\b)(?!and|of|or|numbers?|enough|amounts?|talk|scale|for|but)[a-z])(?! [a-z]+ly\b)',
        _SAID_OF,
    ),
    ('big', 'little'): (_before(
        r'boys?|girls?|dogs?|cats?|child|children|kids?|house|houses|birds?|bears?|sister|brother|box|boat|tree|bag|car',
        after=r'(?:an?|the|this|his|her|their|two|three)'),),
    ('tall', 'short'): (
        _before(r'man|men|woman|women|boys?|girls?|person|people|buildings?|trees?|towers?|grass|fence|walls?|plants?|ladder|candles?|player'),
        _SAID_OF,
    ),
    ('wide', 'narrow'): (_before(
        r'streets?|roads?|rivers?|paths?|bridges?|hall|hallway|corridors?|alleys?|valley|gap|beach|stairs|staircase|sidewalk|lane'),),
    ('old', 'young'): (_before(r'man|men|woman|women|lady|couple|person|people|gentleman|guy|farmer|dog|cat|horse|elephant|trees?|male|female'),),
    ('higher', 'lower'): (
        r'\b{w}(?= than\b)', r'\b(?:is|are|was|were|much|slightly|significantly|considerably|far) {w}(?=\s*(?:[.,;]|$)| (?:in|for|during|at)\b)',
    ),
    ('highest', 'lowest'): (),
    ('more', 'fewer'): (r'\b{w}(?= than (?:\d|two|three|four|five|six|seven|eight|nine|ten|half)\b)',),
    ('most', 'least'): (_before(
        r'popular|common|expensive|important|likely|frequent|dangerous|valuable|successful|active|dense|populous|efficient', after='the'),),
    ('greater', 'smaller'): (r'\b{w}(?= than\b)',),
    ('increase', 'decrease'): (), ('increases', 'decreases'): (), ('increased', 'decreased'): (), ('increasing', 'decreasing'): (),
    ('rises', 'falls'): (rf'\b{{w}}(?= {_CHANGED_TO})', r'\b(?:line|curve|price|temperature|rate|value|level|it) {w}(?=\s*(?:[.,;]|$))'),
    ('rose', 'fell'): (
        _not_after('a', 'an', 'the', 'red', 'pink', 'white', 'yellow', 'single', 'one', 'each', 'her', 'his') + rf'(?= {_CHANGED_TO})',),
    ('maximum', 'minimum'): (), ('positive', 'negative'): (r'\b(?:is|are|was|were|an?|the|no|of|strong|weak) {w}(?!\w)',),
    ('even', 'odd'): (r'\b{w}(?= (?:numbers?|integers?|digits?|functions?|pages?|rows?)\b)', r'\b(?:is|are|be) {w}(?=\s*(?:[.,;]|$|and\b))'),
    ('day', 'night'): (r'\bduring the {w}\b', r'\bit is {w}(?=\s*(?:[.,;]|$))'), ('indoors', 'outdoors'): (),
    ('open', 'closed'): (
        _before(_THINGS, after=r'(?:an?|the|its|his|her|their|two|three|with|of|by)'),
        rf'\b(?:{_THINGS}|store|shop|museum|zoo|road|bridge|it) (?:is|are|was|were)(?: still| now)? {{w}}(?=\s*(?:[.,;]|$|on\b|to the\b))',
        r'\bwith (?:its|his|her|their|the) (?:mouths?|eyes|beak|doors?|lid) {w}(?=\s*(?:[.,;]|$|and\b))',
    ),
    ('full', 'empty'): (_before(rf'(?:{_VESSELS})(?! of)'), rf'\b(?:{_VESSELS}|street|beach|it) (?:is|are|was|were) {{w}}(?=\s*(?:[.,;]|$))'),
    ('light', 'dark'): (
        r'\b{w}(?= (?:red|blue|green|yellow|orange|purple|pink|brown|gray|grey)\b)',
        _before(
            r'hair|skin|clothes|clothing|background|wood|shirts?|jackets?|colou?rs?|colou?red|suits?|fur|side|wall|eyes|sky|shade|room',
            after=rf'(?:{_THE}|wearing|has)'),
    ),
    ('hot', 'cold'): (_before(r'water|drinks?|days?|weather|meals?|coffee|tea|climate|soup|food|beverages?|milk|season|surface'), _SAID_OF),
    ('wet', 'dry'): (_before(
        r'ground|roads?|streets?|pavement|sand|grass|hair|clothes|floor|towels?|surface|soil|season|weather|sidewalk|rocks?|leaves'), _SAID_OF),
    ('sunny', 'rainy'): (
        r'\b{w}(?= (?:days?|weather|afternoon|morning|evening|season|street|scene|city|beach)\b)', r'\b(?:is|was) {w}(?=\s*(?:[.,;]|$|and\b))',
    ),
    ('north', 'south'): (r'\b(?:to|in|on|at|from) the {w}(?= (?:of|side|end|coast|wall|wing)\b|\s*(?:[.,;]|$))', r'\b{w}(?= of the\b)'),
    ('east', 'west'): (r'\b(?:to|in|on|at|from) the {w}(?= (?:of|side|end|coast|wall|wing)\b|\s*(?:[.,;]|$))', r'\b{w}(?= of the\b)'),
    ('always', 'never'): (
        _not_after('not', 'almost') + r'(?! (?:again|before|ever|mind|more|seen|been|a|the)\b)'
        r'(?![^.;]*\b(?:any|ever|yet|anyone|anything|at all|or)\b)(?=\s+[a-z])',),
    ('true', 'false'): (r'\b(?:statement|claim|it|this|that|is|are|be|an?) (?:is |are )?{w}(?= (?:statements?|answer)\b|\s*(?:[.,;]|$))',),
    ('possible', 'impossible'): (r'\b(?:is|are|was|it|be|seems) {w}(?= (?:to|that|for|in)\b|\s*(?:[.,;]|$))',),
    ('parallel', 'perpendicular'): (r'\b{w}(?= (?:to|lines?|sides?)\b)', r'\b(?:is|are|be|were) {w}(?=\s*(?:[.,;]|$))'),
}  # fmt: skip
ATTRIBUTES = tuple(SENSES)
GROUP = {word: number for number, words in enumerate(ATTRIBUTES) for word in words}

_PLACE = r'where|side|direction|hand|way|turn|fac|position|which|left|right'
# A lone word of these may be the answer to questions in more than one sense: the question must name the one meant.
ASKED = {
    'orange': r'colou?r|shade|hue|paint', 'light': r'dark|shade|bright|skin|hair',
    'square': r'shape|figure|object|form|circle|rectangle|triangle|geometr',
    'left': _PLACE, 'right': _PLACE, 'top': r'where|position|side|bottom|part|shelf', 'front': r'back|where|side',
    'back': r'front|where|side|position',
    'above': r'below|where|position', 'below': r'above|where|position', 'inside': r'outside|where', 'outside': r'inside|where',
    'rose': r'fell|fall|change|trend', 'falls': r'rise|trend|change', 'even': r'odd|parity|number', 'short': r'tall|long|height|hair',
    'open': r'clos|state|door|window|mouth|eyes', 'full': r'empty', 'little': r'big|size', 'old': r'young|age', 'wide': r'narrow',
    'first': r'last|which|order', 'last': r'first|which|order', 'more': r'fewer|less', 'most': r'least', 'day': r'night|time', 'night': r'day|time',
    'early': r'late|when', 'late': r'early|when', 'one': r'how many|number|count',
}  # fmt: skip
# Things that have a colour by name.
FIXED = (
    r'black(?: and |-and-)white|white(?: and |-and-)black|(?:red|white) wine|green tea|(?:brown|white) rice|brown (?:sugar|paper)'
    r'|(?:white|black) ?board|(?:black|brown|white|green|red) (?:bears?|pepper|beans?|onions?|cabbage|belt|house|hole|market|tape)'
    r'|black coffee|blue jeans|egg whites?|(?:red|green|yellow|orange|pink|blue|purple) (?:light|juice|cross)|golf green'
    r'|in the (?:red|black)|out of the blue'
)
# What stands behind 'orange' where it is the fruit: no noun, or a piece of one.
FRUIT = r'slices?|juice|trees?|peels?|wedges?|segments?|fruits?|halves|half|zest|rind|grove|marmalade|blossoms?|sorbet|soda'
NO_NOUN = (
    r'(?:of|is|are|was|were|on|in|at|to|by|for|from|with|or|but|that|which|who|while|next|near|beside|under|over|behind|lying|cut|has|had|sits|lies|as'
    r'|it|he|she|the|a|an|and)\b|[a-z]+(?:ing|ed|ly)\b'
)
# Who is of one sex whatever the other words say.
ONE_SEX = (
    r'waiter|waitress|actor|actress|king|queen|prince|princess|father|mother|husband|wife|son|daughter|brother|sister|groom|bride|gentleman|lady'
    r'|ladies|mr|mrs|ms|dad|mom|mum|guys?|beard|bearded|mustache|moustache|bald|shirtless|pregnant|bikini|businessman|businesswoman|policeman|fireman|bull'
    r'|cow|hen|rooster|lioness|uncle|aunt|skirt|heels|makeup|lipstick|bra|hers|sir|madam|boyfriend|girlfriend|nun|monk|cowboy|fisherman|salesman|cubs'
)
