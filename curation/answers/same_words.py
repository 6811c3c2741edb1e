"""Everyday words for one thing: what visual questions are answered with, in the spellings and synonyms that people use."""

# Each line: words and names for one thing. The first is the one they are compared by.
SAME = """
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
