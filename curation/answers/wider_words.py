"""Wider words that may stand for narrower ones: an animal for a dog, furniture for a chair."""

# Each line: a wider word, and words that it may stand for.
WIDER = """
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
