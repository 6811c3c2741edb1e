"""The verbs that help to write a recipe. Each imports what it needs when it runs, so that `--help` is quick."""

from pathlib import Path
from typing import Annotated

import typer

from schemas.errors import UserError
from schemas.options import local

PANEL = 'Write a recipe'

verbs = typer.Typer()


@verbs.command(rich_help_panel=PANEL)
def recipes() -> None:
    """List the recipes that come with the package: name, purpose, file. Each verb that takes a recipe takes the name.

    Example: phantom recipes
    """
    from schemas.shipped import list_recipes

    print(list_recipes())


@verbs.command('help', rich_help_panel=PANEL)
def help_(
    key: Annotated[str, typer.Argument(help='A key of a recipe: judge.margin, sources.*.turns, turns; a section; none: the sections.')] = '',
) -> None:
    """Tell what a key of a recipe means: its values, default, an example. docs/recipe.md has all on one page.

    Examples:

        phantom help judge.margin

        phantom help turns
    """
    from schemas.recipe_keys import help_on

    print(help_on(key))


@verbs.command(rich_help_panel=PANEL)
def schema() -> None:
    """Print the JSON Schema of a recipe, by which editors complete and check it.

    An editor with a YAML language server reads it where the first line of a recipe is `# yaml-language-server: $schema=FILE`.

    Example: phantom schema > recipe.schema.json
    """
    from schemas.recipe_docs import recipe_schema_text

    print(recipe_schema_text(), end='')


@verbs.command(rich_help_panel=PANEL)
def init(
    paths: Annotated[list[Path] | None, typer.Argument(metavar='FOLDER_OR_FILE...', help='What you have: folders, files of annotations.')] = None,
    out: Annotated[Path, typer.Option('--out', callback=local, help='The recipe to write; nothing is overwritten.')] = Path('recipe.yaml'),
    from_: Annotated[str, typer.Option('--from', metavar='NAME', help='Copy a recipe that comes with the package instead: demo, ...')] = '',
) -> None:
    """Write a first recipe for what lies in a folder: formats, columns and pictures as they are found, guesses and questions marked by comments.

    Read are LLaVA JSON, messages, instruction lists, tables (CSV, TSV, Parquet, Arrow), folders of `datasets`, WebDataset tars, and pictures beside
    them in folders, .zip and .tar. What cannot be used is told, with what to do about it. No link is followed.

    Examples:

        phantom init my-pictures --out mine.yaml

        phantom init annotations.csv pictures

        phantom init --from demo
    """
    from pipelines.look.begin.init import copy_recipe, write_recipe

    if bool(paths) == bool(from_):
        raise UserError('init: expected a folder or files to look at, or --from NAME, '
                        f'found {"both" if from_ else "neither"}; see phantom init --help')
    print(copy_recipe(from_, out) if from_ else write_recipe(paths or [], out))
