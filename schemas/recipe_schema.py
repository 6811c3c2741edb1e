"""The JSON Schema of a recipe, by which editors complete and check it: made of the models that read it, with their words, defaults and bounds."""

from typing import Any

from schemas.recipe import Recipe
from schemas.source import ROLES

DRAFT = 'http://json-schema.org/draft-07/schema#'  # the one that every editor knows; the name is a name, nothing is fetched
# Whose keys a recipe that extends another one need not say again. Lists are replaced whole, so that all of an item stands there.
_MERGED = (('sources', 'Source'), ('models', 'Model'))


def recipe_schema() -> dict[str, Any]:
    """Return the schema as plain values. A key that nobody knows is a fault; what another recipe brings by `extends` need not be there."""
    found = _trimmed(Recipe.model_json_schema())
    needed = {name: found['$defs'][name].pop('required') for name in ('Source', 'Model', 'SecondJudge')}
    (named,) = found['properties']['sources']['patternProperties']
    found['properties']['sources']['patternProperties'][named] = _or_null({'$ref': '#/$defs/Source'})
    found['$defs']['Source']['properties']['columns']['propertyNames'] = {'enum': list(ROLES)}
    extends = {'type': 'string', 'description': 'A recipe beside this one, or one that comes with the package, from which this one starts: mappings '
                                                'are merged key by key, anything else is replaced.'}
    found['properties'] = {'name': found['properties'].pop('name'), 'extends': extends, **found['properties']}
    each = {key: {'additionalProperties': _or_null({'required': needed[model]})} for key, model in _MERGED}
    second = {'judge': {'properties': {'second': _or_null({'required': needed['SecondJudge']})}}}
    whole = {'required': found.pop('required'), 'properties': {**each, **second}}
    return {'$schema': DRAFT, 'title': 'A recipe of phantom', **found, 'if': {'required': ['extends']}, 'else': whole}


def _or_null(node: dict[str, Any]) -> dict[str, Any]:
    return {'anyOf': [node, {'type': 'null'}]}


def _trimmed(node: Any, *, named: bool = False) -> Any:
    """Return a schema without what says nothing: titles made of names, defaults of whole sections, line breaks; `named`: its keys are names."""
    if isinstance(node, list):
        return [_trimmed(item) for item in node]
    if not isinstance(node, dict):
        return node
    if 'patternProperties' in node and not named:
        node = {**node, 'additionalProperties': False}  # a name that is none is a fault
    kept = {key: value for key, value in node.items() if named or not (key == 'title' or (key == 'default' and '$ref' in node))}
    return {key: ' '.join(value.split()) if key == 'description' and isinstance(value, str) else
            value if key in ('default', 'enum') and not named else
            _trimmed(value, named=not named and key in ('properties', '$defs', 'patternProperties')) for key, value in kept.items()}
