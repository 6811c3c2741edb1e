"""What the command line sets in a recipe: key.sub=value, in a list key.0.sub=value."""

from collections.abc import Iterable

from schemas.errors import UserError
from schemas.yaml_text import MAX_DEPTH, parse_yaml


def override_all(data: dict, overrides: Iterable[str]) -> None:
    """Set values in what a recipe's file says; raises UserError for a key that cannot be reached. What is null in a list is taken out."""
    shortened = [some for override in overrides if (some := _set(data, override)) is not None]
    for some in shortened:  # once all are set, so that places are those of the file
        some[:] = [entry for entry in some if entry is not None]


def _set(data: dict, override: str) -> list | None:
    """Set one value; return the list that it takes an entry out of, if it does."""
    key, equals, value = override.partition('=')
    if not equals:
        raise UserError(f'--set {override}: expected key.sub=value, found no "="')
    *parents, last = key.split('.')
    if len(parents) > MAX_DEPTH:
        raise UserError(f'--set {override[:80]}: expected key.sub=value, found {len(parents)} dots')
    place: dict | list = data
    for number, parent in enumerate(parents):
        if isinstance(place, list):
            place = place[_index(override, parents[:number], parent, place)]
        elif isinstance(place, dict):
            place = place.setdefault(parent, {})
        if not isinstance(place, dict | list):
            raise UserError(f'--set {override}: {".".join(parents[: number + 1])} is not a section of the recipe')
    found = parse_yaml(value, f'--set {override}')
    if isinstance(place, list):
        place[_index(override, parents, last, place)] = found
        return place if found is None else None
    if parents == ['sources'] and found is None and last not in place:
        raise UserError(f'--set {override}: expected one of {sorted(map(str, place))}, found {last!r}')
    place[last] = found
    if not parents and found is None:
        del place[last]  # a section is as it is by default
    return None


def _index(override: str, parents: list[str], word: str, found: list) -> int:
    """Return the place in a list, from 0."""
    if not word.isdecimal() or int(word) >= len(found):
        raise UserError(f'--set {override}: {".".join(parents)} is a list: expected one of its places, 0 to {len(found) - 1}, found {word!r}')
    return int(word)
