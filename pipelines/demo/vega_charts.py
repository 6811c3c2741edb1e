"""The tables behind the charts drawn from vega_datasets."""

from typing import Any

from pipelines.demo.chart_table import ChartTable, counts, largest, means, pair_table, sums, table
from pipelines.demo.tables import VEGA, rows

MONTHS = ('Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec')
IN_YEARS: dict[str, Any] = {'label_word': 'year', 'labels_word': 'years', 'preposition': 'in'}
IN_MONTHS: dict[str, Any] = {'label_word': 'month', 'labels_word': 'months', 'preposition': 'in'}
SECTORS = (
    'construction', 'manufacturing', 'retail_trade', 'information', 'government', 'utilities', 'wholesale_trade',
    'leisure_and_hospitality', 'education_and_health_services',
)  # fmt: skip
COMPANIES = {'MSFT': 'Microsoft', 'AMZN': 'Amazon', 'IBM': 'IBM', 'AAPL': 'Apple'}


def vega_tables() -> list[ChartTable]:
    """Return every table of this package, in a fixed order."""
    return [
        *_wheat(), *_employment(), *_electricity(), *_weather(), *_barley(), *_cars(), *_stocks(), *_crimea(),
        *_driving(), *_airports(),
    ]  # fmt: skip


def _wheat() -> list[ChartTable]:
    found = rows(VEGA, 'wheat.json')
    tables = []
    for number, start in enumerate(range(0, 48, 8)):
        part = found[start : start + 8]
        span = f'{part[0]["year"]}-{part[-1]["year"]}'
        prices = [(row['year'], float(row['wheat'])) for row in part]
        tables.append(table(
            f'wheat_{span}', 'vega/wheat', 'bar' if number % 2 else 'line', values=prices, decimals=1,
            title=f'Price of wheat, {span}', measure='the price of wheat', axis='shillings per quarter', **IN_YEARS,
        ))  # fmt: skip
        if number % 2 == 0:
            wages = [(row['year'], float(row['wages'])) for row in part]
            tables.append(table(
                f'wages_{span}', 'vega/wheat', 'bar', values=wages, decimals=2, title=f'Weekly wages, {span}',
                measure='the weekly wage', axis='shillings per week', **IN_YEARS,
            ))  # fmt: skip
    return tables


def _employment() -> list[ChartTable]:
    januaries = [row for row in rows(VEGA, 'us-employment.csv') if row['month'].endswith('-01-01')][:8]
    tables = []
    for number, sector in enumerate(SECTORS):
        words = sector.replace('_', ' ')
        values = [(row['month'][:4], float(row[sector])) for row in januaries]
        tables.append(table(
            f'jobs_{sector}', 'vega/us-employment', 'line' if number % 3 == 2 else 'bar', values=values,
            title=f'US jobs in {words}', measure=f'the number of jobs in {words} in thousands',
            axis='thousands, January', **IN_YEARS,
        ))  # fmt: skip
    return tables


def _electricity() -> list[ChartTable]:
    found = rows(VEGA, 'iowa-electricity.csv')
    words: dict[str, Any] = {'label_word': 'source', 'labels_word': 'sources', 'preposition': 'from'}
    tables = []
    for year in ('2001', '2006', '2011', '2014', '2017'):
        values = [(row['source'], float(row['net_generation']) / 1000) for row in found if row['year'].startswith(year)]
        tables.append(table(
            f'iowa_{year}', 'vega/iowa-electricity', 'pie', values=values, decimals=1,
            title=f'Electricity in Iowa, {year} (TWh)', measure=f'the electricity made in {year} in TWh', **words,
        ))  # fmt: skip
    part = [row for row in found if row['year'][:4] >= '2010']
    series = {
        source: [float(row['net_generation']) / 1000 for row in part if row['source'] == source]
        for source in ('Nuclear Energy', 'Renewables')
    }
    tables.append(pair_table(
        'iowa_lines', 'vega/iowa-electricity', 'lines', labels=[str(year) for year in range(2010, 2018)], decimals=1,
        first=('Nuclear Energy', series['Nuclear Energy']), second=('Renewables', series['Renewables']),
        title='Electricity in Iowa', measure='the electricity made from {series}', axis='TWh', **IN_YEARS,
    ))  # fmt: skip
    return tables


def _weather() -> list[ChartTable]:
    found = rows(VEGA, 'seattle-weather.csv')
    tables = []
    for year in ('2012', '2013', '2014', '2015'):
        days = [row | {'month': MONTHS[int(row['date'][5:7]) - 1]} for row in found if row['date'].startswith(year)]
        tables.append(table(
            f'seattle_kinds_{year}', 'vega/seattle-weather', 'barh', values=largest(counts(days, 'weather'), 5),
            title=f'Days by weather, Seattle {year}', measure=f'the number of days in {year}', label_word='weather',
            labels_word='kinds of weather', preposition='with', axis='days',
        ))  # fmt: skip
        half = days[:181] if year in ('2012', '2014') else days[181:]
        months = [row for row in half if row['month'] in {day['month'] for day in half[20:-20]}]
        tables.append(table(
            f'seattle_rain_{year}', 'vega/seattle-weather', 'bar', values=sums(months, 'month', 'precipitation'),
            decimals=1, title=f'Rain in Seattle, {year}', measure=f'the precipitation of {year} in mm', axis='mm',
            **IN_MONTHS,
        ))  # fmt: skip
        tables.append(table(
            f'seattle_heat_{year}', 'vega/seattle-weather', 'line', values=means(days[:243], 'month', 'temp_max'),
            decimals=1, title=f'Mean daily maximum in Seattle, {year}', axis='degrees C',
            measure=f'the mean daily maximum of {year}', **IN_MONTHS,
        ))  # fmt: skip
    return tables


def _barley() -> list[ChartTable]:
    found = rows(VEGA, 'barley.json')
    varieties = ('Glabron', 'Manchuria', 'Peatland', 'Trebi', 'Velvet')
    tables = []
    for site in ('Crookston', 'Duluth', 'Grand Rapids', 'Morris', 'Waseca'):
        values = {
            year: [next(row['yield'] for row in found if _is_plot(row, site, name, year=year)) for name in varieties]
            for year in (1931, 1932)
        }
        tables.append(pair_table(
            f'barley_{site.replace(" ", "_")}', 'vega/barley', 'grouped', labels=varieties, decimals=1,
            first=('1931', values[1931]), second=('1932', values[1932]), title=f'Barley yield at {site}',
            measure=f'the barley yield at {site} in {{series}}', label_word='variety', labels_word='varieties',
            preposition='for', axis='bushels per acre',
        ))  # fmt: skip
    return tables


def _is_plot(row: dict[str, object], site: str, variety: str, *, year: int) -> bool:
    return (row['site'], row['variety'], row['year']) == (site, variety, year)


def _cars() -> list[ChartTable]:
    found = [row | {'year': row['Year'][:4]} for row in rows(VEGA, 'cars.json')]
    origin: dict[str, Any] = {'label_word': 'origin', 'labels_word': 'origins', 'preposition': 'from'}
    return [
        table('cars_mpg', 'vega/cars', 'bar', values=means(found, 'Origin', 'Miles_per_Gallon'), decimals=1,
              axis='miles per gallon', title='Fuel economy of cars',
              measure='the mean miles per gallon of cars', **origin),
        table('cars_power', 'vega/cars', 'barh', values=means(found, 'Origin', 'Horsepower'), decimals=1,
              title='Engine power of cars', measure='the mean horsepower of cars', axis='horsepower', **origin),
        table('cars_number', 'vega/cars', 'pie', values=counts(found, 'Origin'), title='Cars by origin',
              measure='the number of cars', **origin),
        table('cars_years', 'vega/cars', 'line', values=means(found, 'year', 'Miles_per_Gallon')[:8], decimals=1,
              title='Fuel economy by model year', measure='the mean miles per gallon', axis='miles per gallon',
              **IN_YEARS),
    ]  # fmt: skip


def _stocks() -> list[ChartTable]:
    found = [row | {'year': row['date'][-4:]} for row in rows(VEGA, 'stocks.csv')]
    tables = []
    for symbol, company in COMPANIES.items():
        prices = means([row for row in found if row['symbol'] == symbol], 'year', 'price')[:8]
        tables.append(table(
            f'stock_{symbol}', 'vega/stocks', 'line', values=prices, decimals=1, title=f'{company} share price',
            measure=f"the mean price of {company}'s share", axis='US dollars', **IN_YEARS,
        ))  # fmt: skip
    return tables


def _crimea() -> list[ChartTable]:
    tables = []
    for start in (6, 14):
        part = rows(VEGA, 'crimea.json')[start : start + 7]
        labels = [f'{MONTHS[int(row["date"][5:7]) - 1]} {row["date"][2:4]}' for row in part]
        tables.append(pair_table(
            f'crimea_{start}', 'vega/crimea', 'grouped' if start == 6 else 'lines', labels=labels,
            first=('disease', [row['disease'] for row in part]), second=('wounds', [row['wounds'] for row in part]),
            title='Deaths in the Crimean War', measure='the number of deaths from {series}', axis='deaths', **IN_MONTHS,
        ))  # fmt: skip
    return tables


def _driving() -> list[ChartTable]:
    found = {int(row['year']): row for row in rows(VEGA, 'driving.json')}
    tables = []
    for start in (1960, 1975, 1990, 2000):
        values = [(str(year), float(found[year]['gas'])) for year in range(start, start + 8)]
        tables.append(table(
            f'gas_{start}', 'vega/driving', 'line' if start % 20 else 'bar', values=values, decimals=2,
            title=f'Price of gasoline, {start}-{start + 7}', measure='the price of a gallon of gasoline',
            axis='US dollars', **IN_YEARS,
        ))  # fmt: skip
    return tables


def _airports() -> list[ChartTable]:
    return [table(
        'airports', 'vega/airports', 'barh', values=largest(counts(rows(VEGA, 'airports.csv'), 'state'), 8),
        title='Airports by US state', measure='the number of airports', label_word='state', labels_word='states',
        preposition='in', axis='airports',
    )]  # fmt: skip
