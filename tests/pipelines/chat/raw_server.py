"""A server that writes what it is told, byte by byte if need be: `Raw(answer)`, where `answer(body, nth post)` says what."""

import contextlib
import json
import threading
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Raw:
    """Answers each post by `answer`: (status, body) with a body as JSON or bytes, or an iterable of what is written: bytes, or seconds of silence.

    An iterable that ends by None cuts the connection.
    """

    def __init__(self, answer: Callable[[dict, int], Any]):
        self.answer = answer
        self.bodies: list[dict] = []
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(('127.0.0.1', 0), type('Handler', (_Handler,), {'raw': self}))
        self._server.daemon_threads = True
        self.stopping = threading.Event()

    @property
    def url(self) -> str:
        """The base URL a client uses."""
        return f'http://127.0.0.1:{self._server.server_address[1]}/v1'

    @property
    def posts(self) -> int:
        """How many requests came."""
        return len(self.bodies)

    def __enter__(self) -> 'Raw':
        threading.Thread(target=self._server.serve_forever, kwargs={'poll_interval': 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()

    def count(self, body: dict) -> int:
        """Note a post and return which it is."""
        with self._lock:
            self.bodies.append(body)
            return len(self.bodies)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    raw: Raw

    def log_message(self, *_: object) -> None:
        """Keep test output quiet."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers['Content-Length'])))
        answer = self.raw.answer(body, self.raw.count(body))
        with contextlib.suppress(OSError):
            if isinstance(answer, tuple):
                self._whole(*answer)
            else:
                self._piecewise(answer)

    def _whole(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {'Content-Type': 'application/json', 'Content-Length': str(len(data)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def _piecewise(self, parts: Iterable[bytes | float | None]) -> None:
        self.send_response(200)
        self.send_header('Content-Type', 'text/event-stream')
        self.send_header('Transfer-Encoding', 'chunked')
        self.end_headers()
        for part in parts:
            if part is None:
                self.close_connection = True
                return
            if isinstance(part, bytes):
                self.wfile.write(b'%x\r\n%s\r\n' % (len(part), part))
                self.wfile.flush()
            elif self.raw.stopping.wait(part):
                self.close_connection = True
                return
        self.wfile.write(b'0\r\n\r\n')


def piece(content: str | None = None, *, finish: str | None = None, usage: dict | None = None, **delta: Any) -> bytes:
    """Return one piece as vLLM and OpenAI send it."""
    if content is not None:
        delta['content'] = content
    choices = [] if usage else [{'index': 0, 'delta': delta, 'finish_reason': finish}]
    shared = {'id': 'x', 'object': 'chat.completion.chunk', 'created': 1, 'model': 'fake-model', 'choices': choices}
    return b'data: %s\n\n' % json.dumps({**shared, **({'usage': usage} if usage else {})}).encode()


DONE = b'data: [DONE]\n\n'
USAGE = {'prompt_tokens': 5, 'completion_tokens': 2}


