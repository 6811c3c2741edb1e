"""Two checkouts build the same text in turns: `python -m benchmarks.text_build --before DIR --after DIR [-n 10000 --rounds 5]`.

Chats as JSON lines, instructions as one JSON list, a benchmark some of whose questions stand in them; once `--mix-only`, once with triples by
rule. Each stage and the whole process by processor time (user and system; other work on the machine counts less there than on the clock),
medians of the rounds. Both checkouts run on this interpreter. Wanted: at most 1.15.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import psutil
import yaml

from benchmarks.synthetic import WORDS, sentence

MIX, TRIPLES = 'mix only', 'mix and triples by rule'
WHOLE, CLOCK = 'whole process', 'on the clock'
Seconds = dict[str, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--before', type=Path, required=True)
    parser.add_argument('--after', type=Path, required=True)
    parser.add_argument('-n', type=int, default=10_000, help='chats; half as many instructions')
    parser.add_argument('--rounds', type=int, default=5)
    args = parser.parse_args()
    trees = {'before': args.before.resolve(), 'after': args.after.resolve()}
    with tempfile.TemporaryDirectory() as folder:
        recipe = write_source(Path(folder), args.n)
        for what, options in ((MIX, ['--mix-only']), (TRIPLES, [])):
            rounds = [{name: build(tree, recipe, options) for name, tree in trees.items()} for _ in range(args.rounds)]
            show(f'{what}, {args.n} chats and {args.n // 2} instructions, {args.rounds} rounds', rounds)


def write_source(root: Path, n: int) -> Path:
    """Write both sources, the benchmark and their recipe below `root`; return the recipe."""
    with open(root / 'chats.jsonl', 'w', encoding='utf-8') as handle:
        for number in range(n):
            exchanges = [exchange(number * 5 + turn) for turn in range(1 + number % 4)]
            messages = [{'role': role, 'content': text} for pair in exchanges for role, text in zip(('user', 'assistant'), pair, strict=True)]
            handle.write(json.dumps({'messages': messages}) + '\n')
    instructions = [dict(zip(('instruction', 'output'), exchange(number), strict=True)) for number in range(5 * n, 5 * n + n // 2)]
    (root / 'instructions.json').write_text(json.dumps(instructions), encoding='utf-8')
    (root / 'bench').mkdir()
    items = [(number, *exchange(number)) for number in range(3, 5 * n, 100)]
    lines = [json.dumps({'id': str(number), 'question': question, 'answer': answer}) + '\n' for number, question, answer in items]
    (root / 'bench/items.jsonl').write_text(''.join(lines), encoding='utf-8')
    common = {'licence': 'MIT', 'answers': 'exact'}
    sources = {'chats': {'format': 'messages', 'annotations': ['chats.jsonl'], **common},
               'instructions': {'format': 'instruction', 'annotations': ['instructions.json'], **common}}
    recipe = {'name': 'text', 'root': str(root), 'sources': sources, 'generate': [{'prompt': 'rules'}],
              'contamination': {'action': 'drop', 'benchmarks': [{'name': 'bench', 'path': 'bench'}]}}
    (root / 'text.yaml').write_text(yaml.safe_dump(recipe), encoding='utf-8')
    return root / 'text.yaml'


def exchange(number: int) -> tuple[str, str]:
    """Return a question that names `number`, and its answer: short of five kinds, or up to 120 words of prose with numbers and colours."""
    about, colour = sentence(number, 5 + number % 7), ('red', 'blue', 'green', 'black')[number % 4]
    short = [
        (f'Is the {colour} door left of the {about}?', ('Yes', 'No')[number // 9 % 2]),
        (f'How many boats are {colour} beside the {about}?', str(number // 9 % 14)),
        (f'What colour has the door at the left of {about}?', colour),
        (f'Which of these fits the {about}?\nA. boat\nB. the {colour} one\nC. none', 'ABC'[number // 9 % 3]),
        (f'What is the value of {about} in 1999?', f'{number * 37 % 90_000 + 1000:,}'),
    ]
    if number % 9 < len(short):
        return short[number % 9]
    lines = [f'The {colour} {WORDS[number % 14]} is {k} metres from the {sentence(number * 7 + k, 4 + k)}.' for k in range(2, 3 + number % 8)]
    return f'Describe the {about} in detail.', ' '.join(lines)


def build(tree: Path, recipe: Path, options: list[str]) -> Seconds:
    """Return the seconds of one build by a checkout: of each stage and of the whole process, and those on the clock."""
    env = {**os.environ, 'PYTHONPATH': str(tree), 'OMP_NUM_THREADS': '1'}
    seconds: Seconds = defaultdict(float)
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, '-m', 'phantom', 'build', str(recipe), '--out', out, *options]
        start, before = time.perf_counter(), _spent_by_children()
        with subprocess.Popen(command, cwd=tree, env=env, text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as running:
            for stage, spent in _stages(running):
                seconds[stage] += spent
        assert running.returncode == 0, f'{tree}: exit code {running.returncode}; run {" ".join(command)} there'
    return seconds | {WHOLE: _spent_by_children() - before, CLOCK: time.perf_counter() - start}


def _stages(running: subprocess.Popen) -> Iterator[tuple[str, float]]:
    """Yield name and processor seconds of each stage, by the lines that tell that it is done; what lies between two belongs to the later."""
    process, before, name = psutil.Process(running.pid), 0.0, ''
    for line in running.stderr or ():
        name, done, _ = line.partition(': done in ')
        if done:
            spent = sum(process.cpu_times()[:2])
            yield name, spent - before
            before = spent


def _spent_by_children() -> float:
    times = os.times()
    return times.children_user + times.children_system


def show(title: str, rounds: list[dict[str, Seconds]]) -> None:
    """Print the medians of a number of rounds, stage by stage, and their ratio; for the whole process the ratio of each round as well."""
    print(f'\n{title}\n{"":24}{"before":>9}{"after":>9}{"ratio":>8}')
    for stage in rounds[0]['after']:
        before, after = (statistics.median(of[side].get(stage, 0.0) for of in rounds) for side in ('before', 'after'))
        ratio = f'{after / before:8.2f}' if before >= 0.2 or after >= 0.2 else f'{"-":>8}'
        print(f'{stage:24}{before:8.2f}s{after:8.2f}s{ratio}', flush=True)
    print(f'{"round by round":24}', *(f'{of["after"][WHOLE] / of["before"][WHOLE]:.2f}' for of in rounds), flush=True)


if __name__ == '__main__':
    main()
