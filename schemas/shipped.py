"""The recipes that come with the package: in the repository and in the wheel they lie in recipes/, beside the packages."""

import difflib
from pathlib import Path

FOLDER = Path(__file__).parent.parent / 'recipes'
SCHEMA = FOLDER / 'recipe.schema.json'  # by which editors complete and check a recipe whose first line names it
MODELINE = '# yaml-language-server: $schema='


def shipped() -> dict[str, Path]:
    """Return the recipes that come with the package by name."""
    return {path.stem: path for path in sorted(FOLDER.glob('*.yaml'))}


def find_recipe(name: str | Path, folder: Path = Path()) -> Path:
    """Return the recipe that a person means: the file, or where there is none the one of that bare name that comes with the package."""
    path = folder / name
    return path if path.is_file() else shipped().get(str(name), path)


def near_recipe(path: Path) -> str:
    """Return what a message says of the recipes there are, and of the one that was probably meant."""
    beside = {found.stem: str(found) for pattern in ('*.yaml', '*.yml') for found in sorted(path.parent.glob(pattern))}
    known = {**{name: name for name in shipped()}, **beside}
    near = difflib.get_close_matches(path.stem, known, n=1)
    meant = f'; did you mean {known[near[0]]}' if near else ''
    return f'; with the package come {", ".join(shipped())}{meant}'


def list_recipes() -> str:
    """Return name, purpose and place of each recipe that comes with the package, as text."""
    return '\n'.join(f'{name:14} {_purpose(path)}\n{"":14} {path}' for name, path in shipped().items())


def _purpose(path: Path) -> str:
    """Return the first sentence of the recipe's first line, a comment, behind the one for editors."""
    first = next((line for line in path.read_text('utf-8').split('\n') if not line.startswith(MODELINE)), '')
    return first.lstrip('# ').split('. ')[0].removesuffix('.')
