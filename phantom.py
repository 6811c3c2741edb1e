"""The front door: `phantom VERB ...`. Verbs and their help, nothing else; each imports what it needs when it runs, so `--help` is quick."""

import logging
from pathlib import Path
from typing import Annotated

import typer

from schemas.beginnings import begin_in_utf8, refuse_no_docstrings
from schemas.endings import log_errors_only, run_to_an_end
from schemas.garbage import collect_rarely
from schemas.options import Build, Checkpoint, Door, Json, Out, Quiet, RecipeFile, Root, Sets, Snapshot, Version, Work, local
from schemas.snapshot import find_alike, find_build, find_snapshot
from schemas.telling import hushed

MAKE, LOOK, MODEL, TEND = 'From sources to a snapshot', 'Look at a snapshot, hand it on', 'The model', 'Servers and stores'
GIVE_UP = (
    'Seal all the same: calls that are still failing, and pictures that the disk still does not give, become rejections (GIVEN_UP, IMAGE_UNREADABLE).'
)
WORKERS = 'Worker processes on this machine instead of one for each core that it may use; 0: everything in this process.'
RAY = 'A Ray cluster makes the tables: auto, local (one for this build), HOST:PORT or ray://HOST:PORT; needs the extra [ray].'
BEAM = {'allow_extra_args': True, 'ignore_unknown_options': True}
OnRay = Annotated[str, typer.Option('--ray', metavar='ADDRESS', show_default=False, help=RAY)]

app = typer.Typer(
    cls=Door,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode='markdown',
    help='Curate visual-instruction data into sealed snapshots of preference triples, and train the Phantom model on them.',
)


@app.callback()
def door(context: typer.Context, quiet: Quiet = False, version: Version = False) -> None:
    """Apply what holds for every verb."""
    logging.basicConfig()
    log_errors_only()
    refuse_no_docstrings()
    if quiet:
        context.with_resource(hushed())


@app.command(rich_help_panel=MAKE)
def recipes() -> None:
    """List the recipes that come with the package: name, purpose, file. Each verb that takes a recipe takes the name.

    Example: phantom recipes
    """
    from schemas.shipped import list_recipes

    print(list_recipes())


@app.command('demo-data', rich_help_panel=MAKE)
def demo_data(folder: Annotated[Path, typer.Argument(help='Folder to write; must be absent, empty, or a demo of ours.')]) -> None:
    """Write the demo's raw input: real pictures and labels in the formats sources really have.

    Example: phantom demo-data demo-out/data
    """
    from pipelines.demo import write_demo_data

    print('\n'.join(write_demo_data(folder).lines()))


@app.command(rich_help_panel=MAKE)
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


@app.command(rich_help_panel=MAKE)
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
    shows what came back before. A recipe that generates nothing is told its disk only.

    Example: phantom preview demo -n 20 --out demo-out
    """
    from pipelines.build import Way
    from pipelines.look.disk import tell_disk
    from pipelines.look.preview import preview_recipe
    from pipelines.look.preview_page import print_projection
    from schemas.recipe import load_recipe

    wanted = load_recipe(recipe, set_ or ())
    if not wanted.generate:
        tell_disk(wanted, root, out)
        return
    found = preview_recipe(wanted, n, out, Way(work, root, workers=None))
    print_projection(found.projection)
    print(f'look: {out}/preview/preview.html')
    if found.stopped:
        raise found.stopped


@app.command(context_settings=BEAM, rich_help_panel=MAKE)
def build(
    context: typer.Context,
    recipe: RecipeFile,
    out: Out,
    work: Work = None,
    root: Root = None,
    set_: Sets = None,
    workers: Annotated[int | None, typer.Option('--workers', min=0, show_default='all cores', help=WORKERS)] = None,
    ray: OnRay = '',
    shard: Annotated[str, typer.Option('--shard', help='i/n: be the i-th of n processes that build together, each on its own cores.')] = '1/1',
    mix_only: Annotated[bool, typer.Option('--mix-only', help='Stop after the mix snapshot; no model is asked.')] = False,
    wait: Annotated[str, typer.Option('--wait', help='With --shard: how long to wait for a process that is gone or was never started.')] = '30m',
    give_up: Annotated[bool, typer.Option('--give-up', help=GIVE_UP)] = False,
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
    build_all(load_recipe(recipe, set_ or ()), out, way)


@app.command(rich_help_panel=MAKE)
def select(recipe: RecipeFile, out: Out, work: Work = None, root: Root = None, set_: Sets = None, ray: OnRay = '') -> None:
    """Decide again with other thresholds from the scores that are stored, in seconds; never asks a model.

    Example: phantom select demo --set judge.margin=0.2 --work demo-out/work --root demo-out/data --out demo-strict
    """
    from pipelines.build import Way, build_all
    from schemas.recipe import load_recipe

    build_all(load_recipe(recipe, set_ or ()), out, Way(work, root, ask_nobody=True, workers=None, ray=ray))


@app.command('read-bench', rich_help_panel=MAKE)
def read_bench(
    name: Annotated[str, typer.Argument(help='What the benchmark is called in results.')],
    folder: Annotated[Path, typer.Argument(help='Its files as they are published.')],
    out: Annotated[Path, typer.Option('--out', callback=local, help='The Parquet file to write.')],
    layout: Annotated[str, typer.Option('--format', help='Its layout; default: the lower-case name.')] = '',
) -> None:
    """Turn a benchmark's files into one Parquet file: what contamination is checked against and what `phantom eval` reads.

    Example: phantom read-bench pope data/POPE --out bench/pope.parquet
    """
    from pipelines.benches.items import write_bench

    out.parent.mkdir(parents=True, exist_ok=True)
    print(f'{out}: {write_bench(name, layout or name.lower(), folder, out)} items')


@app.command(rich_help_panel=LOOK)
def show(folder: Build, json: Json = False) -> None:
    """Print what a build made: snapshots, the books, the judge's calibration, who answered, what it cost, and where to look next.

    Example: phantom show demo-out
    """
    from pipelines.look.show import show_build

    show_build(folder, as_json=json)


@app.command(rich_help_panel=LOOK)
def verify(
    snapshot: Annotated[Path, typer.Argument(callback=local, help="A sealed snapshot, or a build's folder: every snapshot in it.")],
    signature: Annotated[Path | None, typer.Option('--signature', help='KEY.pub, or a file of allowed signers: it must be signed by one.')] = None,
    json: Json = False,
) -> None:
    """Check a snapshot through and through: manifest, card, files, identity, every row and picture; names file and row of each fault, exit code 1.

    Checksums show accidents. Whether somebody else wrote the snapshot only --signature shows (docs/manifest.md).

    Examples:

        phantom verify demo-out

        phantom verify received --signature publisher.pub
    """
    from pipelines.look.verify import verify_snapshot

    raise typer.Exit(verify_snapshot(snapshot, as_json=json, signature=signature))


@app.command(rich_help_panel=LOOK)
def seal(
    snapshot: Annotated[Path, typer.Argument(callback=local, help="A sealed snapshot, or a build's folder: every snapshot in it.")],
    sign: Annotated[Path, typer.Option('--sign', help='Your private SSH key (its public half where an agent holds it), or a minisign key.')],
) -> None:
    """Sign a sealed snapshot for those who get it from you: it is verified first, then manifest.json.sig lies beside its manifest.

    Example: phantom seal demo-out --sign ~/.ssh/id_ed25519
    """
    from pipelines.look.verify import sign_snapshot

    raise typer.Exit(sign_snapshot(snapshot, sign))


@app.command(rich_help_panel=LOOK)
def gallery(
    snapshot: Snapshot,
    port: Annotated[int, typer.Option(min=0, max=65535, help='Loopback port; 0 takes a free one.')] = 8012,
    export_to: Annotated[Path | None, typer.Option('--export', callback=local, help='Write the page as one folder instead of serving it.')] = None,
    limit: Annotated[int, typer.Option(min=1, help='With --export: at most this many kept and this many rejected rows, a sample by id hash.')] = 5000,
    replies: Annotated[Path | None, typer.Option('--replies', help='Reply store to show raw replies from; default: work/replies beside it.')] = None,
    work: Annotated[
        Path | None, typer.Option('--work', callback=local, help='Folder with rejected pictures; default: work beside it, with --export none.')
    ] = None,
) -> None:
    """Look at a snapshot in the browser: kept and rejected rows with pictures, scores, reasons and raw replies.

    Rejected pictures and benchmark items are in no snapshot: they are shown while the build's working folder and its sources are there.

    Examples:

        phantom gallery demo-out

        phantom gallery demo-out/triples --export demo-out/gallery
    """
    snapshot = find_snapshot(snapshot)  # before what takes seconds to import
    from pipelines.engine.locks import in_use
    from pipelines.engine.place import work_of
    from pipelines.look.gallery.serve import serve_gallery
    from pipelines.look.gallery.static import export_gallery

    with in_use(snapshot, work or work_of(snapshot.resolve().parent)):
        if export_to is None:
            serve_gallery(snapshot, port, replies, work)
            return
        counts = export_gallery(snapshot, export_to, limit=limit, replies=replies, work=work)
        print(f'{export_to}/index.html: {counts["kept"]:,} kept and {counts["rejected"]:,} rejected row(s), {counts["pictures"]:,} picture(s)')


@app.command(rich_help_panel=LOOK)
def explain(
    identifier: Annotated[str, typer.Argument(metavar='ID', help='An image id (its first 8 digits do), an image reference or a sample id.')],
    build: Annotated[Path, typer.Option('--build', help="A build's --out folder whose work/ is still there, or a snapshot in it.")],
    work: Work = None,
    png: Annotated[Path | None, typer.Option('--png', help='Where the pictures go; default BUILD/explain/ID.png.')] = None,
    json: Json = False,
) -> None:
    """Say why a picture or a sample is in the mix or out of it: star, distances, benchmark hits, and the pictures side by side.

    Example: phantom explain "shapes/shapes/shapes.json#3/0" --build demo-out
    """
    from pipelines.look.explain_json import explain_in

    explain_in(find_build(build), identifier, work, png, as_json=json)


@app.command(rich_help_panel=LOOK)
def audit(
    snapshot: Annotated[Path, typer.Argument(help='A sealed triples snapshot, or the folder of its build.')],
    n: Annotated[int, typer.Option('-n', min=1, help='Candidates to label, accepted and refused, from every source.')] = 200,
    out: Annotated[
        Path | None, typer.Option('--out', callback=local, help='New folder for audit.html and labels.csv; with --labels a JSON file to write.')
    ] = None,
    labels: Annotated[Path | None, typer.Option('--labels', help='The labelled CSV: report precision and recall of the judge.')] = None,
    compare: Annotated[Path | None, typer.Option('--compare', metavar='A', help='Another build, to hold its judge against this one.')] = None,
) -> None:
    """Measure the judge on real candidates: a page to label by hand, then its precision and recall from the labels.

    With --compare two judges, or two prompts of one, stand side by side on the planted cases that both were asked about, with --labels on those
    candidates, too: AUC, refusals, cost of a verdict, and whether these cases can show a difference. No model is asked. --out FILE writes it as JSON.

    Examples:

        phantom audit demo-out -n 200 --out demo-out/audit

        phantom audit demo-out --labels demo-out/audit/labels.csv

        phantom audit --compare before demo-out
    """
    from pipelines.look.audit import audit_judge
    from pipelines.look.compare_judges import compare_judges, print_compared

    if compare is not None:
        both = find_snapshot(compare, 'triples'), find_snapshot(snapshot, 'triples')
        print_compared(compare_judges(*both, labels), out)
    else:
        audit_judge(find_snapshot(snapshot, 'triples'), n, out, labels)


@app.command(rich_help_panel=LOOK)
def diff(
    a: Annotated[Path, typer.Argument(help="A sealed snapshot, or a build's folder.")],
    b: Annotated[Path, typer.Argument(help='Another: the same kind is compared, triples where both have them.')],
    json: Json = False,
) -> None:
    """Show what changed from snapshot A to B: rows added, removed, changed, and the reasons of what was left out.

    Example: phantom diff before demo-out
    """
    from pipelines.snapshot.diff import diff_snapshots, print_diff

    print_diff(diff_snapshots(*find_alike(a, b)), as_json=json)


@app.command(rich_help_panel=LOOK)
def export(
    snapshot: Snapshot,
    to: Annotated[str, typer.Option('--to', help='trl, ms-swift, llama-factory, webdataset or jsonl.')],
    out: Annotated[Path, typer.Option('--out', callback=local, help='New folder; it appears when it is whole.')],
) -> None:
    """Write a snapshot in the form of another trainer; original image bytes, and a list of the rows its format cannot say.

    Example: phantom export demo-out --to trl --out demo-out/trl
    """
    snapshot = find_snapshot(snapshot)  # before what takes seconds to import
    from pipelines.engine.locks import in_use
    from pipelines.snapshot.exports.export import export_snapshot

    with in_use(snapshot):
        counts = export_snapshot(snapshot, to, out)
    print(f'{out}: {counts["rows"]:,} row(s) for {to}, {counts["left_out"]:,} left out; how to load them: {out}/README.md')


@app.command(rich_help_panel=MODEL)
def join(
    vision: Annotated[Path, typer.Option('--vision', callback=local, help='InternViT as published, or an InternVL whose encoder alone is taken.')],
    language: Annotated[Path, typer.Option('--language', callback=local, help='Qwen2, Qwen2.5, Qwen3, InternLM2 or Phi-3 as published.')],
    out: Annotated[Path, typer.Option('--out', callback=local, help='New folder; it appears when it is whole.')],
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help='Of the new projector.')] = 0,
) -> None:
    """Join an encoder and a plain language model into a start for training step 1: new projector, added tokens, model card.

    Example: phantom join --vision InternViT-300M-448px --language Qwen2-0.5B-Instruct --out start
    """
    from model.phantom.join import join as run

    print('\n'.join(run(vision, language, out, seed=seed).lines()))


@app.command(rich_help_panel=MODEL)
def train(
    snapshot: Annotated[Path, typer.Option('--snapshot', help='A sealed triples snapshot, or the folder of its build.')],
    out: Annotated[Path, typer.Option('--out', callback=local, help='Checkpoint folder; training goes on from what lies there.')],
    dry_run: Annotated[bool, typer.Option('--dry-run', help='Train nothing: tell where each weight comes from, what trains, the memory.')] = False,
    preset: Annotated[str, typer.Option(help='Model size and training step, see model/training/presets/.')] = 'tiny',
    max_steps: Annotated[int | None, typer.Option('--max-steps', help='Stop after this many optimiser steps in all.')] = None,
    init: Annotated[Path | None, typer.Option('--init', help="What to start from: a backbone's folder, or step 1's --out.")] = None,
    resume: Annotated[
        Path | None, typer.Option('--resume', help="Another run's step-N to go on from, while --out has none: weights, optimiser and rows.")
    ] = None,
    set_: Sets = None,
) -> None:
    """Train Phantom on a triples snapshot (SFT + Phantom Optimization); resumes by default.

    Examples:

        phantom train --snapshot big/triples --preset 0.5b-step1 --init InternVL2-1B --out ckpt/step1 --dry-run

        phantom train --snapshot demo-out --preset tiny --max-steps 60 --out demo-out/checkpoint

        phantom train --snapshot big/triples --preset 1.8b-step2 --init ckpt/step1 --out ckpt/step2 --set min_score=0.5

        phantom train --snapshot big/triples --resume run/step-00009000 --out decayed --max-steps 10000 --set decay_start=9000 --set decay_steps=1000
    """
    snapshot = find_snapshot(snapshot, 'triples')  # before what takes seconds to import
    if dry_run:
        from model.training.dry_run import tell

        tell(snapshot, out, set_ or [], preset=preset, max_steps=max_steps, init=init, resume=resume)
        return
    from curation.answers.exact_match import same_answer
    from model.training.train import train as run
    from pipelines.engine.locks import in_use
    from schemas.yaml_text import parse_settings

    with in_use(snapshot):
        settings = parse_settings(set_ or [])
        run(snapshot, out, preset=preset, max_steps=max_steps, init=init, resume=resume, settings=settings, same_answer=same_answer)


@app.command(rich_help_panel=MODEL)
def ask(
    checkpoint: Checkpoint,
    image: Annotated[Path, typer.Argument(help='A picture.')],
    question: Annotated[str, typer.Argument(help='The question about it.')],
) -> None:
    """Answer a question about a picture from a checkpoint.

    Example: phantom ask demo-out/checkpoint demo-out/data/shapes/images/0001.png "What colour is the shape?"
    """
    from model.evaluation.ask import ask as answer

    print(answer(checkpoint, image, question))


@app.command(context_settings=BEAM, rich_help_panel=MODEL)
def serve(
    context: typer.Context,
    checkpoint: Annotated[Path, typer.Argument(callback=local, help='A checkpoint folder, a run (its newest), or a LoRA adapter as PEFT saves it.')],
    port: Annotated[int, typer.Option(min=0, max=65535, help='The port; 0 takes a free one.')] = 8000,
    host: Annotated[str, typer.Option(help='The address; 0.0.0.0 answers other machines, too.')] = '127.0.0.1',
    name: Annotated[str, typer.Option(help="The model's name there; default: the folder's.")] = '',
    dtype: Annotated[str, typer.Option(help='auto | float32 | bfloat16; auto: float32 on a CPU, what vLLM chooses on a GPU.')] = 'auto',
    adapter: Annotated[Path | None, typer.Option('--adapter', callback=local, help="A LoRA adapter's folder, as PEFT saves it.")] = None,
    ask: Annotated[str, typer.Option('--ask', help='Ask this over HTTP once it answers, print the answer, and end.')] = '',
    image: Annotated[Path | None, typer.Option('--image', callback=local, help='The picture that --ask is about.')] = None,
) -> None:
    """Serve a checkpoint with vLLM by OpenAI's protocol, until Ctrl-C. Whatever follows the known options goes to vLLM.

    Folder, vLLM, port and memory are looked at first. An unmodified vLLM knows these checkpoints (`vllm serve CKPT`): docs/serving.md.

    Examples:

        phantom serve demo-out/checkpoint --name mine

        phantom serve ckpt --host 0.0.0.0 --tensor-parallel-size 2

        phantom serve demo-out/checkpoint --port 0 --ask "What colour is the shape?" --image demo-out/data/shapes/images/0001.png
    """
    from model.serving.front import ready_server
    from model.serving.running import ask_once, serve_until_stopped

    server = ready_server(checkpoint, host=host, port=port, name=name, adapter=adapter, dtype=dtype, more=tuple(context.args))
    if ask:
        ask_once(server, ask, image)
    else:
        serve_until_stopped(server)


@app.command('eval', rich_help_panel=MODEL)
def evaluate(
    bench: Annotated[str, typer.Option('--bench', help='The benchmark: sqa, ai2d, chartqa, pope, mme, mmstar, ...')],
    root: Annotated[Path, typer.Option('--root', callback=local, help="The benchmark's files as they are published.")],
    out: Annotated[Path, typer.Option('--out', callback=local, help='Folder for items.parquet, replies.jsonl, items.jsonl and score.json.')],
    checkpoint: Annotated[Path | None, typer.Argument(callback=local, help='A checkpoint folder; none with --url.', show_default=False)] = None,
    max_items: Annotated[int | None, typer.Option('--max-items', min=1, help='Only the first so many items.')] = None,
    samples: Annotated[int | None, typer.Option('--samples', min=1, help='So many items of every part, drawn by the hash of their ids.')] = None,
    seed: Annotated[int, typer.Option('--seed', help='Of --samples: another one draws other items.')] = 0,
    beams: Annotated[int | None, typer.Option('--beams', min=1, help='Of a checkpoint: default 3, as in the paper; a server does 1.')] = None,
    url: Annotated[str, typer.Option('--url', help='Evaluate a served model instead: an OpenAI-compatible server, http://.../v1.')] = '',
    model: Annotated[str, typer.Option('--model', help='With --url: its name there; default: the only one there.')] = '',
    revision: Annotated[str, typer.Option('--revision', help='With --url: its revision; stored replies of another are not used.')] = '',
    key_env: Annotated[str, typer.Option('--key-env', help='With --url: the environment variable that holds its key.')] = 'OPENAI_API_KEY',
    batch_rows: Annotated[int, typer.Option('--batch-rows', min=1, help='Items answered at once; in float32 the replies do not depend on it.')] = 8,
    judge_url: Annotated[str, typer.Option('--judge-url', help='For a benchmark that is judged: an OpenAI-compatible server.')] = '',
    judge_model: Annotated[str, typer.Option('--judge-model', help='The judging model there.')] = '',
    judge_revision: Annotated[
        str, typer.Option('--judge-revision', help='Its revision: stored replies of another are not used. Default: whatever the server serves.')
    ] = '',
    judge_key_env: Annotated[str, typer.Option('--judge-key-env', help='The environment variable that holds its key.')] = 'OPENAI_API_KEY',
    judge_max_tokens: Annotated[
        int | None, typer.Option('--judge-max-tokens', min=1, help='Tokens it may write (256; llava-w: 1024); one that thinks first needs more.')
    ] = None,
) -> None:
    """Answer a benchmark's items with a checkpoint and score them as the benchmark's own code does. Killed, run it again: it goes on.

    With --url the model of a server answers, greedily, and its replies are stored: `phantom serve`, vLLM, or any other that speaks OpenAI's
    protocol. Each figure has its 95 % interval (docs/evaluating.md).

    A judge that is away or out of credit, or whose calls fail in one way, leaves no score: exit code 4, and the same command asks only what is
    missing. score.json says who answered, and how many replies could not be read.

    Benchmarks: sqa, ai2d, chartqa, seed, seed-2-plus, pope, hallusionbench, mme, mmbench, mmstar, blink, cv-bench; judged by a language model:
    mathvista, mathverse, mm-vet, mm-vet-v2, llava-w. With OPENAI_API_KEY set and --judge-url https://api.openai.com/v1 the judge may be OpenAI's.

    Examples:

        phantom eval ckpt --bench pope --root data/POPE --out results/pope

        phantom eval --url http://127.0.0.1:8000/v1 --bench mme --root data/MME --out results/served/mme --samples 400

        phantom eval ckpt --bench mm-vet --root data/mm-vet --out results/mm-vet --judge-url http://127.0.0.1:8000/v1 --judge-model my-judge
    """
    from contextlib import ExitStack

    from model.evaluation.evaluate import evaluate as run
    from model.evaluation.evaluate import make_folder, refuse_unclear
    from pipelines.benches.items import write_bench
    from pipelines.benches.judge import ready_judge
    from pipelines.benches.served import name_served, serving

    bench = bench.lower()
    of_server = '--model' if model else '--revision' if revision else ''
    refuse_unclear(bench, checkpoint, url, max_items=max_items, samples=samples, beams=beams, of_server=of_server)
    judge = ready_judge(bench, judge_url, judge_model, revision=judge_revision, key_env=judge_key_env, max_tokens=judge_max_tokens)
    make_folder(out)
    with ExitStack() as stack:
        served = stack.enter_context(serving(bench, name_served(url, model, revision=revision, key_env=key_env), out)) if url else None
        write_bench(bench, bench, root, out / 'items.parquet')
        run(
            checkpoint, out / 'items.parquet', out, bench=bench, batch_rows=batch_rows, beams=beams or 3, max_items=max_items, samples=samples,
            seed=seed, judge=judge, served=served,
        )  # fmt: skip


@app.command(rich_help_panel=MODEL)
def results(
    folder: Annotated[Path, typer.Argument(help='A folder with the --out folders of `phantom eval`.')],
    baseline: Annotated[str, typer.Option('--baseline', help='The folder in it that the others are compared with; default: the first.')] = '',
) -> None:
    """Print the scores of all benchmarks evaluated so far beside the paper's; writes FOLDER/results.json.

    Of a benchmark that several checkpoints answered, the difference to the first one stands beside each, item by item, with its 95 % interval.

    Examples:

        phantom results results

        phantom results results --baseline step1     # results/step1/pope, results/step2/pope, ...
    """
    from model.evaluation.results import compare_results, format_results

    print(format_results(compare_results(folder, baseline)))


@app.command('verify-model', rich_help_panel=MODEL)
def verify_model(folder: Annotated[Path, typer.Argument(help='A folder of golden tensors laid out like tests/golden/arch_0_5b.')]) -> None:
    """Compare the model with golden tensors of the released code; prints the worst difference per case, non-zero exit beyond tolerance.

    Example: phantom verify-model tests/golden/arch_0_5b
    """
    from model.exactness.verify import verify_model as verify

    raise typer.Exit(verify(folder))


@app.command('serve-demo', rich_help_panel=TEND)
def serve_demo(
    port: Annotated[int, typer.Option(min=0, max=65535, help='Loopback port; 0 takes a free one.')] = 8011,
    dtype: Annotated[str, typer.Option(help='auto | float32 | bfloat16; auto: the faster one on this processor, measured.')] = 'auto',
) -> None:
    """Serve the packaged SmolLM2-135M-Instruct with vLLM's OpenAI-compatible server on loopback, until Ctrl-C.

    Example: phantom serve-demo --port 8011
    """
    from pipelines.demo.server import serve_until_stopped

    serve_until_stopped(port, dtype)


@app.command(rich_help_panel=TEND)
def replies(
    what: Annotated[str, typer.Argument(help='stats | compact | verify | forget')],
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
    if what == 'forget':
        from pipelines.look.forget import forget_replies

        return forget_replies(folder, meant, yes=yes)
    from pipelines.replies.tend import tend

    raise typer.Exit(tend(what, folder, meant))


@app.command(rich_help_panel=TEND)
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


@app.command(rich_help_panel=TEND)
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


def main() -> None:
    """Run the verb; a user's mistake is one message and its exit code, never a traceback, and so is an order to stop."""
    collect_rarely()
    begin_in_utf8()
    run_to_an_end(app, 'phantom')


if __name__ == '__main__':
    main()
