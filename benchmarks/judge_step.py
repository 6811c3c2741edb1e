"""The judge step (requests, backend, store with fsync, ledger, scores) against the same prompts sent straight to the engine.

Run: python benchmarks/judge_step.py [--cases 60] [--rounds 3]. Starts the demo server, alternates both sides, prints the ratio of the
medians. "Straight" is a semaphore around plain HTTP posts by aiohttp: no retries, no store, nothing read but the bytes.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from pathlib import Path

import aiohttp

from curation.verdicts.judging import score_outcomes
from pipelines.chat.ask import ask
from pipelines.chat.asking import judge_requests
from pipelines.chat.openai_backend import OpenAIBackend
from pipelines.chat.requests import wire_body
from pipelines.demo.server import MODEL, REVISION, demo_server
from pipelines.replies.ledger import Ledger
from pipelines.replies.store import ReplyStore
from schemas.recipe import Budget, Model
from schemas.records import Turn
from schemas.replies import ChatRequest

CONCURRENCY = 32


def cases(count: int, salt: str) -> list[tuple[list[Turn], str, str]]:
    """Return distinct questions of about 60 tokens with a right and a wrong answer."""
    made = []
    for n in range(count):
        question = f'{salt}: a shop sells {n + 3} boxes of {n + 5} pens each and gives away {n % 7} pens. How many pens does it sell in all?'
        made.append(([Turn('user', question)], f'It sells {(n + 3) * (n + 5) - n % 7} pens.', f'It sells {(n + 3) * (n + 5) + 11} pens.'))
    return made


def requests_of(model: Model, todo: list[tuple[list[Turn], str, str]]) -> list[ChatRequest]:
    """Return the likelihood requests of all cases."""
    return [r for turns, a, b in todo for r in judge_requests('likelihood', model, turns, chosen=a, candidate=b)]


def straight(url: str, bodies: list[dict]) -> float:
    async def run() -> None:
        gate = asyncio.Semaphore(CONCURRENCY)
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=CONCURRENCY)) as session:
            async def post(body: dict) -> None:
                async with gate, session.post(f'{url}/chat/completions', data=json.dumps(body), headers={'content-type': 'application/json'}) as r:
                    assert r.status == 200
                    await r.read()

            await asyncio.gather(*map(post, bodies))

    started = time.perf_counter()
    asyncio.run(run())
    return time.perf_counter() - started


def judged(model: Model, folder: Path, todo: list[tuple[list[Turn], str, str]]) -> float:
    backend, store, ledger = OpenAIBackend(model), ReplyStore(folder / 'replies'), Ledger(folder / 'ledger', Budget(), [model])
    started = time.perf_counter()
    asked = [judge_requests('likelihood', model, turns, chosen=a, candidate=b) for turns, a, b in todo]
    outcomes = ask([r for pair in asked for r in pair], store=store, backend=backend, ledger=ledger, source='bench')
    for pair, (_, a, b) in zip(asked, todo, strict=True):
        assert score_outcomes('likelihood', [outcomes[r.key] for r in pair], chosen=a, candidate=b).score is not None
    seconds = time.perf_counter() - started
    backend.close()
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--cases', type=int, default=60)
    parser.add_argument('--rounds', type=int, default=3)
    options = parser.parse_args()
    with demo_server(port=0) as server, tempfile.TemporaryDirectory() as folder:
        model = Model(base_urls=[server.url], model=MODEL, revision=REVISION, concurrency=CONCURRENCY)
        straight(server.url, [wire_body(r, MODEL) for r in requests_of(model, cases(20, 'warm-up'))])
        ours, theirs = [], []
        for n in range(options.rounds):
            todo = cases(options.cases, f'Round {n} a')
            bodies = [wire_body(r, MODEL) for r in requests_of(model, cases(options.cases, f'Round {n} b'))]
            theirs.append(straight(server.url, bodies))
            ours.append(judged(model, Path(folder), todo))
            rates = [2 * options.cases / seconds for seconds in (theirs[-1], ours[-1])]
            print(f'round {n}: straight {rates[0]:.1f} requests/s, judge step {rates[1]:.1f} requests/s', flush=True)
        print(f'judge step / straight: {statistics.median(ours) / statistics.median(theirs):.3f} (asked: at most 1.05)')


if __name__ == '__main__':
    main()
