"""What a page asks for: which rows, by values, ranges and a text, and in which order."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from pipelines.look.gallery.condition import BadCondition, condition

VIEWS = ('kept', 'rejected')
FACETS = ('source', 'reason', 'kind', 'generator', 'unit', 'split')
MEASURES = ('score', 'chars', 'px', 'copies')
# Without ORDER BY DuckDB gives rows in the order they were inserted (preserve_insertion_order), which is the snapshot's.
SORTS = {
    'order': '', 'lowest score': 'ORDER BY score ASC NULLS LAST, n', 'highest score': 'ORDER BY score DESC NULLS LAST, n',
    'shortest answer': 'ORDER BY chars ASC NULLS LAST, n', 'longest answer': 'ORDER BY chars DESC NULLS LAST, n',
}  # fmt: skip
_RANGE = re.compile(r'(-?[0-9.]+(?:e[+-]?[0-9]+)?)?\.\.(-?[0-9.]+(?:e[+-]?[0-9]+)?)?', re.IGNORECASE)
MOST_VALUES = 500  # of one filter
MOST_ROWS = 5000  # that are named one by one: as many as an address has room for


class BadRequest(Exception):
    """An address with a value that is none of ours."""


@dataclass(frozen=True, slots=True)
class Query:
    """What a page asks for; empty means any. `values`: any of these; `ranges`: from the first to below the second, None for no bound."""

    view: str = 'kept'
    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    ranges: Mapping[str, tuple[float | None, float | None]] = field(default_factory=dict)
    text: str = ''
    sort: str = 'order'
    typed: str = ''  # a condition: `condition`
    rows: tuple[int, ...] | None = None  # their numbers: those that a user tagged, whom alone the page knows

    def without(self, name: str) -> 'Query':
        """Return the query without what it says of one facet or measure."""
        values = {key: said for key, said in self.values.items() if key != name}
        return replace(self, values=values, ranges={key: said for key, said in self.ranges.items() if key != name})

    def where(self) -> tuple[str, list]:
        """Return the SQL condition and its values; values never become SQL."""
        terms: list[str] = ['view = ?']
        values: list = [self.view]
        for name in FACETS:
            if asked := self.values.get(name):
                # a kept sample of a mix may have several flags where a rejected row has its reason
                terms.append("list_has_any(string_split(reason, ', '), ?)" if name == 'reason' else f'list_contains(?, {name})')
                values.append(list(asked))
        for name in MEASURES:
            for bound, sign in zip(self.ranges.get(name, ()), ('>=', '<'), strict=False):
                if bound is not None:
                    terms.append(f'{name} {sign} ?')
                    values.append(bound)
        if self.text:
            terms.append('n IN (SELECT n FROM texts WHERE view = ? AND contains(searched, lower(?)))')
            values += [self.view, self.text]
        if self.rows is not None:
            terms.append('list_contains(?, n)')
            values.append(list(self.rows))
        if self.typed:
            sql, typed = condition(self.typed)
            terms.append(f'n IN (SELECT n FROM typed WHERE view = ? AND {sql})')
            values += [self.view, *typed]
        return ' AND '.join(terms), values


def read_query(asked: Mapping[str, list[str]]) -> Query:
    """Return the query of an address; raises BadRequest for values that cannot be."""
    view, sort = read_view(asked), asked.get('sort', ['order'])[0]
    if sort not in SORTS:
        raise BadRequest(f'sort: expected one of {list(SORTS)}')
    values = {name: tuple(asked[name][:MOST_VALUES]) for name in FACETS if asked.get(name)}
    ranges = {name: _range(name, asked[name][0]) for name in MEASURES if asked.get(name)}
    typed = asked.get('where', [''])[0].strip()
    try:
        condition(typed or 'true')
    except BadCondition as e:
        raise BadRequest(f'where: {e}') from e
    return Query(view, values, ranges, asked.get('text', [''])[0], sort, typed, _rows(asked))


def read_view(asked: Mapping[str, list[str]]) -> str:
    """Return which view an address asks for; raises BadRequest for one that there is not."""
    view = asked.get('view', ['kept'])[0]
    if view not in VIEWS:
        raise BadRequest(f'view: expected one of {list(VIEWS)}')
    return view


def _rows(asked: Mapping[str, list[str]]) -> tuple[int, ...] | None:
    if 'rows' not in asked:
        return None
    numbers = asked['rows'][0].split(',')
    if len(numbers) > MOST_ROWS or not all(re.fullmatch(r'[0-9]{1,9}|-', one) for one in numbers):
        raise BadRequest(f'rows: expected {MOST_ROWS:,} numbers at most, with commas between them, - for none')
    return tuple(int(one) for one in numbers if one != '-')


def _range(name: str, text: str) -> tuple[float | None, float | None]:
    found = _RANGE.fullmatch(text)
    try:
        low, high = (float(bound) if bound else None for bound in found.groups()) if found else (None, None)
    except ValueError:
        found = None
    if found is None:
        raise BadRequest(f'{name}: expected a range such as 0.2..0.5, found {text[:20]!r}')
    return low, high
