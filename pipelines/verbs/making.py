"""The verbs that lead from sources to a snapshot. Each imports what it needs when it runs, so that `--help` is quick."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.benches.layouts.names import LayoutName
from schemas.options import BEAM, Excludes, Json, Out, RecipeFile, Root, Sets, Work, local, local_all

PANEL = 'From sources to a snapshot'
GIVE_UP = (
    'Seal all the same: calls that are still failing, and pictures that the disk still does not give, become rejections (GIVEN_UP, IMAGE_UNREADABLE).'
)
DRY_RUN = 'Make nothing and ask nobody: tell which steps would run and why, the records, calls, tokens, money, disk and time, as far as known.'
WORKERS = 'Worker processes on this machine instead of one for each core that it may use; 0: everything in this process.'
RAY = 'A Ray cluster makes the tables: auto, local (one for this build), HOST:PORT or ray://HOST:PORT; needs the extra [ray].'
MixOnly = Annotated[bool, typer.Option('--mix-only', help='Stop after the mix snapshot; no model is asked but those that rate it.')]
OnRay = Annotated[str, typer.Option('--ray', metavar='ADDRESS', show_default=False, help=RAY)]

verbs = typer.Typer()


@verbs.command('demo-data', rich_help_panel=PANEL)
def demo_data(folder: Annotated[Path, typer.Argument(help='Folder to write; must be absent, empty, or a demo of ours.')]) -> None:
    """Write the demo's raw input: real pictures and labels in the formats sources really have.

    Example: phantom demo-data demo-out/data
    """
    from pipelines.demo import write_demo_data

    print('\n'.join(write_demo_data(folder).lines()))


@verbs.command(rich_help_panel=PANEL)
def validate(
    recipe: RecipeFile,
    root: Root = None,
    set_: Sets = None,
    reach: Annotated[bool, typer.Option(' /--no-reach', help='Ask no server: the models are elsewhere, or not up yet.')] = True,
    deep: Annotated[bool, typer.Option('--deep', help='Look at some hundred pictures of each source: do its texts belong to them?')] = False,
    json: Json = False,
) -> None:
    """Look at all a build would refuse, without reading the sources whole: what is there, what is missing, where to get it; exit code 2 for faults.

    Each model that the recipe names is met and tries one small prompt of each kind that it will be asked, unless --no-reach: some hundred
    tokens (more where it thinks first), which no budget counts.

    Examples:

        phantom validate phantom --root /data/phantom --no-reach

        phantom validate mine.yaml --json
    """
    from pipelines.look.validate import validate_sources
    from schemas.recipe import load_recipe

    raise typer.Exit(0 if validate_sources(load_recipe(recipe, set_ or ()), root, reach=reach, as_json=json, deep=deep) else 2)


@verbs.command(rich_help_panel=PANEL)
def preview(
    recipe: RecipeFile,
    out: Out,
    n: Annotated[int, typer.Option('-n', min=1, help='Samples to take all the way, of every source and prompt in turn.')] = 20,
    work: Work = None,
    root: Root = None,
    set_: Sets = None,
) -> None:
    """Tell the disk that the mix needs, take a few samples all the way, show prompts, replies and verdicts, and project the cost of a build.

    The models are asked first what they can do. No source is read whole: some records of each, drawn by the recipe's seed, and their pictures
    are; where the mix of the recipe is sealed in --out, its own samples are taken. What it asks is stored in the build's own reply store:
    `phantom build` with the same --out never pays the same request again. Exit codes: 3 the budget is spent, 4 model calls keep failing; the page
    shows what came back before. A recipe by which no model is asked is told its disk only.

    Example: phantom preview demo -n 20 --out demo-out
    """
    from pipelines.build import Way
    from pipelines.look.disk import tell_disk
    from pipelines.look.preview import preview_recipe, rates
    from pipelines.look.preview_page import print_projection
    from schemas.recipe import load_recipe

    wanted = load_recipe(recipe, set_ or ())
    if not (wanted.generate or rates(wanted)):
        tell_disk(wanted, root, out)
        return
    found = preview_recipe(wanted, n, out, Way(work, root, workers=None))
    print_projection(found.projection, found.seconds)
    print(f'look: {out}/preview/preview.html')
    if found.stopped:
        raise found.stopped


@verbs.command(context_settings=BEAM, rich_help_panel=PANEL)
def build(
    context: typer.Context,
    recipe: RecipeFile,
    out: Out,
    work: Work = None,
    root: Root = None,
    set_: Sets = None,
    exclude: Excludes = None,
    workers: Annotated[int | None, typer.Option('--workers', min=0, show_default='all cores', help=WORKERS)] = None,
    ray: OnRay = '',
    shard: Annotated[str, typer.Option('--shard', help='i/n: be the i-th of n processes that build together, each on its own cores.')] = '1/1',
    mix_only: MixOnly = False,
    wait: Annotated[str, typer.Option('--wait', help='With --shard: how long to wait for a process that is gone or was never started.')] = '30m',
    give_up: Annotated[bool, typer.Option('--give-up', help=GIVE_UP)] = False,
    dry_run: Annotated[bool, typer.Option('--dry-run', help=DRY_RUN)] = False,
) -> None:
    """Build the mix and the triples a recipe describes. Killed or stopped, run it again: it goes on where it was.

    It uses every core that it may; --workers bounds it. Whatever follows the known options goes to Beam (--runner=FlinkRunner, ...), which
    makes everything then; what Beam does not know goes on to its runner (--checkpointing_interval, --max_bundle_size). On a cluster the working
    folder must lie under one path on all nodes; `phantom-worker` starts Beam's workers on nodes that have Beam and not this package.

    Exit codes: 0 sealed, 2 a mistake to mend (also a full disk, a quota, a folder that may not be written), 3 the budget is spent, 4 something is
    not there yet: model calls keep failing, or more than max_failed of them failed for good, a worker process died, another process of --shard is
    gone, or the machine failed for the moment (memory, open files, a disk or network that does not answer): the message says what to do, what is
    finished is kept, 130 and 143 stopped by Ctrl-C or SIGTERM.

    Examples:

        phantom build demo --out demo-out

        phantom build demo --out demo-out --dry-run

        phantom build my.yaml --out out --workers 8

        phantom build my.yaml --out /shared/out --runner=FlinkRunner --flink_master=host:8081 --parallelism=64 --sdk_worker_parallelism=1
        --environment_type=PROCESS --environment_config='{"command": "/shared/phantom-worker"}' --extra_package=/shared/phantom.whl

        phantom build my.yaml --out /shared/out --ray auto

        srun --ntasks=8 bash -c 'phantom build my.yaml --out out --shard $((SLURM_PROCID + 1))/8'
    """
    from pipelines.build import Way, build_all, parse_share, parse_wait
    from schemas.recipe import load_recipe

    share, wait_s = parse_share(shard), parse_wait(wait)
    way = Way(work, root, tuple(context.args), share, mix_only, give_up, workers=workers, ray=ray, wait_s=wait_s)
    if dry_run:
        from pipelines.look.dry_run import tell_plan

        tell_plan(load_recipe(recipe, set_ or (), exclude=exclude or ()), out, way)
        return
    build_all(load_recipe(recipe, set_ or (), exclude=exclude or ()), out, way)


@verbs.command(rich_help_panel=PANEL)
def select(
    recipe: RecipeFile,
    out: Out,
    work: Work = None,
    root: Root = None,
    set_: Sets = None,
    exclude: Excludes = None,
    ray: OnRay = '',
    mix_only: MixOnly = False,
) -> None:
    """Decide again with other thresholds from the scores that are stored, in seconds; never asks a model.

    Of judge and triples, of ratings (rate.drop), and of what lists leave out (--exclude tags.json, saved in the gallery): then the mix is another
    one, and its triples are made of stored replies (--mix-only: none are). Where some were never asked for, it says how many and which build asks.

    Example: phantom select demo --set judge.margin=0.2 --work demo-out/work --root demo-out/data --out demo-strict
    """
    from pipelines.build import Way, build_all
    from schemas.recipe import load_recipe

    build_all(load_recipe(recipe, set_ or (), exclude=exclude or ()), out, Way(work, root, mix_only=mix_only, ask_nobody=True, workers=None, ray=ray))


@verbs.command(rich_help_panel=PANEL)
def convert(
    inputs: Annotated[
        list[Path], typer.Argument(callback=local_all, help='A CSV or TSV; captions_*.json; questions and annotations; a folder of Parquet.')
    ],
    out: Annotated[Path, typer.Option('--out', callback=local, help='New folder: rows, a link to the pictures, recipe, books.')],
    images: Annotated[Path | None, typer.Option('--images', callback=local, help="The pictures' folder; of a table by default its own.")] = None,
    column: Annotated[
        list[str] | None, typer.Option('--column', metavar='ROLE=NAME', help='Column of question, answer, image, options, system, id. Repeatable.')
    ] = None,
    name: Annotated[str, typer.Option('--name', help="What the source is called; default: the folder's name.")] = '',
    licence: Annotated[str, typer.Option('--licence', help='Under what licence the data are: it stands in every card.')] = 'unknown',
) -> None:
    """Make a source of files that no format of a recipe is: tables of picture paths, COCO captions, VQA questions, Parquet from the Hub.

    Every input row is written, or stands in left_out.jsonl with its reason. Pictures are not copied, Parquet is read where it lies. Each COCO
    caption answers one fixed question; boxes and masks are refused, for they ask nothing. Of VQA the most frequent answer is taken.

    Examples:

        phantom convert photos.csv --images photos --out source --licence MIT

        phantom convert captions_train2017.json --images train2017 --out coco --licence CC-BY-4.0

        phantom convert v2_OpenEnded_mscoco_val2014_questions.json v2_mscoco_val2014_annotations.json --images val2014 --out vqa

        phantom convert downloaded --column question=query --out hub
    """
    from pipelines.sources.convert.told import convert_and_tell

    convert_and_tell(inputs, out, images=images, columns=column or [], name=name, licence=licence)


@verbs.command('read-bench', rich_help_panel=PANEL)
def read_bench(
    name: Annotated[str, typer.Argument(help='What the benchmark is called in results.')],
    folder: Annotated[Path, typer.Argument(help='Its files as they are published.')],
    out: Annotated[Path, typer.Option('--out', callback=local, help='The Parquet file to write.')],
    layout: Annotated[LayoutName | None, typer.Option('--format', help='Its layout; default: that of its name in lower case.')] = None,
) -> None:
    """Turn a benchmark's files into one Parquet file: what contamination is checked against and what `phantom eval` reads.

    Example: phantom read-bench pope data/POPE --out bench/pope.parquet
    """
    from pipelines.benches.items import write_bench

    out.parent.mkdir(parents=True, exist_ok=True)
    print(f'{out}: {write_bench(name, layout.value if layout else name.lower(), folder, out)} items')
