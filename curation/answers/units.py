"""Units of measure in the spellings of short answers, and how many of the dimension's first unit each is.

A table and no library: a parser of units (pint) reads any letter as one (`c` the speed of light, `a` a year) and would be loaded by every worker.
"""

import re
from collections.abc import Callable
from fractions import Fraction

_TABLE = {
    'length': 'm metre meter metres meters=1; km kilometre kilometer kilometres kilometers=1000; dm decimetre decimeter decimetres decimeters=1/10; '
    'cm centimetre centimeter centimetres centimeters=1/100; mm millimetre millimeter millimetres millimeters=1/1000; '
    'µm μm um micrometre micrometer micrometres micrometers micron microns=1/1000000; nm nanometre nanometer nanometres nanometers=1/1000000000; '
    'in inch inches "=254/10000; ft foot feet \'=3048/10000; yd yard yards=9144/10000; mi mile miles=1609344/1000',
    'mass': 'kg kilogram kilograms kilo kilos kilogramme kilogrammes=1000; g gram grams gramme grammes gm=1; mg milligram milligrams=1/1000; '
    'µg μg microgram micrograms=1/1000000; t tonne tonnes=1000000; lb lbs pound-mass=45359237/100000; oz ounce ounces=28349523125/1000000000',
    'time': 's sec secs second seconds=1; ms millisecond milliseconds=1/1000; min mins minute minutes=60; h hr hrs hour hours=3600; d day '
    'days=86400; '
    'wk week weeks=604800',
    'months': 'month months=1; year years yr yrs=12; decade decades=120; century centuries=1200',
    'volume': 'l L litre liter litres liters=1; ml mL millilitre milliliter millilitres milliliters cc cm^3=1/1000; cl cL centilitre centiliter '
    'centilitres centiliters=1/100; dl dL decilitre deciliter=1/10; m^3=1000; gal gallon gallons=3785411784/1000000000; dm^3=1',
    'area': 'm^2 sqm=1; cm^2=1/10000; mm^2=1/1000000; km^2=1000000; ha hectare hectares=10000; ft^2=9290304/100000000; in^2=64516/100000000; '
    'acre acres=40468564224/10000000',
    'speed': 'm/s=1; km/h kph kmh kmph=10/36; mph mi/h=44704/100000; cm/s=1/100; km/s=1000; knot knots kn=1852/3600',
    'angle': '° deg degree degrees=1; rad radian radians=180/3.14159265358979323846',
    'energy': 'J joule joules=1; kJ kilojoule kilojoules=1000; MJ=1000000; cal calorie calories=4184/1000; kcal kilocalorie kilocalories=4184; '
    'kWh=3600000; Wh=3600',
    'power': 'W watt watts=1; kW kilowatt kilowatts=1000; MW megawatt megawatts=1000000; GW gigawatt gigawatts=1000000000; mW milliwatt '
    'milliwatts=1/1000',
    'force': 'N newton newtons=1; kN kilonewton kilonewtons=1000; mN=1/1000',
    'pressure': 'Pa pascal pascals=1; hPa=100; kPa kilopascal kilopascals=1000; MPa=1000000; bar bars=100000; mbar=100; atm=101325',
    'frequency': 'Hz hertz=1; kHz kilohertz=1000; MHz megahertz=1000000; GHz gigahertz=1000000000',
    'voltage': 'V volt volts=1; kV kilovolt kilovolts=1000; mV millivolt millivolts=1/1000',
    'current': 'A amp amps ampere amperes=1; mA milliampere milliamperes milliamp milliamps=1/1000',
    'resistance': 'Ω ohm ohms=1; kΩ kilohm kilohms=1000',
    'data': 'B byte bytes=1; kB KB kilobyte kilobytes=1000; MB megabyte megabytes=1000000; GB gigabyte gigabytes=1000000000; TB terabyte '
    'terabytes=1000000000000',
    'share': '% percent per-cent pct=1/100',
    'dollar': '$ US$ USD dollar dollars buck bucks=1; ¢ cent cents=1/100',
    'euro': '€ EUR euro euros=1', 'pound': '£ GBP pound pounds quid=1', 'yen': '¥ JPY yen=1', 'yuan': 'CNY RMB yuan=1', 'rupee': '₹ INR '
    'rupee rupees=1',
    'celsius': '°C ℃ celsius centigrade=1', 'fahrenheit': '°F ℉ fahrenheit=1', 'kelvin': 'K kelvin kelvins=1',
}  # fmt: skip
_TO_CELSIUS = {'celsius': (Fraction(1), Fraction(0)), 'fahrenheit': (Fraction(5, 9), Fraction(-160, 9)), 'kelvin': (Fraction(1), Fraction('-273.15'))}
CURRENCIES = ('US$', '$', '€', '£', '¥', '₹', 'USD', 'EUR', 'GBP', 'JPY', 'CNY', 'INR')


def _factor(text: str) -> Fraction:
    above, _, below = text.partition('/')
    return Fraction(above) / Fraction(below or 1)


UNITS = {
    spelling: (dimension, _factor(factor))
    for dimension, units in _TABLE.items()
    for spellings, _, factor in (unit.strip().rpartition('=') for unit in units.split(';'))
    for spelling in spellings.replace('=', '').split()
}
_ANY_CASE = frozenset(('km', 'kg', 'cm', 'mm', 'mph', 'USD', 'EUR', 'GBP'))
_LONG = {spelling.casefold(): unit for spelling, unit in UNITS.items() if len(spelling) > 3 or spelling in _ANY_CASE}
_LENGTHS = {UNITS[symbol][1]: symbol for symbol in ('m', 'cm', 'mm', 'km', 'ft', 'in', 'dm')}
FACTORS = {dimension: sorted({factor for kind, factor in UNITS.values() if kind == dimension}) for dimension in _TABLE}


_REWRITTEN: tuple[tuple[re.Pattern, str | Callable[[re.Match], str]], ...] = (  # in this order
    (re.compile(r'per cent\b'), 'percent'), (re.compile(r'^deg(?:rees?|\.)? ?(?=[cf])', re.IGNORECASE), '°'), (re.compile(r'^° '), '°'),
    (re.compile(r'^°(c|f)(?:elsius|ahrenheit)?$', re.IGNORECASE), lambda found: '°' + found[1].upper()),
    (re.compile(r'^(?:square|sq\.?) (.+)$', re.IGNORECASE), lambda found: _power(found[1], 2)),
    (re.compile(r'^cubic (.+)$', re.IGNORECASE), lambda found: _power(found[1], 3)),
    (re.compile(r'^(?:kilomet(?:er|re)s?|km) per hour$', re.IGNORECASE), 'km/h'), (re.compile(r'^miles? per hour$', re.IGNORECASE), 'mph'),
    (re.compile(r'^(?:met(?:er|re)s?|m) per s(?:econd)?$', re.IGNORECASE), 'm/s'),
)  # fmt: skip


def unit_of(spelling: str) -> tuple[str, Fraction] | None:
    """Return (dimension, how many of its first unit) of a spelling: case counts in short ones, since mW is no MW."""
    if found := UNITS.get(spelling):
        return found
    for pattern, plain in _REWRITTEN:
        spelling = pattern.sub(plain, spelling)
    return UNITS.get(spelling) or UNITS.get(spelling.rstrip('.')) or _LONG.get(spelling.rstrip('.').casefold())


def _power(word: str, exponent: int) -> str:
    found = UNITS.get(word) or _LONG.get(word.casefold())
    symbol = _LENGTHS.get(found[1]) if found and found[0] == 'length' else None
    return f'{symbol}^{exponent}' if symbol else word


def celsius(value: Fraction | float, dimension: str) -> Fraction | float | None:
    """Return a temperature in degrees Celsius, None for another dimension."""
    if dimension not in _TO_CELSIUS:
        return None
    times, plus = _TO_CELSIUS[dimension]
    return value * times + plus
