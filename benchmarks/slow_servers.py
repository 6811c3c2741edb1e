"""How much of a server's throughput `complete` uses from the default settings, and how many posts that takes.

Servers of 1, 10 and 100 requests a second, in another process, in these manners: a queue of slots, each of which works for a second; one slot that
works as fast as all; a limit of so many in any second beyond which HTTP 429 is answered, with and without Retry-After.
"""

import argparse
import asyncio
import json
import math
import multiprocessing
import os
import time
from collections import deque
from multiprocessing.connection import Connection

from pipelines.chat.openai_backend import OpenAIBackend
from pipelines.chat.requests import greedy, make_request
from schemas.recipe import Model
from schemas.replies import Failure

RATES = (1, 10, 100)
MANNERS = ('slots', 'serial', 'limit', 'limit, Retry-After')
LATENCY_S = 1.0  # of one call to slots or behind a limit
REPLY = {
    'id': 'x', 'object': 'chat.completion', 'created': 0, 'model': 'slow', 'usage': {'prompt_tokens': 3, 'completion_tokens': 2},
    'choices': [{'index': 0, 'message': {'role': 'assistant', 'content': 'a reply'}, 'finish_reason': 'stop'}],
}


class Server:
    """Answers posts in one manner and counts them."""

    def __init__(self, manner: str, rate: int):
        self.manner, self.rate, self.posts = manner, rate, 0
        self._slots = asyncio.Semaphore(rate if manner == 'slots' else 1)
        self._taken: deque[float] = deque()

    async def answer(self) -> tuple[int, dict[str, str]]:
        """Work on one post; return its status and headers."""
        self.posts += 1
        if self.manner in ('slots', 'serial'):
            async with self._slots:
                await asyncio.sleep(LATENCY_S if self.manner == 'slots' else 1 / self.rate)
            return 200, {}
        now = time.monotonic()
        while self._taken and self._taken[0] <= now - 1:
            self._taken.popleft()
        if len(self._taken) >= self.rate:
            wait_s = math.ceil(self._taken[0] + 1 - now)
            return 429, {'Retry-After': str(wait_s)} if self.manner.endswith('After') else {}
        self._taken.append(now)
        await asyncio.sleep(LATENCY_S)
        return 200, {}

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        try:
            while head := await reader.readuntil(b'\r\n\r\n'):
                await reader.readexactly(int(head.lower().partition(b'content-length:')[2].split(b'\r\n')[0]))
                status, headers = await self.answer()
                data = json.dumps(REPLY if status == 200 else {'error': {'message': 'Rate limit reached'}}).encode()
                headers |= {'Content-Type': 'application/json', 'Content-Length': str(len(data))}
                lines = ''.join(f'{name}: {value}\r\n' for name, value in headers.items())
                writer.write(f'HTTP/1.1 {status} .\r\n{lines}\r\n'.encode() + data)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


def serve(manner: str, rate: int, told: Connection) -> None:
    """Serve until something is received; tell the port first, the number of posts at last."""

    async def run() -> None:
        server = Server(manner, rate)
        listening = await asyncio.start_server(server.talk, '127.0.0.1', 0, backlog=1024)
        told.send(listening.sockets[0].getsockname()[1])
        await asyncio.to_thread(told.recv)
        told.send(server.posts)
        os._exit(0)  # connections are still open: they are nobody's concern

    asyncio.run(run())


def measure(manner: str, rate: int, seconds: int) -> str:
    """Return one line of the table: what asking for about `seconds` came to."""
    mine, its = multiprocessing.Pipe()
    process = multiprocessing.get_context('spawn').Process(target=serve, args=(manner, rate, its), daemon=True)
    process.start()
    backend = OpenAIBackend(Model(model='slow', revision='r', base_urls=[f'http://127.0.0.1:{mine.recv()}/v1']))
    messages = [[{'role': 'user', 'content': f'question {n}'}] for n in range(rate * seconds)]
    asked = [make_request(message, model='slow', revision='r', settings=greedy(16)) for message in messages]
    begun, cpu = time.monotonic(), time.process_time()
    outcomes = list(backend.complete(asked))
    took, cpu = time.monotonic() - begun, time.process_time() - cpu
    mine.send('stop')
    posts = mine.recv()
    backend.close()
    process.join()
    failed = sum(isinstance(outcome, Failure) for outcome in outcomes)
    share = len(outcomes) / took / rate
    figures = f'{took:>6.1f} s {share:>6.3f} {failed:>6} failed {posts:>6} posts {1000 * cpu / len(asked):>6.2f} ms'
    return f'{rate:>4}/s {manner:<19} {len(asked):>6} calls {figures}'


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--seconds', type=int, default=60, help='of work at the full rate, for each server (default: %(default)s)')
    parser.add_argument('--rates', type=int, nargs='+', default=RATES, help='requests a second (default: 1 10 100)')
    options = parser.parse_args()
    print(f'{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; share of the throughput, processor time of the client for each call')
    for rate in options.rates:
        for manner in MANNERS:
            print(measure(manner, rate, options.seconds), flush=True)


if __name__ == '__main__':
    main()
