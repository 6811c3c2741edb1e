"""The whole product in one loop: a model's own mistakes become the wrong answers that it learns from next.

    python -m benchmarks.own_mistakes --out DIR [--rows 1600] [--steps 150] [--more 60] [--seeds 1]

Questions for a colour about easy-vqa's pictures: `phantom build` makes triples by rule, `phantom train` a start from the right answers;
`phantom serve` serves it and `phantom build` asks it each question at temperature 1 (`generate: {prompt: mistakes}`): what is wrong by the source's
`answers: exact` is a triple. From the start go three trainings of equal steps: SFT, SFT + PO on the rules' wrong answers, SFT + PO on its own. Right
is the greedy answer that equals the true one, letter by letter, on pictures of the test split. Every step is the command that a user types.
"""

import argparse
import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import socket

import torch
import yaml

from benchmarks.lab import BATCH, colour_rows, model_section, replies
from model.phantom.build import load_model
from model.training.checkpoint import find_checkpoint
from schemas.snapshot import open_snapshot

NAME = 'mine'  # of the served start in the recipe
# Step of the paper (2: SFT alone) and the build whose triples are learnt from.
ARMS = {'SFT': (2, 'rules'), 'SFT + PO, by rule': (1, 'rules'), 'SFT + PO, own mistakes': (1, 'own')}


def run(*words: object) -> None:
    """A command of the front door; its own words go to this terminal."""
    subprocess.run([sys.executable, '-P', '-m', 'phantom', *map(str, words)], check=True)


def fit(build: Path, out: Path, preset: Path, steps: int, start: Path | None = None, **settings: object) -> None:
    """A training on the triples of a build, from a start's weights or random ones."""
    begun = ['--init', start] if start else []
    given = [word for name, value in settings.items() for word in ('--set', f'{name}={value}')]
    run('train', '--snapshot', build / 'triples', '--preset', preset, '--max-steps', steps, '--out', out, *begun, *given)


def write_source(root: Path, count: int) -> None:
    """Questions for a colour about pictures of easy-vqa's training split, as a LLaVA file beside its pictures."""
    (root / 'images').mkdir(parents=True)
    records = []
    for index, row in enumerate(colour_rows('train', count)):
        name = f'images/{Path(row.picture).name}'
        (root / name).write_bytes(Path(row.picture).read_bytes())
        turns = [{'from': 'human', 'value': f'<image>\n{row.question}'}, {'from': 'gpt', 'value': row.chosen}]
        records.append({'id': str(index), 'image': name, 'conversations': turns})
    (root / 'colours.json').write_text(json.dumps(records), encoding='utf-8')


def write_recipe(path: Path, root: Path, generators: list[dict], url: str = '') -> None:
    """A recipe of that source; a wrong answer is wrong by program, so no model judges."""
    source = {'format': 'llava', 'annotations': ['colours.json'], 'images': ['.'], 'answers': 'exact', 'licence': 'MIT', 'revision': 'easy-vqa 1.0'}
    recipe = {'name': 'own-mistakes', 'root': str(root), 'sources': {'colours': source}, 'generate': generators}
    if url:
        recipe['models'] = {NAME: {'base_urls': [url], 'model': NAME, 'revision': 'start', 'images': True, 'concurrency': 16}}
    path.write_text(yaml.safe_dump(recipe, sort_keys=False), encoding='utf-8')


def write_preset(path: Path) -> None:
    """The laboratory's model (lab.py) as a preset."""
    settings = {'trainable': ['all'], 'batch_rows': BATCH, 'micro_batch_rows': BATCH, 'precision': 'fp32'}
    path.write_text(yaml.safe_dump({'model': model_section(), 'train': settings}), encoding='utf-8')


@contextmanager
def served(checkpoint: Path, log: Path) -> Iterator[str]:
    """The address under which `phantom serve` answers for a checkpoint."""
    with socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    words = [sys.executable, '-P', '-m', 'phantom', 'serve', str(checkpoint), '--port', str(port), '--name', NAME]
    with open(log, 'wb') as told, subprocess.Popen(words, stdout=told, stderr=told) as server:
        try:
            while not answers(port):
                if server.poll() is not None:
                    raise SystemExit(f'phantom serve ended; its words are in {log}')
                time.sleep(1)
            yield f'http://127.0.0.1:{port}/v1'
        finally:
            server.terminate()


def answers(port: int) -> bool:
    """Whether a server lists its models there."""
    try:
        with urllib.request.urlopen(f'http://127.0.0.1:{port}/v1/models', timeout=5) as reply:
            return reply.status == 200
    except (urllib.error.URLError, OSError):
        return False


def right(checkpoint: Path, questions: int) -> float:
    """Per cent of held-out questions that a run's newest checkpoint answers right."""
    rows = colour_rows('test', questions)
    model, processor = load_model(find_checkpoint(checkpoint))
    return 100 * sum(reply == row.chosen for reply, row in zip(replies(model, processor, rows), rows, strict=True)) / len(rows)


def main() -> None:
    """Prints how many of the start's answers were wrong, then each arm's right answers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--out', type=Path, required=True)
    parser.add_argument('--rows', type=int, default=1600)
    parser.add_argument('--steps', type=int, default=150, help='of the start')
    parser.add_argument('--more', type=int, default=60, help='of each training from the start')
    parser.add_argument('--seeds', type=int, default=1)
    parser.add_argument('--questions', type=int, default=600, help='held out')
    options = parser.parse_args()
    torch.set_num_threads(1)
    out: Path = options.out
    root, preset = out / 'data', out / 'preset.yaml'
    if not (root / 'colours.json').is_file():
        write_source(root, options.rows)
    write_preset(preset)
    write_recipe(out / 'rules.yaml', root, [{'prompt': 'rules'}])
    run('build', out / 'rules.yaml', '--out', out / 'rules')
    paper = {'po_weight': 1.0, 'po_start': 0.0}
    for seed in range(options.seeds):
        start, own = out / f'start{seed}', out / f'own{seed}'
        fit(out / 'rules', start, preset, options.steps, seed=seed, stage=2, learning_rate=1e-3, final_learning_rate=1e-4)
        if not (own / 'triples/manifest.json').is_file():
            with served(start, out / f'serve{seed}.log') as url:
                asked = {'prompt': 'mistakes', 'model': NAME, 'temperature': 1.0, 'per_sample': 4, 'max_tokens': 16}
                write_recipe(out / f'own{seed}.yaml', root, [asked], url)
                run('build', out / f'own{seed}.yaml', '--out', own)
        counts = f'{triples_of(own)} own mistakes, {triples_of(out / "rules")} by rule'
        print(f'seed {seed}: the start {right(start, options.questions):.1f} % right; {counts}', flush=True)
        for arm, (stage, built) in ARMS.items():
            folder, triples = out / f'{arm.replace(" ", "-").replace(",", "")}-{seed}', own if built == 'own' else out / built
            fit(triples, folder, preset, options.more, start, seed=seed, stage=stage, learning_rate=3e-4, final_learning_rate=1e-4, **paper)
            print(f'seed {seed}, {arm}: {right(folder, options.questions):.1f} % right', flush=True)


def triples_of(out: Path) -> int:
    """How many triples a build wrote."""
    return sum(shard['rows'] for shard in open_snapshot(out / 'triples', 'triples').listed('train'))


if __name__ == '__main__':
    main()
