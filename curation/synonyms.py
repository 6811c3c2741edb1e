"""Answers that may say the same in other words: spelling, plural, synonym, a wider word. None of them is surely wrong for another.

A table and not WordNet: the answers of visual questions are a few thousand everyday words, and WordNet's senses (a red is a communist) join what
pictures keep apart. What is missing here costs a wrong negative; what is too much costs one distractor of many.
"""

import re
from functools import lru_cache

from curation.answers import ARTICLES, WORD_NUMBERS, tokens
from curation.grammar import singular

LONGEST = 8  # words; longer answers are compared by their words alone
LONGEST_CHARS = 64

# Each line: words and names for one thing. The first is the one they are compared by.
_SAME = """
couch|sofa|settee|loveseat|love seat
tv|television|telly|tele|tv set|television set|t v
phone|telephone|cell phone|cellphone|cell|mobile phone|mobile|smartphone|smart phone|handphone
bike|bicycle|cycle|push bike
motorcycle|motorbike|motor bike|motor cycle
car|automobile|auto|motorcar|motor car
plane|airplane|aeroplane|aircraft
photo|photograph|picture|image|pic|snapshot
kid|child|youngster|toddler
baby|infant|newborn
mom|mother|mum|mommy|mummy|mama
dad|father|daddy|papa
grandma|grandmother|granny|nana
grandpa|grandfather|granddad|grandad
man|guy|gentleman|male|gent|fellow|dude
woman|lady|female
person|people|human|human being|somebody|someone|individual
boy|lad
trash can|garbage can|dustbin|rubbish bin|trash bin|waste bin|garbage bin|bin|wastebasket|trashcan|waste basket
trash|garbage|rubbish|litter|waste
sidewalk|pavement|footpath|walkway
truck|lorry
elevator|lift
soccer|football|association football|futbol
fries|french fries|chips|french fry
cookie|biscuit
sweater|jumper|pullover|jersey
pants|trousers|slacks
sneakers|trainers|tennis shoes|running shoes|sneaker
shoe|footwear
rug|carpet|mat
cup|mug
stove|cooker|range|oven|cooktop
sink|basin|washbasin
bathroom|restroom|toilet|washroom|lavatory|wc|loo|men's room
taxi|cab|taxicab
subway|metro|underground
store|shop
supermarket|grocery store|grocery
road|street|lane|roadway
highway|motorway|freeway|expressway
boat|ship|vessel
beach|shore|seaside|seashore|coast
ocean|sea
rabbit|bunny|hare
glasses|spectacles|eyeglasses|eye glasses|specs
cap|hat
jacket|coat
purse|handbag|hand bag
clothes|clothing|apparel
drink|beverage
house|home
backpack|rucksack|knapsack|back pack
luggage|suitcase|baggage
autumn|fall
film|movie|motion picture
fridge|refrigerator|icebox
laptop|notebook computer|laptop computer|notebook
computer|pc|personal computer|desktop computer|desktop
monitor|computer screen|screen|display
faucet|tap
flashlight|torch
apartment|flat
eraser|rubber
diaper|nappy
candy|sweets|sweet
soda|pop|soft drink|fizzy drink
gasoline|petrol|gas
gas station|petrol station|filling station|service station
parking lot|car park|parking
traffic light|stoplight|stop light|traffic signal|traffic lights
crosswalk|zebra crossing|pedestrian crossing
eggplant|aubergine
zucchini|courgette
cilantro|coriander
corn|maize
shrimp|prawn
ketchup|catsup|tomato sauce
fire truck|fire engine|firetruck
counter|countertop|worktop
closet|wardrobe|cupboard|cabinet
drapes|curtain
pillow|cushion
blanket|comforter|duvet|quilt
lightbulb|light bulb
stone|rock|boulder
woods|forest|wood
hill|mountain
bush|shrub
grass|lawn
field|meadow
pond|lake
stream|river|creek|brook
rain|raining|rainy
snow|snowing|snowy
cloud|cloudy|overcast
sun|sunny|sunshine
wind|windy
noon|midday|12 pm
midnight|12 am
night|nighttime|night time|at night
day|daytime|day time|daylight
evening|dusk|sunset
morning|dawn|sunrise
outside|outdoors|outdoor|outdoor area
inside|indoors|indoor
big|large|huge|giant|enormous|great
small|little|tiny
tall|high
happy|glad|joyful|cheerful
sad|unhappy
angry|mad
fast|quick|rapid
begin|start
end|finish|stop
round|circle|circular
square|squared
left|left side|left hand side|on left|to left
right|right side|right hand side|on right|to right
top|upper|above
bottom|lower|below|under|underneath|beneath
middle|center|centre|in middle|in center
front|in front
back|rear|behind
next to|beside|by|near|close to|adjacent to
yes|yeah|yep|yup|true|correct
no|nope|nah|false|incorrect
none|nothing|zero|no one|nobody|0
unknown|unclear|not sure|can't tell|cannot tell|unsure|not visible|not clear|don't know
both|all
gray|grey|silver
purple|violet|lilac|lavender
brown|tan|beige|khaki
yellow|gold|golden
white|cream|ivory|off white
red|maroon|crimson|burgundy|scarlet|dark red
blue|navy|navy blue|dark blue|light blue|sky blue|royal blue
green|dark green|light green|lime|olive
pink|rose|magenta|fuchsia
orange|peach
multicolored|multicoloured|multi colored|colorful|multi|rainbow
wood|wooden
metal|metallic|steel|iron|aluminum|aluminium|chrome
plastic|vinyl
brick|bricks
concrete|cement
usa|us|united states|united states of america|america|u s a|u s|the states
uk|united kingdom|great britain|britain|england|u k
uae|united arab emirates
nyc|new york city|new york|ny|n y c
la|los angeles|l a
dc|washington dc|washington d c|washington
sf|san francisco
russia|russian federation
south korea|korea|republic of korea
netherlands|holland
czechia|czech republic
myanmar|burma
turkey|turkiye|türkiye
ok|okay
tshirt|t shirt|tee shirt|tee
frisbee|flying disc|disc
skateboard|skate board|skateboarding
ski|skiing
surf|surfing|surfboard
snowboard|snowboarding
walk|walking
run|running|jogging
eat|eating
sit|sitting|seated
stand|standing
sleep|sleeping|asleep
play|playing
smile|smiling
ride|riding
read|reading
donut|doughnut
barbecue|barbeque|bbq
omelet|omelette
yogurt|yoghurt
whiskey|whisky
mustache|moustache
jewelry|jewellery
pajamas|pyjamas|pjs
tire|tyre
curb|kerb
plow|plough
ax|axe
check|cheque
program|programme
mold|mould
theater|theatre|cinema
meter|metre
liter|litre
fiber|fibre
catalog|catalogue
dialog|dialogue
license|licence
defense|defence
aluminum|aluminium
gray hair|grey hair
percent|%|percentage
kilometer|km|kilometre
centimeter|cm|centimetre
millimeter|mm|millimetre
kilogram|kg|kilogramme|kilo
gram|g|gramme
mile|mi
foot|ft
inch|in
hour|hr|h
minute|min
second|sec
january|jan
february|feb
march|mar
april|apr
august|aug
september|sept|sep
october|oct
november|nov
december|dec
monday|mon
tuesday|tue|tues
wednesday|wed
thursday|thu|thur|thurs
friday|fri
saturday|sat
sunday|sun
saint|st
mount|mt
doctor|dr
first|1st
second place|2nd
half|one half|1 2
dozen|12|twelve
"""
# Each line: a wider word, and words that it may stand for.
_WIDER = """
animal|dog|cat|horse|cow|sheep|bird|elephant|giraffe|zebra|bear|lion|tiger|monkey|rabbit|pig|goat|duck|fish|deer|wolf|fox|mouse|chicken|puppy|kitten
animal|polar bear|mammal|pet|camel|kangaroo|panda|turtle|frog|snake|squirrel
mammal|dog|cat|horse|cow|sheep|elephant|giraffe|zebra|bear|lion|tiger|monkey|rabbit|pig|goat|deer|whale|dolphin
pet|dog|cat|rabbit|hamster|puppy|kitten|parrot
dog|puppy|pup|poodle|labrador|golden retriever|german shepherd|bulldog|dalmatian|husky|beagle|terrier|chihuahua|pug|corgi|dachshund|hound|canine
cat|kitten|kitty|tabby|feline|siamese
horse|pony|foal|stallion|mare|colt
cow|bull|calf|ox|cattle|steer
sheep|lamb|ram|ewe
pig|piglet|hog|boar
chicken|hen|rooster|chick
bird|duck|eagle|parrot|pigeon|seagull|gull|owl|chicken|goose|swan|penguin|flamingo|sparrow|crow|robin|peacock|hawk|turkey|ostrich|pelican|heron|dove
fish|shark|salmon|trout|tuna|goldfish
insect|bee|butterfly|ant|beetle|fly|mosquito|ladybug|bug
bear|polar bear|panda|grizzly|teddy bear|grizzly bear|brown bear
person|man|woman|boy|girl|kid|baby|adult|teenager|player|mom|dad
adult|man|woman
kid|boy|girl|baby
man|boy|dad|grandpa|groom|husband|father|businessman|cowboy|king
woman|girl|mom|grandma|bride|wife|businesswoman|queen
family|person|kid
player|batter|pitcher|catcher|goalkeeper|baseball player|tennis player|soccer player
athlete|player|skier|surfer|skateboarder|snowboarder|runner|swimmer|cyclist
vehicle|car|truck|bus|van|motorcycle|bike|train|plane|boat|taxi|suv|jeep|pickup|tractor|ambulance|fire truck|scooter|helicopter|trailer|tram
car|suv|sedan|jeep|taxi|van|convertible|hatchback|minivan|police car
truck|pickup|pickup truck|semi|fire truck|dump truck|van|garbage truck
bus|double decker|double decker bus|school bus|coach
plane|jet|airliner|jetliner|fighter jet
boat|sailboat|canoe|kayak|ferry|yacht|rowboat|raft
train|locomotive|tram|subway
phone|iphone
furniture|chair|table|couch|bed|desk|shelf|closet|bench|stool|dresser
chair|armchair|stool|recliner
seat|chair|bench|couch|stool
table|desk|coffee table|dining table
food|pizza|sandwich|bread|cake|fruit|vegetable|salad|meat|hot dog|burger|hamburger|pasta|rice|soup|donut|cookie|cheese|egg|fries|sushi|noodle
fruit|apple|banana|orange|pear|grape|strawberry|lemon|lime|peach|pineapple|mango|kiwi|watermelon|melon|cherry|plum|berry|blueberry|raspberry|tomato
berry|strawberry|blueberry|raspberry|blackberry
vegetable|carrot|broccoli|tomato|onion|potato|lettuce|pepper|cucumber|corn|spinach|cabbage|celery|pea|bean|eggplant|mushroom
meat|beef|pork|chicken|ham|bacon|sausage|steak|turkey|lamb
dessert|cake|pie|ice cream|cookie|donut|pastry|cupcake|brownie
cake|cupcake|cheesecake|birthday cake
pasta|spaghetti|noodle|macaroni|lasagna
sandwich|burger|hamburger|cheeseburger|hot dog|sub|panini
hamburger|burger|cheeseburger
drink|water|coffee|tea|juice|beer|wine|milk|soda|orange juice|coke
alcohol|beer|wine|whiskey|vodka|champagne
wine|red wine|white wine|champagne
soda|coke|pepsi|cola|coca cola|sprite
clothes|shirt|pants|dress|jacket|sweater|tshirt|skirt|suit|jeans|shorts
shirt|tshirt|polo|blouse|sweater|top
pants|jeans|shorts|khakis|leggings
shoe|sneakers|boot|sandal|heel|flip flop|slipper
cap|helmet|beanie|baseball cap|cowboy hat|sombrero
glasses|sunglasses|goggles
jewelry|necklace|ring|bracelet|earring
building|house|church|tower|barn|skyscraper|hotel|school|apartment|castle|cathedral|store|office
house|cottage|cabin
house|apartment
church|cathedral|chapel
tower|clock tower|skyscraper
restaurant|cafe|diner|pizzeria
store|supermarket|bakery|bookstore
tree|palm tree|pine|pine tree|oak|palm|christmas tree|evergreen
plant|tree|flower|bush|grass|fern|cactus|ivy|houseplant
flower|rose|tulip|daisy|sunflower|lily|orchid|carnation
sport|baseball|tennis|soccer|basketball|skiing|ski|surf|skateboard|snowboard|football|golf|hockey|frisbee|volleyball|rugby|cricket
ball|baseball|tennis ball|soccer ball|basketball|football|volleyball|golf ball
racket|tennis racket|racquet|tennis racquet
water|ocean|lake|river|pond|stream|pool|sea
beach|sand
furry|fur
country|usa|uk|france|germany|italy|spain|china|japan|india
europe|uk|france|germany|italy|spain
city|nyc|la|london|paris|town
metal|gold|silver|copper|brass
electronics|phone|laptop|computer|tv|camera|tablet
computer|laptop|tablet
appliance|stove|fridge|microwave|dishwasher|toaster|washing machine
instrument|guitar|piano|drum|violin|trumpet|flute|saxophone
utensil|fork|knife|spoon
silverware|fork|knife|spoon|utensil
tool|hammer|screwdriver|saw|wrench|drill
container|box|bottle|jar|basket|bowl|can|cup|bucket
glass|wine glass|cup
toy|teddy bear|doll|stuffed animal|lego
stuffed animal|teddy bear
bag|backpack|luggage|purse|plastic bag
weather|sun|rain|snow|cloud
season|winter|summer|spring|autumn
shape|circle|square|triangle|rectangle|oval|hexagon|pentagon|polygon
rectangle|square
polygon|triangle|rectangle|square|hexagon|pentagon|octagon
round|oval|ellipse
color|red|blue|green|yellow|orange|purple|pink|brown|black|white|gray
teal|blue|green|turquoise|cyan|aqua
turquoise|blue|green|cyan|aqua
cyan|blue|green|aqua
aqua|blue|green
book|textbook|novel|magazine
paper|newspaper|document|sheet
sign|stop sign|street sign|billboard|poster
light|traffic light|lamp|lightbulb|headlight|streetlight
kitchen|room
bedroom|room
living room|room|lounge
"""
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
for _line in _SAME.strip().splitlines():
    _names = _keyed(_line)
    for _name in _names:
        _CANON.setdefault(_name, _CANON.get(_names[0], _names[0]))
_PARENTS: dict[str, frozenset[str]] = {}
for _line in _WIDER.strip().splitlines():
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
