"""The verbs that help to write a recipe. Each imports what it needs when it runs, so that `--help` is quick."""

from typing import Annotated

import typer

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
