"""The front door: `phantom VERB ...`. Verbs and their help, nothing else; each imports what it needs when it runs, so `--help` is quick.

The verbs of the model stand here, where alone `model` is imported; those of the pipeline in pipelines/verbs/.
"""

import glob
import logging
from pathlib import Path
from typing import Annotated

import typer

from pipelines.benches.layouts.names import LayoutName
from pipelines.verbs import beginning, looking, making, tending
from schemas.beginnings import begin_in_utf8, refuse_no_docstrings
from schemas.endings import log_errors_only, run_to_an_end
from schemas.garbage import collect_rarely
from schemas.options import BEAM, Checkpoint, Door, LogJson, Quiet, Sets, Version, local
from schemas.snapshot import find_snapshot
from schemas.telling import hushed, tell_json, tell_plain

PANEL = 'The model'


def presets(incomplete: str) -> list[str]:
    """Return the presets that a word may become, without importing `model`."""
    return sorted(path.stem for path in (Path(__file__).parent / 'model/training/presets').glob(f'{glob.escape(incomplete)}*.yaml'))


app = typer.Typer(
    cls=Door,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode='markdown',
    help='Curate visual-instruction data into sealed snapshots of preference triples, and train the Phantom model on them.',
)


@app.callback()
def door(context: typer.Context, quiet: Quiet = False, log_json: LogJson = False, version: Version = False) -> None:
    """Apply what holds for every verb."""
    logging.basicConfig()
    (tell_json if log_json else tell_plain)()
    log_errors_only()
    refuse_no_docstrings()
    if quiet:
        context.with_resource(hushed())


verbs = typer.Typer()


@verbs.command(rich_help_panel=PANEL)
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


@verbs.command(rich_help_panel=PANEL)
def train(
    snapshot: Annotated[Path, typer.Option('--snapshot', help='A sealed triples snapshot, or the folder of its build.')],
    out: Annotated[Path, typer.Option('--out', callback=local, help='Checkpoint folder; training goes on from what lies there.')],
    dry_run: Annotated[bool, typer.Option('--dry-run', help='Train nothing: tell where each weight comes from, what trains, the memory.')] = False,
    preset: Annotated[str, typer.Option(autocompletion=presets, help='Model size and training step, see model/training/presets/.')] = 'tiny',
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


@verbs.command(rich_help_panel=PANEL)
def rate(
    mix: Annotated[Path, typer.Option('--mix', help='A sealed mix snapshot, or the folder of its build.')],
    out: Annotated[Path, typer.Option('--out', callback=local, help='Folder for ratings.parquet, report.html and the work; rating goes on from it.')],
    folds: Annotated[int, typer.Option('--self', metavar='FOLDS', help='Models, each trained on all folds of the mix but the one it rates.')],
    preset: Annotated[str, typer.Option(autocompletion=presets, help='Model size and settings, see model/training/presets/.')] = 'tiny',
    steps: Annotated[int | None, typer.Option('--steps', show_default='6 epochs, 300 to 2000', help='Optimiser steps of each model.')] = None,
    init: Annotated[Path | None, typer.Option('--init', help='What each model starts from; it must not have learnt from this mix.')] = None,
    rounds: Annotated[int, typer.Option('--rounds', help='Each after the first learns anew without the labels that the one before doubts.')] = 2,
    precision: Annotated[
        float | None,
        typer.Option('--precision', show_default='likelier wrong than right', help='Choose the threshold below which this share is wrong: 0.95.'),
    ] = None,
    set_: Sets = None,
) -> None:
    """Rate the answers of a mix without a judge: by models trained on parts of it, how likely each answer of the part they never saw is right.

    Pictures that are near-duplicates lie in one part. It tells its minutes ahead; killed, the same command goes on with the part it was at.
    The most doubtful answers are in OUT/report.html. A recipe takes them out by `rate: {from: [OUT/ratings.parquet], drop: {correct: 0.5}}`.

    Examples:

        phantom rate --self 3 --preset tiny --mix demo-out/mix --out demo-out/rated

        phantom rate --self 3 --mix mine --out rated --precision 0.95
    """
    snapshot = find_snapshot(mix, 'mix')  # before what takes seconds to import
    from curation.answers.kinds import answer_type
    from model.rating.rate import rate_self
    from pipelines.engine.locks import in_use
    from schemas.yaml_text import parse_settings

    with in_use(snapshot):
        settings = parse_settings(set_ or [])
        rate_self(snapshot, out, folds=folds, preset=preset, steps=steps, init=init, rounds=rounds, precision=precision, settings=settings,
                  kind_of=answer_type)  # fmt: skip


@verbs.command(rich_help_panel=PANEL)
def compare(
    a: Annotated[Path, typer.Argument(help='A sealed mix snapshot, or the folder of its build.')],
    b: Annotated[Path, typer.Argument(help='Another.')],
    preset: Annotated[str, typer.Option('--train', autocompletion=presets, help='Model size and settings, see model/training/presets/.')],
    held_out: Annotated[Path, typer.Option('--held-out', help='A third mix: its questions are asked, but for those that A or B show.')],
    seeds: Annotated[int, typer.Option('--seeds', help='Models of each mix.')] = 5,
    steps: Annotated[int | None, typer.Option('--steps', show_default='6 epochs, 300 to 2000', help='Optimiser steps of each model.')] = None,
    init: Annotated[Path | None, typer.Option('--init', help='What each model starts from.')] = None,
    out: Annotated[Path | None, typer.Option('--out', callback=local, help='Keep the result of each model here; killed, it goes on.')] = None,
    set_: Sets = None,
) -> None:
    """Train on two mixes with equal steps and seeds, ask both the questions of a third, and print the paired difference with its interval.

    Example: phantom compare raw/mix curated/mix --train tiny --held-out held/mix --seeds 5
    """
    mixes = [find_snapshot(path, 'mix') for path in (a, b, held_out)]  # before what takes seconds to import
    from curation.answers.exact_match import same_answer
    from model.rating.compare import compare_mixes
    from pipelines.engine.locks import in_use
    from schemas.yaml_text import parse_settings

    with in_use(*mixes):
        settings = parse_settings(set_ or [])
        compare_mixes(*mixes, preset=preset, seeds=seeds, steps=steps, init=init, settings=settings, out=out, same=same_answer)


@verbs.command(rich_help_panel=PANEL)
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


@verbs.command(context_settings=BEAM, rich_help_panel=PANEL)
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


@verbs.command('eval', rich_help_panel=PANEL)
def evaluate(
    bench: Annotated[LayoutName, typer.Option('--bench', case_sensitive=False, help='The benchmark.')],
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

    name = bench.value
    of_server = '--model' if model else '--revision' if revision else ''
    refuse_unclear(name, checkpoint, url, max_items=max_items, samples=samples, beams=beams, of_server=of_server)
    judge = ready_judge(name, judge_url, judge_model, revision=judge_revision, key_env=judge_key_env, max_tokens=judge_max_tokens)
    make_folder(out)
    with ExitStack() as stack:
        served = stack.enter_context(serving(name, name_served(url, model, revision=revision, key_env=key_env), out)) if url else None
        write_bench(name, name, root, out / 'items.parquet')
        run(
            checkpoint, out / 'items.parquet', out, bench=name, batch_rows=batch_rows, beams=beams or 3, max_items=max_items, samples=samples,
            seed=seed, judge=judge, served=served,
        )  # fmt: skip


@verbs.command(rich_help_panel=PANEL)
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


@verbs.command('verify-model', rich_help_panel=PANEL)
def verify_model(folder: Annotated[Path, typer.Argument(help='A folder of golden tensors laid out like tests/golden/arch_0_5b.')]) -> None:
    """Compare the model with golden tensors of the released code; prints the worst difference per case, non-zero exit beyond tolerance.

    Example: phantom verify-model tests/golden/arch_0_5b
    """
    from model.exactness.verify import verify_model as verify

    raise typer.Exit(verify(folder))


for part in (beginning.verbs, making.verbs, looking.verbs, verbs, tending.verbs):  # in the order of --help
    app.registered_commands += part.registered_commands


def main() -> None:
    """Run the verb; a user's mistake is one message and its exit code, never a traceback, and so is an order to stop."""
    collect_rarely()
    begin_in_utf8()
    run_to_an_end(app, 'phantom')


if __name__ == '__main__':
    main()
