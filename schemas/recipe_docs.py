"""What is written of the models of a recipe for people and editors: `python -m schemas.recipe_docs` makes both files anew."""

import json
import re
from pathlib import Path

from schemas.publish import publish_bytes
from schemas.recipe_keys import REQUIRED, Key, all_keys
from schemas.recipe_schema import recipe_schema
from schemas.shipped import SCHEMA

PAGE = Path(__file__).parent.parent / 'docs/recipe.md'
_HEAD = '''# Every key of a recipe

Made by `python -m schemas.recipe_docs` from the models that read recipes (schemas/recipe.py and the modules of its sections); a test holds this page
to them. `phantom help KEY` tells one key, `phantom validate RECIPE` all faults of a recipe at once, `phantom init FOLDER` writes a recipe for what
lies there. Editors with a YAML language server complete and check a recipe whose first line names the schema, as those in recipes/ do
(`phantom schema` prints it).

A `*` stands for a name of your own, or a place in a list. `--set sources.receipts.turns=each` overrides one value, in a list
`--set generate.0.temperature=0.5`.
'''


def recipe_page() -> str:
    """Return docs/recipe.md."""
    sections: dict[str, list[Key]] = {}
    for key in all_keys():
        sections.setdefault('.'.join(key.path.split('.')[:-1]), []).append(key)
    return '\n'.join([_HEAD, *(part for at in sorted(sections, key=_order) for part in _section(at, sections[at]))])


def recipe_schema_text() -> str:
    """Return the JSON Schema as a file has it."""
    return json.dumps(recipe_schema(), indent=1, ensure_ascii=False) + '\n'


def _order(at: str) -> tuple[int, str]:
    """Return where a section stands: the order of the recipe, what lies in a section behind it."""
    top = [key.path for key in all_keys() if '.' not in key.path]
    return (top.index(at.partition('.')[0]) if at else -1, at)


def _section(at: str, keys: list[Key]) -> list[str]:
    said = next((key.about for key in all_keys() if key.path == at.removesuffix('.*')), '')
    rows = [f'| `{key.name}` | {_cell(key.type)} | {_code(key.default)} | {_code(key.example)} | {_cell(key.text)} |' for key in keys]
    head = ['| key | value | default | example | meaning |', '|---|---|---|---|---|']
    return [f'## {_title(at)}', '', *([said, ''] if said else []), *head, *rows, '']


def _title(at: str) -> str:
    return f'`{at}`' if at else 'The recipe'


def _code(text: str) -> str:
    if text in ('', REQUIRED):
        return text
    fence = '``' if '`' in text else '`'
    return _cell(f'{fence}{text}{fence}')


def _cell(text: str) -> str:
    return re.sub(r'\s+', ' ', text).replace('|', r'\|')


def main() -> None:
    """Write both files."""
    publish_bytes(PAGE, recipe_page().encode())
    publish_bytes(SCHEMA, recipe_schema_text().encode())


if __name__ == '__main__':
    main()
