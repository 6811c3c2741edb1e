"""What a shared prefix gains in yes_no judging: all candidates of a long question in a row, against requests that share nothing.

Run: python -m benchmarks.prefix_reuse [--samples 4] [--candidates 4] [--rounds 3]. One demo server (vLLM with prefix caching, as it ships); both
sides alternate in one run and every round asks new questions. The gain grows with the candidates to a question and with its length.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from pipelines.chat.ask import ask
from pipelines.chat.asking import judge_requests
from pipelines.chat.openai_backend import OpenAIBackend
from pipelines.demo.server import MODEL, REVISION, demo_server
from pipelines.replies.ledger import Ledger
from pipelines.replies.store import ReplyStore
from schemas.recipe import Budget, Model
from schemas.records import Turn
from schemas.replies import ChatRequest

WORDS = 620  # of a question: about 900 tokens of SmolLM2's


def requests_of(model: Model, samples: int, candidates: int, *, salt: str, shared: bool) -> list[ChatRequest]:
    """Return yes_no requests; with `shared` the candidates of a sample follow its one long question, else each has a question of its own."""
    made = []
    for sample in range(samples):
        for candidate in range(candidates):
            own = f'{salt}-{sample}' if shared else f'{salt}-{sample}-{candidate}'
            text = ' '.join(f'{own}:{word * 7919 % 1000}' if word % 60 == 0 else f'item {word % 97}' for word in range(WORDS // 2))
            made += judge_requests('yes_no', model, [Turn('user', text)], chosen=f'answer {candidate}', candidate=f'other {candidate}')
    return made


def seconds(requests: list[ChatRequest], model: Model) -> float:
    """Return how long the judge step takes for these requests."""
    with tempfile.TemporaryDirectory() as folder:
        store, backend = ReplyStore(Path(folder) / 'replies'), OpenAIBackend(model)
        started = time.perf_counter()
        found = ask(requests, store=store, backend=backend, ledger=Ledger(Path(folder) / 'ledger', Budget(), [model]), source='s')
        took = time.perf_counter() - started
        backend.close()
        store.close()
    assert len(found) == len({request.key for request in requests})
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--samples', type=int, default=8)
    parser.add_argument('--candidates', type=int, default=4)
    parser.add_argument('--rounds', type=int, default=3)
    args = parser.parse_args()
    with demo_server(port=0) as server:
        model = Model(base_urls=[server.url], model=MODEL, revision=REVISION, concurrency=16)
        seconds(requests_of(model, 1, 2, salt='warm', shared=True), model)
        ratios = []
        for number in range(args.rounds):
            together = seconds(requests_of(model, args.samples, args.candidates, salt=f'a{number}', shared=True), model)
            apart = seconds(requests_of(model, args.samples, args.candidates, salt=f'b{number}', shared=False), model)
            ratios.append(apart / together)
            n = 2 * args.samples * args.candidates
            rates = f'shared question {n / together:.1f} requests/s, own questions {n / apart:.1f} requests/s'
            print(f'round {number}: {rates}, gain {apart / together:.2f}')
        print(f'gain of reuse: {statistics.median(ratios):.2f} (median of {len(ratios)})')


if __name__ == '__main__':
    main()
