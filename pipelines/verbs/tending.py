"""The verbs that tend servers and stores. Each imports what it needs when it runs, so that `--help` is quick."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from pipelines.replies.actions import Action
from schemas.options import Build, Json, Work, local
from schemas.snapshot import find_build

PANEL = 'Servers and stores'

verbs = typer.Typer()


@verbs.command('serve-demo', rich_help_panel=PANEL)
def serve_demo(
    port: Annotated[int, typer.Option(min=0, max=65535, help='Loopback port; 0 takes a free one.')] = 8011,
    dtype: Annotated[Literal['auto', 'float32', 'bfloat16'], typer.Option(help='auto: the faster one on this processor, measured.')] = 'auto',
) -> None:
    """Serve the packaged SmolLM2-135M-Instruct with vLLM's OpenAI-compatible server on loopback, until Ctrl-C.

    Example: phantom serve-demo --port 8011
    """
    from pipelines.demo.server import serve_until_stopped

    serve_until_stopped(port, dtype)


@verbs.command(rich_help_panel=PANEL)
def replies(
    what: Annotated[Action, typer.Argument(help='What to do with it.')],
    folder: Annotated[Path, typer.Argument(help='A reply store, such as OUT/work/replies.')],
    failures: Annotated[bool, typer.Option('--failures', help='forget: the calls that failed for good.')] = False,
    model: Annotated[str | None, typer.Option('--model', help='forget: what this model said, by the name the server knows it by.')] = None,
    revision: Annotated[str | None, typer.Option('--revision', help='forget: what was asked under this revision.')] = None,
    kind: Annotated[str | None, typer.Option('--kind', help='forget: outcomes of this kind, as `stats` lists them: reply, length, ...')] = None,
    yes: Annotated[bool, typer.Option('--yes', help='forget: do not ask whether it is meant.')] = False,
) -> None:
    """Look after a reply store: what it holds, its segments packed into Parquet, every reply checked, or some forgotten and so asked again.

    `forget` says first how many it would remove, what they cost, and which tables of the working folder are made again; several options
    together mean what is all of that. A sealed snapshot stays as it is.

    Examples:

        phantom replies stats demo-out/work/replies

        phantom replies forget demo-out/work/replies --failures

        phantom replies forget demo-out/work/replies --model qwen --revision r1 --kind length --yes
    """
    from pipelines.replies.facts import Meant

    meant = Meant(failures, model, revision, kind)
    if what is Action.FORGET:
        from pipelines.look.forget import forget_replies

        return forget_replies(folder, meant, yes=yes)
    from pipelines.replies.tend import tend

    raise typer.Exit(tend(what.value, folder, meant))


@verbs.command(rich_help_panel=PANEL)
def doctor(
    work: Annotated[Path, typer.Option('--work', callback=local, help='The folder that builds are to work in; it is made if it is not there.')],
    with_node: Annotated[bool, typer.Option('--with-node', help='Look from here and from another node, where --answer runs.')] = False,
    answer: Annotated[bool, typer.Option('--answer', help='Be the other node of --with-node.')] = False,
    json: Json = False,
) -> None:
    """Measure in seconds whether a folder can be the working folder of a build, from two processes or two nodes; exit code 2 where it cannot.

    Renames, locks, links, mapped files, what another process sees and when, clocks, room, speed: docs/operations.md says what each is for.

    Examples:

        phantom doctor --work /shared/phantom

        phantom doctor --work /shared/phantom --with-node     # here; and on another node: phantom doctor --work /shared/phantom --answer

        srun -N 2 -n 2 bash -c 'phantom doctor --work /shared/phantom $( ((SLURM_PROCID)) && echo --answer || echo --with-node)'
    """
    from pipelines.look.doctor.doctor import answer_another, examine

    if answer:
        return answer_another(work)
    raise typer.Exit(0 if examine(work, with_node=with_node, as_json=json) else 2)


@verbs.command(rich_help_panel=PANEL)
def clean(
    folder: Build,
    yes: Annotated[bool, typer.Option('--yes', help='Remove the sealed snapshots too.')] = False,
    unused: Annotated[bool, typer.Option('--unused', help='Remove only the tables that no build of the working folder uses any more.')] = False,
    replies: Annotated[bool, typer.Option('--replies', help='Remove the paid replies too, which must be paid again then.')] = False,
    work: Work = None,
) -> None:
    """Remove the work of a build, but for the replies that models were paid for; a sealed snapshot only with --yes.

    With --unused only what other settings left behind. Nothing is removed that a build, a gallery or another verb uses at the moment.

    Examples:

        phantom clean demo-out

        phantom clean demo-out --unused
    """
    from pipelines.engine.clean import prune
    from pipelines.engine.place import work_of
    from pipelines.look.clean import clean_build

    build = find_build(folder, itself=yes and not unused)
    work = work or work_of(build)
    if unused:
        print('\n'.join(prune(work, of_gone=yes)))
    else:
        print(clean_build(build, work, with_snapshots=yes, with_replies=replies))
