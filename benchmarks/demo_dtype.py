"""Which dtype and how many requests at once suit the demo's server on this processor: tokens written, answers judged, the slowest call.

Run: python -m benchmarks.demo_dtype [--dtypes float32 bfloat16] [--at-once 8 16 32] [--rounds 3]. One server per dtype, all up together, asked in
turns in one run; medians. Each rate is given by the clock and by the processor time of the server, which other work on the machine touches less.
With ONEDNN_MAX_CPU_ISA=AVX2 in the environment the matrix library takes this processor for an older one.
"""

import argparse
import contextlib
import itertools
import os
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import openai

from pipelines.demo.server import MODEL, DemoServer, demo_server

TOKENS = 64  # of a generated reply, as recipes/demo.yaml asks for
LIKELIHOOD = {'max_tokens': 1, 'extra_body': {'prompt_logprobs': 0}}
TASKS = {'generate': {'max_tokens': TOKENS, 'extra_body': {'ignore_eos': True}}, 'likelihood': LIKELIHOOD}
_numbers = itertools.count()


def question() -> str:
    """Return a question of about 120 tokens that shares no beginning with any other, so that no cache answers it."""
    n = next(_numbers)
    parts = ' '.join(f'Box {n + k} holds {3 * n + k} pens and {k + 2} rulers.' for k in range(6))
    return f'{n}: {parts} How many pens are in the first and the last of them together, and who counts them?'


def processor_s(group: int) -> float:
    """Return the processor time that the processes of a group have had."""
    ticks = 0
    for path in Path('/proc').glob('[0-9]*/stat'):
        with contextlib.suppress(OSError):
            fields = path.read_text().rpartition(')')[2].split()
            ticks += int(fields[11]) + int(fields[12]) if int(fields[2]) == group else 0
    return ticks / os.sysconf('SC_CLK_TCK')


def measure(server: DemoServer, task: str, at_once: int, calls: int) -> tuple[float, float, float]:
    """Return calls a second, calls a second of processor time, and the seconds of the slowest call."""
    client = openai.OpenAI(base_url=server.url, api_key='none', max_retries=0, timeout=600)

    def call(text: str) -> float:
        started = time.perf_counter()
        client.chat.completions.create(model=MODEL, temperature=0, messages=[{'role': 'user', 'content': text}], **TASKS[task])
        return time.perf_counter() - started

    started, before = time.perf_counter(), processor_s(server.pid)
    with ThreadPoolExecutor(at_once) as pool:
        took = list(pool.map(call, [question() for _ in range(calls)]))
    return calls / (time.perf_counter() - started), calls / (processor_s(server.pid) - before), max(took)


def say(at_once: int, task: str, dtype: str, rate: float, processor_rate: float, slowest_s: float) -> str:
    """Return one line; what is generated counts in tokens, what is judged in calls."""
    unit, each = ('tokens', TOKENS) if task == 'generate' else ('calls', 1)
    rates = f'{rate * each:.1f} {unit}/s, {processor_rate * each:.1f} a processor second'
    return f'{at_once:3} at once, {task}, {dtype}: {rates}, slowest call {slowest_s:.1f} s'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--dtypes', nargs='+', default=['float32', 'bfloat16'])
    parser.add_argument('--at-once', nargs='+', type=int, default=[8, 16, 32])
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--calls', type=int, default=32)
    args = parser.parse_args()
    with contextlib.ExitStack() as stack:
        servers = {dtype: stack.enter_context(demo_server(port=0, dtype=dtype)) for dtype in args.dtypes}
        found: dict[tuple, list[tuple[float, ...]]] = {side: [] for side in itertools.product(args.at_once, TASKS, servers)}
        for server in servers.values():
            measure(server, 'likelihood', 4, 4)  # the first calls pay for what is made once
        for _ in range(args.rounds):
            for (at_once, task, dtype), runs in found.items():
                runs.append(measure(servers[dtype], task, at_once, args.calls))
                print(say(at_once, task, dtype, *runs[-1]), flush=True)
        print(f'medians of {args.rounds}')
        for side, runs in found.items():
            print(say(*side, *map(statistics.median, zip(*runs, strict=True))))


if __name__ == '__main__':
    main()
