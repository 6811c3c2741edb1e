"""A condition that a user types, as what stands behind WHERE: read by DuckDB's own parser, allowed piece by piece, and written anew.

Only what is listed here gets through: columns of a row, values, comparisons and functions that make one value of a few. Nothing of the text itself
becomes SQL; its values are bound.
"""

import difflib
import json
from collections.abc import Callable
from functools import lru_cache

import duckdb

MOST_CHARS = 2000  # of a condition
DEEPEST = 60  # expressions within each other
MOST_COLUMNS = 20  # named in one: a thousand times a text is more than memory holds
REGULAR = ('regexp_full_match', 'regexp_matches')  # `SIMILAR TO` and `~` are the same. DuckDB interrupts between rows, not within a pattern
MOST_PATTERN_CHARS = 100
# As said -> in the index: a mix calls some of them otherwise.
COLUMNS = {
    'id': 'id', 'source': 'source', 'kind': 'kind', 'category': 'kind', 'generator': 'generator', 'answers': 'generator', 'reason': 'reason',
    'flagged': 'reason', 'unit': 'unit', 'split': 'split', 'score': 'score', 'chars': 'chars', 'px': 'px', 'copies': 'copies', 'question': 'question',
    'chosen': 'chosen', 'rejected': 'rejected', 'text': 'searched', 'image': 'image', 'cluster': 'cluster', 'n': 'n',
}  # fmt: skip
# None of them makes much of little, reads anything, or knows the time.
FUNCTIONS = (
    'abs', 'ceil', 'concat', 'contains', 'ends_with', 'floor', 'greatest', 'instr', 'isfinite', 'isnan', 'least', 'left', 'length', 'like_escape',
    'lower', 'ltrim', 'not_like_escape', 'nullif', 'prefix', 'regexp_full_match', 'regexp_matches', 'right', 'round', 'rtrim', 'sign',
    'starts_with', 'strip_accents', 'strpos', 'substring', 'suffix', 'trim', 'upper',
)  # fmt: skip
SIGNS = ('+', '-', '*', '/', '//', '%', '||', '~~', '!~~', '~~*', '!~~*', '~~~', '^@')
_COMPARISONS = {
    'COMPARE_EQUAL': '=', 'COMPARE_NOTEQUAL': '<>', 'COMPARE_LESSTHAN': '<', 'COMPARE_GREATERTHAN': '>', 'COMPARE_LESSTHANOREQUALTO': '<=',
    'COMPARE_GREATERTHANOREQUALTO': '>=', 'COMPARE_DISTINCT_FROM': 'IS DISTINCT FROM', 'COMPARE_NOT_DISTINCT_FROM': 'IS NOT DISTINCT FROM',
}  # fmt: skip
_AFTER = {'OPERATOR_IS_NULL': 'IS NULL', 'OPERATOR_IS_NOT_NULL': 'IS NOT NULL'}
_JOINED = {'CONJUNCTION_AND': ' AND ', 'CONJUNCTION_OR': ' OR '}
_BEFORE = 'SELECT 1 FROM typed WHERE '
_EXAMPLE = "such as source = 'vqa' AND score < 0.2"


class BadCondition(Exception):
    """A condition that cannot be asked; its text says what was expected and found."""


@lru_cache(maxsize=100)
def condition(text: str) -> tuple[str, tuple]:
    """Return the SQL of a condition over the view `typed` and its values; raises BadCondition for whatever is not one allowed expression."""
    if len(text) > MOST_CHARS:
        raise BadCondition(f'expected at most {MOST_CHARS:,} characters, found {len(text):,}')
    values: list = []
    try:
        tree = _parsed(text)
        if (n := _columns(tree)) > MOST_COLUMNS:
            raise BadCondition(f'expected at most {MOST_COLUMNS} columns, found {n}')
        return _sql(tree, values, 0), tuple(values)
    except RecursionError:
        raise _too_deep() from None


def _columns(value: object) -> int:
    """Return how often columns are named."""
    if isinstance(value, dict):
        return (value.get('class') == 'COLUMN_REF') + sum(map(_columns, value.values()))
    return sum(map(_columns, value)) if isinstance(value, list) else 0


def _parsed(text: str) -> dict:
    """Return the tree behind WHERE; raises BadCondition where the text is anything but one expression there."""
    with duckdb.connect(config={'enable_external_access': False, 'threads': 1, 'memory_limit': '256MB', 'lock_configuration': True}) as parser:
        try:
            told, plain = (json.loads(parser.execute('SELECT json_serialize_sql(?::VARCHAR)', [_BEFORE + said]).fetchall()[0][0])
                           for said in (text, 'true'))
        except (duckdb.Error, UnicodeError) as e:
            raise BadCondition(f'expected one expression {_EXAMPLE}; found: {first_line(e)}') from e
    if told['error']:
        at = int(told.get('position') or 0) - len(_BEFORE)
        where = f' (at character {at + 1})' if 0 <= at <= len(text) else ''
        found = told['error_message'] if told['error_type'] == 'parser' else 'another statement'
        raise BadCondition(f'expected one expression {_EXAMPLE}; found: {found}{where}')
    statements = told['statements']
    tree = statements[0]['node'].get('where_clause') if len(statements) == 1 else None
    if tree is None or _around(statements) != _around(plain['statements']):
        raise BadCondition(f'expected one expression and nothing else, {_EXAMPLE}; found more than that')
    return tree


def _around(statements: list[dict]) -> object:
    """Return all that was parsed but the condition, and where it stood."""
    return _placeless([{**one, 'node': {**one['node'], 'where_clause': None}} for one in statements])


def _placeless(value: object) -> object:
    if isinstance(value, dict):
        return {name: _placeless(part) for name, part in value.items() if not name.startswith('query_location')}
    return [_placeless(part) for part in value] if isinstance(value, list) else value


def _sql(tree: dict, values: list, depth: int) -> str:
    if depth > DEEPEST:
        raise _too_deep()
    known = _PIECES.get(tree['class'])
    if known is None:
        raise BadCondition(f'expected columns, values, comparisons and plain functions, found {_told(tree)}')
    return known(tree, lambda part: _sql(part, values, depth + 1), values)


def _comparison(tree: dict, sql: Callable[[dict], str], values: list) -> str:
    return f'({sql(tree["left"])} {_of(_COMPARISONS, tree)} {sql(tree["right"])})'


def _conjunction(tree: dict, sql: Callable[[dict], str], values: list) -> str:
    return f'({_of(_JOINED, tree).join(sql(part) for part in tree["children"])})'


def _between(tree: dict, sql: Callable[[dict], str], values: list) -> str:
    return f'({sql(tree["input"])} BETWEEN {sql(tree["lower"])} AND {sql(tree["upper"])})'


def _operator(tree: dict, sql: Callable[[dict], str], values: list) -> str:
    kind, parts = tree['type'], [sql(part) for part in tree['children']]
    if kind == 'OPERATOR_NOT':
        return f'(NOT {parts[0]})'
    if kind in ('COMPARE_IN', 'COMPARE_NOT_IN'):
        return f'({parts[0]} {"NOT " if kind == "COMPARE_NOT_IN" else ""}IN ({", ".join(parts[1:])}))'
    if kind == 'OPERATOR_COALESCE':
        return f'coalesce({", ".join(parts)})'
    return f'({parts[0]} {_of(_AFTER, tree)})'


def _case(tree: dict, sql: Callable[[dict], str], values: list) -> str:
    checks = ' '.join(f'WHEN {sql(one["when_expr"])} THEN {sql(one["then_expr"])}' for one in tree['case_checks'])
    return f'(CASE {checks} ELSE {sql(tree["else_expr"])} END)'


def _function(tree: dict, sql: Callable[[dict], str], values: list) -> str:
    name, given = tree['function_name'].lower(), tree['arguments']
    odd = tree['schema'] or tree['catalog'] or tree['distinct'] or tree['filter'] or tree['order_bys']['orders'] or any(one['name'] for one in given)
    if odd or name not in (*FUNCTIONS, *SIGNS):
        raise BadCondition(f'expected one of the functions {", ".join(FUNCTIONS)}; found {tree["function_name"]!r}{_near(name, FUNCTIONS)}')
    if name in REGULAR:
        _refuse_slow([one['expression'] for one in given[1:]])
    parts = [sql(one['expression']) for one in given]
    if name in FUNCTIONS:
        return f'{name}({", ".join(parts)})'
    return f'({f" {name} ".join(parts)})' if len(parts) > 1 else f'({name} {parts[0]})'


def _refuse_slow(patterns: list[dict]) -> None:
    """Raise BadCondition for patterns whose work does not follow from their length: of a column, or with counted repeats, {2,30}."""
    for pattern in patterns:
        text = pattern['literal']['text'] if pattern['class'] == 'CONSTANT' and pattern['literal']['kind'] == 'STRING' else None
        if text is None or len(text) > MOST_PATTERN_CHARS or '{' in text:
            raise BadCondition(f'expected patterns in single quotes of at most {MOST_PATTERN_CHARS} characters without counted repeats '
                               f'({{2,30}}), found {"another" if text is None else repr(text[:60])}')


def _column(tree: dict, sql: Callable[[dict], str], values: list) -> str:
    said = '.'.join(tree['column_names'])
    if said.lower() not in COLUMNS:
        raise BadCondition(f'expected one of the columns {", ".join(COLUMNS)}; found {said[:80]!r}{_near(said.lower(), tuple(COLUMNS))}; '
                           "texts stand in single quotes: 'vqa'")
    return COLUMNS[said.lower()]


def _value(tree: dict, sql: Callable[[dict], str], values: list) -> str:
    kind, text = tree['literal']['kind'], tree['literal']['text']
    if kind == 'NULL_LITERAL':
        return 'NULL'
    if kind == 'BOOLEAN':
        return 'true' if text == 'true' else 'false'
    if kind not in ('STRING', 'INTEGER', 'NUMERIC'):
        raise BadCondition(f"expected numbers, true, false, null and texts in single quotes, found {kind.lower()} {text[:40]!r}")
    values.append(text if kind == 'STRING' else float(text) if kind == 'NUMERIC' or len(text) > 15 else int(text))  # 15 digits: exact in a double
    return '?'


_PIECES: dict[str, Callable[[dict, Callable[[dict], str], list], str]] = {
    'COMPARISON': _comparison, 'CONJUNCTION': _conjunction, 'BETWEEN': _between, 'OPERATOR': _operator, 'CASE': _case, 'FUNCTION': _function,
    'COLUMN_REF': _column, 'CONSTANT': _value,
}  # fmt: skip


def _of(known: dict[str, str], tree: dict) -> str:
    if tree['type'] not in known:
        raise BadCondition(f'expected columns, values, comparisons and plain functions, found {_told(tree)}')
    return known[tree['type']]


def _told(tree: dict) -> str:
    return tree['type'].replace('_', ' ').lower()


def _near(name: str, known: tuple[str, ...]) -> str:
    found = difflib.get_close_matches(name, known, 1)
    return f' (did you mean {found[0]}?)' if found else ''


def _too_deep() -> BadCondition:
    return BadCondition(f'expected at most {DEEPEST} expressions within each other, found more')


def first_line(error: Exception) -> str:
    """Return what an error of DuckDB says, without the SQL that nobody typed."""
    return (str(error).splitlines() or [''])[0][:200]
