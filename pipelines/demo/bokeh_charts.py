"""The tables behind the charts drawn from bokeh_sampledata."""

import re
from typing import Any

from pipelines.demo.chart_table import ChartTable, Kind, counts, largest, means, pair_table, sums, table
from pipelines.demo.tables import BOKEH, document, rows
from pipelines.demo.vega_charts import IN_MONTHS, IN_YEARS, MONTHS

IN_COUNTRIES: dict[str, Any] = {'label_word': 'country', 'labels_word': 'countries', 'preposition': 'in'}
BY_COUNTRY: dict[str, Any] = {'label_word': 'country', 'labels_word': 'countries', 'preposition': 'of'}


def bokeh_tables() -> list[ChartTable]:
    """Return every table of this package, in a fixed order."""
    return [
        *_olympics(), *_browsers(), *_unemployment(), *_marriages(), *_degrees(), *_titanic(), *_penguins(),
        *_gapminder(), *_emissions(), *_elements(), *_others(),
    ]  # fmt: skip


def _olympics() -> list[ChartTable]:
    medals = {row['name']: row['medals'] for row in document(BOKEH, 'olympics2014.json')['data']}
    ranked = largest([(name, won['total']) for name, won in medals.items()], 16)
    tables = [
        table('medals_top', 'bokeh/olympics2014', 'barh', values=ranked[:8], title='Medals, Winter Olympics 2014',
              measure='the number of medals', axis='medals', **BY_COUNTRY),
        table('gold_top', 'bokeh/olympics2014', 'bar', axis='gold medals',
              values=largest([(name, won['gold']) for name, won in medals.items() if ' ' not in name], 6),
              title='Gold medals, Winter Olympics 2014', measure='the number of gold medals', **BY_COUNTRY),
    ]  # fmt: skip
    for name in ('Norway', 'Canada', 'Germany', 'Sweden', 'France', 'Japan'):
        won = [(colour, medals[name][colour]) for colour in ('gold', 'silver', 'bronze')]
        tables.append(table(
            f'medals_{name}', 'bokeh/olympics2014', 'pie', values=won, title=f'Medals of {name}, 2014',
            measure=f'the number of medals of {name}', label_word='colour', labels_word='colours', preposition='in',
        ))  # fmt: skip
    return tables


def _browsers() -> list[ChartTable]:
    share = 'Market Share Perc. (Nov 2013)'
    found = rows(BOKEH, 'browsers_nov_2013.csv')
    named = [row | {'family': re.split(r'[ \d]', row['Browser Version'])[0]} for row in found]
    words: dict[str, Any] = {'preposition': 'of', 'decimals': 1, 'measure': 'the market share in percent'}
    families = [pair for pair in sums(named, 'family', share) if pair[0] in ('Chrome', 'Firefox', 'IE', 'Safari')]
    versions = [(row['Browser Version'], float(row[share])) for row in found[:6]]
    return [
        table('browsers', 'bokeh/browsers', 'pie', values=families, title='Browsers, November 2013 (percent)',
              label_word='browser', labels_word='browsers', **words),
        table('versions', 'bokeh/browsers', 'barh', values=versions, title='Browser versions, November 2013',
              label_word='version', labels_word='versions', axis='percent', **words),
    ]  # fmt: skip


def _unemployment() -> list[ChartTable]:
    found = {int(row['Year']): row for row in rows(BOKEH, 'unemployment1948.csv')}
    tables = []
    for number, start in enumerate((1950, 1960, 1970, 1980, 1990, 2002)):
        values = [(str(year), float(found[year]['Annual'])) for year in range(start, start + 8)]
        tables.append(table(
            f'unemployment_{start}', 'bokeh/unemployment1948', ('bar', 'line')[number % 2], values=values, decimals=1,
            title=f'US unemployment, {start}-{start + 7}', measure='the unemployment rate', axis='percent', **IN_YEARS,
        ))  # fmt: skip
    for year in (1975, 1982, 2009):
        values = [(month, float(found[year][month])) for month in MONTHS[:8]]
        tables.append(table(
            f'unemployment_months_{year}', 'bokeh/unemployment1948', 'bar', values=values, decimals=1,
            title=f'US unemployment in {year}', measure=f'the unemployment rate of {year}', axis='percent', **IN_MONTHS,
        ))  # fmt: skip
    return tables


def _marriages() -> list[ChartTable]:
    found = {int(row['Year']): row for row in rows(BOKEH, 'us_marriages_divorces.csv')}
    tables = []
    kinds: tuple[tuple[int, Kind], ...] = ((1900, 'lines'), (1940, 'grouped'))
    for start, kind in kinds:
        years = range(start, start + 60, 10)
        tables.append(pair_table(
            f'marriages_{start}', 'bokeh/us_marriages_divorces', kind, labels=[str(year) for year in years], decimals=1,
            first=('marriages', [float(found[year]['Marriages_per_1000']) for year in years]),
            second=('divorces', [float(found[year]['Divorces_per_1000']) for year in years]),
            title='Marriages and divorces in the US', measure='the number of {series} per 1000 people',
            axis='per 1000 people', **IN_YEARS,
        ))  # fmt: skip
    return tables


def _degrees() -> list[ChartTable]:
    found = rows(BOKEH, 'percent-bachelors-degrees-women-usa.csv')
    tables = []
    for number, subject in enumerate(('Computer Science', 'Engineering', 'Biology', 'Architecture')):
        values = [(row['Year'], float(row[subject])) for row in found[number::5][:8]]
        tables.append(table(
            f'degrees_{subject.replace(" ", "_")}', 'bokeh/degrees', 'line', values=values, decimals=1,
            title=f'Women among {subject} graduates', axis='percent',
            measure=f'the percentage of women among {subject} graduates', **IN_YEARS,
        ))  # fmt: skip
    for year in ('1975', '1995', '2010'):
        row = next(row for row in found if row['Year'] == year)
        subjects = ('Biology', 'Business', 'Education', 'Engineering', 'Psychology')
        values = [(subject, float(row[subject])) for subject in subjects]
        tables.append(table(
            f'degrees_{year}', 'bokeh/degrees', 'barh', values=values, decimals=1,
            title=f'Women among graduates, {year}',
            measure=f'the percentage of women in {year}', label_word='subject', labels_word='subjects',
            preposition='in', axis='percent',
        ))  # fmt: skip
    return tables


def _titanic() -> list[ChartTable]:
    found = rows(BOKEH, 'titanic_all.csv')
    classes = ('1st', '2nd', '3rd')
    number = {
        survived: [sum(row['class'] == name and row['survived'] == survived for row in found) for name in classes]
        for survived in '01'
    }
    words: dict[str, Any] = {'label_word': 'class', 'labels_word': 'classes', 'preposition': 'in'}
    return [
        pair_table('titanic', 'bokeh/titanic', 'grouped', labels=classes, first=('survived', number['1']),
                   second=('died', number['0']), title='Passengers of the Titanic by class',
                   measure='the number of passengers who {series}', axis='passengers', **words),
        table('titanic_sex', 'bokeh/titanic', 'bar', title='Survivors of the Titanic',
              measure='the number of survivors',
              values=counts([row for row in found if row['survived'] == '1'], 'sex'), axis='survivors',
              label_word='sex', labels_word='sexes', preposition='for'),
    ]  # fmt: skip


def _penguins() -> list[ChartTable]:
    found = rows(BOKEH, 'penguins.csv')
    words: dict[str, Any] = {'label_word': 'species', 'labels_word': 'species', 'preposition': 'for'}
    return [
        table('penguin_mass', 'bokeh/penguins', 'bar', values=means(found, 'species', 'body_mass_g'), axis='grams',
              title='Body mass of penguins', measure='the mean body mass in grams', **words),
        table('penguin_bill', 'bokeh/penguins', 'barh', values=means(found, 'species', 'bill_length_mm'), decimals=1,
              title='Bill length of penguins', measure='the mean bill length in mm', axis='mm', **words),
        table('penguin_number', 'bokeh/penguins', 'pie', values=counts(found, 'island'),
              title='Penguins seen by island', measure='the number of penguins', label_word='island',
              labels_word='islands', preposition='on'),
    ]  # fmt: skip


def _gapminder() -> list[ChartTable]:
    found = {(row['country'], int(row['year'])): row for row in rows(BOKEH, 'gapminder.csv.gz')}
    tables = []
    for number, name in enumerate(('Japan', 'India', 'Brazil', 'Nigeria', 'Iran', 'Poland')):
        column = ('life_expectancy', 'fertility')[number % 2]
        words = ('life expectancy', 'number of children per woman')[number % 2]
        values = [(str(year), float(found[name, year][column])) for year in range(1970, 2011, 5)]
        tables.append(table(
            f'{column}_{name}', 'bokeh/gapminder', 'line' if number < 4 else 'bar', values=values, decimals=1,
            title=f'{words.capitalize()} in {name}', measure=f'the {words} in {name}', axis=words, **IN_YEARS,
        ))  # fmt: skip
    for year in (1965, 1990, 2013):
        names = ('Brazil', 'China', 'Egypt', 'India', 'Japan', 'Kenya')
        values = [(name, float(found[name, year]['life_expectancy'])) for name in names]
        tables.append(table(
            f'life_{year}', 'bokeh/gapminder', 'bar', values=values, decimals=1, title=f'Life expectancy in {year}',
            measure=f'the life expectancy of {year}', axis='years', **IN_COUNTRIES,
        ))  # fmt: skip
    return tables


def _emissions() -> list[ChartTable]:
    names = ('Australia', 'China', 'France', 'Germany', 'India', 'Japan')
    found = [row for row in rows(BOKEH, 'emissions.csv.gz') if row['country'] in names]
    tables = []
    for year in ('1970', '1990', '2010'):
        values = [(row['country'], float(row['emissions'])) for row in found if row['year'].startswith(year)]
        tables.append(table(
            f'emissions_{year}', 'bokeh/emissions', 'barh', values=values, decimals=1,
            title=f'CO2 emissions per person, {year}', measure=f'the CO2 emission per person of {year}', axis='tons',
            **IN_COUNTRIES,
        ))  # fmt: skip
    return tables


def _elements() -> list[ChartTable]:
    found = {row['name']: row for row in rows(BOKEH, 'elements.csv')}
    words: dict[str, Any] = {'label_word': 'element', 'labels_word': 'elements', 'preposition': 'of'}
    dense = ('Iron', 'Copper', 'Silver', 'Tin', 'Gold', 'Lead')
    light = ('Carbon', 'Nitrogen', 'Oxygen', 'Fluorine', 'Sodium', 'Chlorine')
    return [
        table('density', 'bokeh/periodic_table', 'bar', decimals=1, title='Density of metals',
              values=[(name, float(found[name]['density'])) for name in dense],
              measure='the density', axis='g per cubic cm', **words),
        table('negativity', 'bokeh/periodic_table', 'barh', decimals=2, title='Electronegativity of elements',
              values=[(name, float(found[name]['electronegativity'])) for name in light],
              measure='the electronegativity', axis='Pauling scale', **words),
    ]  # fmt: skip


def _others() -> list[ChartTable]:
    sales = rows(BOKEH, 'SampleSuperstore.csv.gz')
    thousands = [row | {'thousands': float(row['Sales']) / 1000} for row in sales]
    return [
        table('cows', 'bokeh/cows', 'barh', values=means(rows(BOKEH, 'cows.csv'), 'breed', 'butterfat'), decimals=2,
              title='Butterfat in milk', measure='the mean butterfat', label_word='breed', labels_word='breeds',
              preposition='for', axis='percent'),
        table('sales_region', 'bokeh/sample_superstore', 'pie', values=sums(thousands, 'Region', 'thousands'),
              title='Sales by region (thousand dollars)', measure='the sales in thousand dollars', label_word='region',
              labels_word='regions', preposition='in'),
        table('sales_category', 'bokeh/sample_superstore', 'bar', values=sums(thousands, 'Category', 'thousands'),
              title='Sales by category', measure='the sales in thousand dollars', label_word='category',
              labels_word='categories', preposition='of', axis='thousand dollars'),
        table('sales_segment', 'bokeh/sample_superstore', 'bar', values=counts(sales, 'Segment'), axis='orders',
              title='Orders by segment', measure='the number of orders', label_word='segment',
              labels_word='segments', preposition='from'),
    ]  # fmt: skip
