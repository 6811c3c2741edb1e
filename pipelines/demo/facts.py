"""The source `facts`: short closed questions, text only, computed from packaged tables, as a ShareGPT-like JSONL.

Their subject is what a language model of 135 M parameters can know, because the demo's judge is one and is gated on
this source: common elements, well-known countries, cities, cars and holidays. Many answers are of the same type. Asked
of SmolLM2-135M-Instruct with an answer of the same type as the wrong one, its mean token log-probability was higher for
the right one in 77 % of 263 questions (62 to 89 % by kind); on states of matter (44 %) and on which of
two countries has more people (28 %) it was at chance or worse, so these are not asked.
"""

import re

from pipelines.demo.parts import SourceDraft
from pipelines.demo.tables import BOKEH, package_file, rows

ELEMENTS = (
    'Hydrogen', 'Helium', 'Lithium', 'Carbon', 'Nitrogen', 'Oxygen', 'Fluorine', 'Neon', 'Sodium', 'Magnesium',
    'Aluminum', 'Silicon', 'Phosphorus', 'Sulfur', 'Chlorine', 'Argon', 'Potassium', 'Calcium', 'Titanium', 'Chromium',
    'Manganese', 'Iron', 'Cobalt', 'Nickel', 'Copper', 'Zinc', 'Silver', 'Tin', 'Iodine', 'Xenon', 'Platinum', 'Gold',
    'Mercury', 'Lead', 'Radium', 'Uranium', 'Plutonium',
)  # fmt: skip
# regions of the Gapminder table whose well-known members lie on one continent; the rest of a region is not asked about
CONTINENTS = {
    'Africa': ('Sub-Saharan Africa', (
        'Kenya', 'Nigeria', 'Ghana', 'Ethiopia', 'Tanzania', 'Uganda', 'Zimbabwe', 'Zambia', 'Somalia', 'Senegal',
        'South Africa', 'Angola', 'Mozambique', 'Rwanda', 'Madagascar',
    )),
    'Europe': ('Europe & Central Asia', (
        'France', 'Germany', 'Spain', 'Italy', 'Portugal', 'Poland', 'Sweden', 'Norway', 'Finland', 'Austria',
        'Belgium', 'Greece', 'Ireland', 'Switzerland', 'Hungary', 'Romania', 'Denmark', 'Netherlands',
    )),
    'Asia': ('East Asia & Pacific', (
        'China', 'Japan', 'Thailand', 'Vietnam', 'Malaysia', 'Indonesia', 'Philippines', 'Mongolia', 'Cambodia',
    )),
}  # fmt: skip
SOUTH_ASIA = ('India', 'Pakistan', 'Bangladesh', 'Nepal', 'Sri Lanka')
LATIN = ('Brazil', 'Argentina', 'Chile', 'Peru', 'Colombia', 'Bolivia')
CODES = (
    'Argentina', 'Australia', 'Belgium', 'Brazil', 'Canada', 'China', 'Cuba', 'Denmark', 'Egypt', 'Finland', 'France',
    'Germany', 'Greece', 'Hungary', 'India', 'Indonesia', 'Iran', 'Ireland', 'Israel', 'Italy', 'Japan', 'Kenya',
    'Mexico', 'Netherlands', 'Norway', 'Peru', 'Poland', 'Portugal', 'Russia', 'Spain', 'Sweden', 'Switzerland',
    'Turkey', 'Ukraine', 'United Kingdom', 'United States',
)  # fmt: skip
CITIES = (
    'Los Angeles', 'Philadelphia', 'San Francisco', 'Seattle', 'Houston', 'Chicago', 'San Diego', 'Dallas', 'Detroit',
    'Phoenix', 'San Antonio', 'Miami', 'Charlotte', 'Milwaukee', 'Denver', 'Baltimore', 'Cleveland', 'Austin',
    'Atlanta', 'Tampa', 'Tucson', 'Providence', 'Memphis', 'Nashville', 'Omaha', 'Tulsa', 'Minneapolis',
    'Indianapolis', 'Little Rock', 'Cincinnati', 'Las Vegas', 'Albuquerque', 'Sacramento', 'Orlando',
)  # fmt: skip
MODELS = {
    'mustang': 'Mustang', 'corvette': 'Corvette', 'civic': 'Civic', 'corolla': 'Corolla', 'camry': 'Camry',
    'altima': 'Altima', 'jetta': 'Jetta', 'passat': 'Passat', 'new beetle': 'Beetle', 'malibu': 'Malibu',
    'sonata': 'Sonata', 'maxima': 'Maxima', 'forester awd': 'Forester', 'explorer 4wd': 'Explorer',
    'grand cherokee 4wd': 'Grand Cherokee', 'a4': 'A4', 'land cruiser wagon 4wd': 'Land Cruiser', 'gti': 'GTI',
}  # fmt: skip
HOLIDAYS = (
    'Christmas Day', 'Independence Day', "New Year's Day", "Valentine's Day", 'Halloween', 'Veterans Day',
    'Thanksgiving Day', 'Labor Day', 'Memorial Day', 'Columbus Day', "Mother's Day", "Father's Day", 'Flag Day',
)  # fmt: skip
MONTHS = (
    'January', 'February', 'March', 'April', 'May', 'June', 'July', 'August', 'September', 'October', 'November',
    'December',
)  # fmt: skip
WITH_ARTICLE = ('Netherlands', 'Philippines', 'United States', 'United Kingdom')


def facts_source() -> SourceDraft:
    """Return the drafted source: about 260 questions with answers of one to four words."""
    draft = SourceDraft('facts', 'messages_jsonl', 'facts.jsonl', licence='BSD-3-Clause AND CC-BY-2.0 AND CC0-1.0')
    pairs = [*_elements(), *_countries(), *_codes(), *_cities(), *_cars(), *_holidays()]
    for number, (question, answer) in enumerate(pairs):
        messages = [{'role': 'user', 'content': question}, {'role': 'assistant', 'content': answer}]
        draft.add(question, {'id': f'facts_{number:05d}', 'messages': messages})
    return draft


def _elements() -> list[tuple[str, str]]:
    found = {row['name']: row for row in rows(BOKEH, 'elements.csv')}
    symbols = [(f'What is the chemical symbol for {name.lower()}?', found[name]['symbol']) for name in ELEMENTS]
    names = [(f'Which chemical element has the symbol {found[name]["symbol"]}?', name) for name in ELEMENTS]
    return symbols + names


def _countries() -> list[tuple[str, str]]:
    regions = {row['Country']: row['Group'] for row in rows(BOKEH, 'gapminder_regions.csv')}
    pairs = []
    for continent, (region, names) in CONTINENTS.items():
        pairs += [(f'On which continent is {_the(name)}?', continent) for name in names if regions[name] == region]
    pairs += [(f'On which continent is {_the(name)}?', 'Asia') for name in SOUTH_ASIA if regions[name] == 'South Asia']
    pairs += [(f'On which continent is {_the(name)}?', 'South America') for name in LATIN if regions[name] == 'America']
    return pairs


def _the(name: str) -> str:
    return f'the {name}' if name in WITH_ARTICLE else name


def _codes() -> list[tuple[str, str]]:
    codes = {row['Country']: row['ID'] for row in rows(BOKEH, 'gapminder_regions.csv')}
    asked = [(f'What is the two-letter country code of {_the(name)}?', codes[name]) for name in CODES]
    return asked + [(f'Which country has the two-letter code {codes[name]}?', name) for name in CODES]


def _cities() -> list[tuple[str, str]]:
    states: dict[str, set[str]] = {}
    for row in rows(BOKEH, 'SampleSuperstore.csv.gz'):
        states.setdefault(row['City'], set()).add(row['State'])
    # a name that stands in two states has no one answer
    known = [city for city in CITIES if len(states[city]) == 1]
    return [(f'In which US state is the city of {city}?', min(states[city])) for city in known]


def _cars() -> list[tuple[str, str]]:
    makers = {row['model']: row['manufacturer'] for row in rows(BOKEH, 'auto-mpg2.csv')}
    return [(f'Which company makes the car called {name}?', makers[model].title()) for model, name in MODELS.items()]


def _holidays() -> list[tuple[str, str]]:
    text = package_file(BOKEH, '_data/USHolidays.ics').read_text('utf-8')
    months: dict[str, set[str]] = {}
    for event in text.split('BEGIN:VEVENT')[1:]:
        name = re.search(r'^SUMMARY:(.*?)(?: \(US-OPM\))?\s*$', event, re.MULTILINE)
        # the day itself, in local time: VALUE=DATE
        day = re.search(r'^DTSTART[^:]*:\d{4}(\d{2})\d{2}', event, re.MULTILINE)
        if name and day:
            months.setdefault(name[1], set()).add(MONTHS[int(day[1]) - 1])
    # a day that was observed in two months (the feast of a Saturday 1 January) has no one answer
    return [
        (f'In which month is {name} in the United States?', min(months[name]))
        for name in HOLIDAYS
        if len(months.get(name, ())) == 1
    ]
