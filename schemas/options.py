"""What the verbs of the front door share: each option is said once, and --quiet and --version hold for all of them."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from schemas.errors import UserError
from schemas.local import url_fault
from schemas.revision import git_revision, package_version

QUIET = ('--quiet', '-q')
LOG_JSON = '--log-json'
ANYWHERE = (*QUIET, LOG_JSON)  # before the verb or behind it
BEAM = {'allow_extra_args': True, 'ignore_unknown_options': True}  # of a verb that hands on what it does not know: to Beam, to vLLM


class Door(TyperGroup):
    """The verbs; --quiet and --log-json may stand before the verb or behind it, and an EOFError is an error."""

    def invoke(self, ctx: Any) -> Any:
        """Run the verb. Typer takes an EOFError for a question that nobody answers, and ends with the single word "Aborted.";
        ours come from a file or a process that ended too early, and keep their traceback.
        """
        try:
            return super().invoke(ctx)
        except EOFError as e:
            raise RuntimeError(f'a file or a process ended before it was read: {e}') from e

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Move --quiet and --log-json to the front, where they are options of all verbs."""
        return super().parse_args(ctx, [*(word for word in args if word in ANYWHERE), *(word for word in args if word not in ANYWHERE)])


def local(option: typer.CallbackParam, path: Path | None) -> Path | None:
    """Return the path with a leading ~ spelled out, which shells leave in `--out=~/x`; raises UserError for a URL."""
    if path is not None and (fault := url_fault(str(path))):
        raise UserError(f'{option.opts[0] if option.opts[0][:1] == "-" else option.opts[0].upper()}: {fault}')
    return None if path is None else Path(os.path.expanduser(path))


def local_all(option: typer.CallbackParam, paths: list[Path] | None) -> list[Path]:
    """Return several paths as `local` returns one."""
    return [found for path in paths or () if (found := local(option, path)) is not None]


def _print_version(wanted: bool) -> None:
    if wanted:
        revision = git_revision()
        print(f'phantom {package_version()}' + (f' (git {revision})' if revision else ''))
        raise typer.Exit


RecipeFile = Annotated[Path, typer.Argument(help='The recipe: a YAML file, or the name of one that `phantom recipes` lists.')]
Out = Annotated[Path, typer.Option('--out', callback=local, help='Folder of the build: gets work/, mix/ and triples/.')]
Work = Annotated[
    Path | None,
    typer.Option('--work', callback=local, help='Folder of the tables between steps; default OUT/work. Share it to reuse what it holds.'),
]
Root = Annotated[Path | None, typer.Option('--root', callback=local, help='Where the sources lie; default: the recipe says.')]
Sets = Annotated[list[str] | None, typer.Option(
    '--set', help='Override one value: key.sub=value, in a list key.0.sub=value, null for the default; of training name=value. Repeatable.')]
Excludes = Annotated[list[Path] | None, typer.Option(
    '--exclude', callback=local_all, help='A list of ids to leave out, as the gallery saves tagged rows; beside those of the recipe. Repeatable.')]
Snapshot = Annotated[Path, typer.Argument(callback=local, help="A sealed snapshot, or a build's folder: its triples, else its mix.")]
Build = Annotated[Path, typer.Argument(callback=local, help="A build's --out folder, or a snapshot in it.")]
Checkpoint = Annotated[Path, typer.Argument(callback=local, help='A checkpoint folder.')]
Json = Annotated[bool, typer.Option('--json', help='Print one JSON object instead; docs/json.md says what its keys mean.')]
Quiet = Annotated[bool, typer.Option(*QUIET, help='No progress, no tables on the way; results and errors stay. May follow the verb.')]
LogJson = Annotated[bool, typer.Option(LOG_JSON, help='Progress, news and errors as JSON lines on standard error, see docs/json.md.')]
Version = Annotated[bool, typer.Option('--version', is_eager=True, callback=_print_version, help='Print the version and end.')]
