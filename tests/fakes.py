"""Stand-ins written by hand: a chat server on loopback that counts and misbehaves on command, and a backend without HTTP."""

import collections
import contextlib
import hashlib
import json
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from pipelines.chat.manners import Manners
from pipelines.chat.protocol import ALL_NEEDS, refuse_missing, unheard
from pipelines.chat.requests import wire_body
from pipelines.chat.responses import read_response
from pipelines.chat.trials import Trial
from schemas.replies import ChatRequest, Outcome

FAULTS = ('429', '500', '503', '400', '401', 'timeout', 'trickle', 'malformed', 'not_json', 'dropped', 'length', 'refused')


def group_is_empty(group: int, within_s: float = 30.0) -> bool:
    """Return whether no process of the group runs any more (a zombie does not run)."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        members = subprocess.run(['pgrep', '-g', str(group)], capture_output=True, text=True).stdout.split()
        states = [Path(f'/proc/{pid}/stat') for pid in members]
        if all(not p.exists() or p.read_text().rpartition(')')[2].split()[0] == 'Z' for p in states):
            return True
        time.sleep(0.05)
    return False


def likelihood_of(prompt: str, answer: str) -> float:
    """Return a made-up mean log-probability in [-4, 0): a function of question and answer."""
    digest = hashlib.sha256(f'{prompt}\0{answer}'.encode()).digest()
    return -4.0 * (int.from_bytes(digest[:4]) + 1) / 2**32


def completion(body: dict, *, likelihood: Callable[[str, str], float] = likelihood_of, lean: Callable[[dict], float] | None = None) -> dict:
    """Return the chat completion a server gives for `body`: a function of the body and of nothing else."""
    texts = [_text(message) for message in body['messages']]
    digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    message, logprobs, prompt_logprobs = f'reply {digest[:8]}', None, None
    if 'prompt_logprobs' in body:
        words = texts[-1].split(' ')
        words = [w if i == 0 else f' {w}' for i, w in enumerate(words)]
        each = likelihood('\n'.join(texts[:-1]), texts[-1])
        tokens = [('<start>', -1.0), ('\n', -0.5), *((w, each) for w in words)]
        prompt_logprobs = [None, *({str(i): {'logprob': p, 'rank': 1, 'decoded_token': t}} for i, (t, p) in enumerate(tokens))]
    elif options := (body.get('structured_outputs') or {}).get('choice'):
        message = options[int(digest[:8], 16) % len(options) if lean is None else int(lean(body) < 0)]
    elif (body.get('response_format') or {}).get('type') == 'json_schema':
        wanted = body['response_format']['json_schema']['schema']['properties']
        message = json.dumps({name: f'{name} {digest[:6]}' for name in wanted})
    if body.get('logprobs'):
        options = (body.get('structured_outputs') or {}).get('choice') or [message]
        top = [{'token': o, 'logprob': -0.1 if o == message else -2.5 if lean is None else -0.1 - abs(lean(body))} for o in options]
        logprobs = {'content': [{'token': message, 'logprob': -0.1, 'top_logprobs': top}]}
    return {
        'id': f'fake-{digest[:12]}', 'object': 'chat.completion', 'created': 0, 'model': body['model'],
        'choices': [{
            'index': 0, 'message': {'role': 'assistant', 'content': message}, 'finish_reason': 'stop', 'logprobs': logprobs,
        }],
        'usage': {'prompt_tokens': sum(len(t.split()) for t in texts), 'completion_tokens': len(message.split())},
        'prompt_logprobs': prompt_logprobs,
    }


def as_pieces(payload: dict) -> bytes:
    """Return a completion as a server streams it: its text in two halves, how it ended, what it cost."""
    (choice,) = payload['choices']
    shared = {**{k: v for k, v in payload.items() if k not in ('choices', 'usage')}, 'object': 'chat.completion.chunk'}
    message = choice['message']
    text = message.get('content') or ''
    deltas = [{'role': 'assistant', 'content': ''}, {'content': text[: len(text) // 2]}, {'content': text[len(text) // 2 :]}]
    deltas += [{name: value} for name, value in message.items() if name not in ('role', 'content')]
    pieces = [{**shared, 'choices': [{'index': 0, 'delta': delta, 'finish_reason': None}]} for delta in deltas]
    pieces[2]['choices'][0]['logprobs'] = choice.get('logprobs')
    pieces.append({**shared, 'choices': [{'index': 0, 'delta': {}, 'finish_reason': choice['finish_reason']}]})
    pieces.append({**shared, 'choices': [], 'usage': payload['usage']})
    return b''.join(b'data: %s\n\n' % json.dumps(piece).encode() for piece in pieces) + b'data: [DONE]\n\n'


def _text(message: dict) -> str:
    content = message['content']
    return content if isinstance(content, str) else ' '.join(part.get('text', '') for part in content)


@dataclass
class Script:
    """What goes wrong: `fault_of(body, nth time this body is seen)` returns one of FAULTS, a status with a body behind a colon, or ''."""

    fault_of: Callable[[dict, int], str] = field(default=lambda body, nth: '')
    retry_after: str = ''
    hang_s: float = 30.0
    delay_s: float = 0.0
    served: Sequence[str] = ('fake-model',)
    likelihood: Callable[[str, str], float] = likelihood_of
    key: str = ''  # when set, any other bearer key gets a 401 that quotes the key it saw
    lacks: Sequence[str] = ()  # settings this server ignores silently, as foreign servers do
    batch_status: str = 'completed'
    reply_of: Callable[[dict], str] | None = None  # the text of a plain reply
    dressed: Callable[[dict, dict], dict] | None = None  # (body asked, completion) -> what is sent in its place
    lean: Callable[[dict], float] | None = None  # nats by which the first of two choices is likelier
    streams: bool = True  # whether a reply that is asked for piece by piece comes so; bodies are counted without that wish


class FakeChatServer:
    """An OpenAI-compatible server on a free loopback port; `with FakeChatServer() as server: server.url`."""

    def __init__(self, script: Script | None = None, port: int = 0):
        self.script = script or Script()
        self.counts: collections.Counter[str] = collections.Counter()  # sha256 of a body -> times asked
        self.bodies: list[dict] = []
        self.arrivals: list[float] = []  # monotonic seconds, one per body
        self.in_flight = self.most_in_flight = 0
        self.lock = threading.Lock()
        self.connections: set[socket.socket] = set()
        self.files: dict[str, bytes] = {}
        self.batches: dict[str, dict] = {}
        self._port = port
        self._stopping = threading.Event()
        self._server: ThreadingHTTPServer | None = None

    def __enter__(self) -> 'FakeChatServer':
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Listen; after `stop` the same port again."""
        self._stopping.clear()
        self._server = _Server(('127.0.0.1', self._port), _Handler)
        self._server.fake = self
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, kwargs={'poll_interval': 0.02}, daemon=True).start()

    def stop(self) -> None:
        """Stop as a killed server does: live connections are cut, new ones refused."""
        self._stopping.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
        with self.lock:
            for connection in self.connections:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    @property
    def url(self) -> str:
        """The base URL a client uses."""
        return f'http://127.0.0.1:{self._port}/v1'

    @property
    def asked_twice(self) -> list[str]:
        """Bodies that came more than once."""
        return [body for body, count in self.counts.items() if count > 1]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128
    fake: FakeChatServer


class _Handler(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def setup(self) -> None:
        super().setup()
        with self.server.fake.lock:
            self.server.fake.connections.add(self.connection)

    def finish(self) -> None:
        with self.server.fake.lock:
            self.server.fake.connections.discard(self.connection)
        with contextlib.suppress(OSError):
            super().finish()

    def log_message(self, *_: object) -> None:
        """Keep test output quiet."""

    def do_GET(self) -> None:
        script = self.server.fake.script
        if script.key and self.headers.get('Authorization') != f'Bearer {script.key}':
            return self._send(401, {'error': {'message': f'bad key {self.headers.get("Authorization")}', 'type': 'auth'}})
        if '/batches' in self.path or '/files' in self.path:
            return self._batch_get()
        if self.path.endswith('/models'):
            return self._send(200, {'object': 'list', 'data': [{'id': m, 'object': 'model'} for m in script.served]})
        return self._send(200, {})

    def do_POST(self) -> None:
        fake = self.server.fake
        data = self.rfile.read(int(self.headers['Content-Length']))
        if '/batches' in self.path or '/files' in self.path:
            return self._batch_post(data)
        body = json.loads(data)
        self._streamed = bool(body.pop('stream', False)) and fake.script.streams
        body.pop('stream_options', None)
        with fake.lock:
            digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
            fake.counts[digest] += 1
            fake.bodies.append(body)
            fake.arrivals.append(time.monotonic())
            fake.in_flight += 1
            fake.most_in_flight = max(fake.most_in_flight, fake.in_flight)
            nth = fake.counts[digest]
        fault = fake.script.fault_of(body, nth)
        time.sleep(fake.script.delay_s)
        with fake.lock:
            fake.in_flight -= 1  # before the answer: whoever has it may send the next
        return self._answer(fake, body, fault)

    def _answer(self, fake: FakeChatServer, body: dict, fault: str) -> None:
        script = fake.script
        if script.key and self.headers.get('Authorization') != f'Bearer {script.key}':
            return self._send(401, {'error': {'message': f'bad key {self.headers.get("Authorization")}', 'type': 'auth'}})
        if fault[:3].isdigit():
            headers = {'Retry-After': script.retry_after} if script.retry_after else {}
            error = {'error': {'message': f'scripted {fault}', 'type': 'scripted'}}
            return self._send(int(fault[:3]), fault[4:].encode() if fault[3:4] == ':' else error, headers)
        if fault == 'timeout':
            fake._stopping.wait(script.hang_s)
        if fault == 'trickle':
            self._trickle(fake)
        if fault in ('timeout', 'trickle', 'dropped'):
            self.close_connection = True
            return None
        if fault == 'not_json':
            return self._send(200, b'{"choices": [{"mess')
        payload = completion({k: v for k, v in body.items() if k not in script.lacks}, likelihood=script.likelihood, lean=script.lean)
        plain = not ({'prompt_logprobs', 'structured_outputs', 'response_format'} & body.keys())
        if script.reply_of and plain:
            payload['choices'][0]['message']['content'] = script.reply_of(body)
        if fault == 'malformed':
            del payload['choices']
        if fault == 'length':
            payload['choices'][0]['finish_reason'] = 'length'
        if fault == 'refused':
            payload['choices'][0]['message'] = {'role': 'assistant', 'content': None, 'refusal': 'I cannot help with that.'}
        payload = script.dressed(body, payload) if script.dressed else payload
        return self._send(200, as_pieces(payload) if self._streamed and 'choices' in payload else payload)

    def _trickle(self, fake: FakeChatServer) -> None:
        """Send a byte every now and then, so that no single wait is long."""
        with contextlib.suppress(OSError):
            self.wfile.write(b'HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n')
            for _ in range(int(fake.script.hang_s * 20)):
                self.wfile.write(b' ')
                if fake._stopping.wait(0.05):
                    break

    def _batch_post(self, data: bytes) -> None:
        fake = self.server.fake
        if self.path.endswith('/files'):
            part = next(p for p in data.split(b'--' + (self.headers.get_boundary('') or '').encode()) if b'filename=' in p)
            number = f'file-{len(fake.files)}'
            fake.files[number] = part.partition(b'\r\n\r\n')[2].removesuffix(b'\r\n')
            return self._send(200, {'id': number, 'object': 'file', 'bytes': 0, 'created_at': 0, 'filename': 'x', 'purpose': 'batch', 'status': 'processed'})
        asked = json.loads(data)
        number = f'batch-{len(fake.batches)}'
        fake.batches[number] = {
            'id': number, 'object': 'batch', 'created_at': 0, 'completion_window': '24h', 'endpoint': asked['endpoint'],
            'input_file_id': asked['input_file_id'], 'status': 'in_progress', 'metadata': asked.get('metadata'),
        }
        return self._send(200, fake.batches[number])

    def _batch_get(self) -> None:
        fake = self.server.fake
        last = self.path.partition('?')[0].rstrip('/').split('/')[-1]
        if last == 'content':
            return self._send(200, fake.files[self.path.split('/')[-2]])
        if last == 'batches':
            return self._send(200, {'object': 'list', 'data': list(fake.batches.values()), 'has_more': False})
        batch = fake.batches[last]
        if fake.script.batch_status == 'completed' and batch['status'] != 'completed':
            lines = [json.loads(line) for line in fake.files[batch['input_file_id']].splitlines()]
            fake.files[f'out-{last}'] = b''.join(json.dumps(self._batch_line(line)).encode() + b'\n' for line in lines)
            batch['output_file_id'] = f'out-{last}'
        batch['status'] = fake.script.batch_status
        return self._send(200, batch)

    def _batch_line(self, line: dict) -> dict:
        fake = self.server.fake
        fault = fake.script.fault_of(line['body'], 1)
        with fake.lock:
            fake.bodies.append(line['body'])
        if fault.isdigit():
            return {'custom_id': line['custom_id'], 'response': {'status_code': int(fault), 'body': {'error': {'message': f'scripted {fault}'}}}}
        return {'custom_id': line['custom_id'], 'response': {'status_code': 200, 'body': completion(line['body'])}, 'error': None}

    def _send(self, status: int, payload: dict | bytes, headers: dict[str, str] | None = None) -> None:
        data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        try:
            self.send_response(status)
            self.send_header('Content-Type', 'text/event-stream' if data[:5] == b'data:' else 'application/json')
            self.send_header('Content-Length', str(len(data)))
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the client gave up first


class FakeBackend:
    """A chat backend without HTTP: replies are those of `completion`; `outcome_of` may replace any of them."""

    window = 4

    def __init__(
        self, *, capabilities: frozenset[str] = ALL_NEEDS, likelihood: Callable[[str, str], float] = likelihood_of,
        outcome_of: Callable[[ChatRequest], Outcome | None] = lambda request: None,
    ):
        self.capabilities = capabilities
        self.asked: list[str] = []
        self._likelihood = likelihood
        self._outcome_of = outcome_of

    def check(self, needs: frozenset[str] = frozenset(), trials: Sequence[Trial] = ()) -> Manners:
        """Refuse what was not given as a capability."""
        refuse_missing(needs, self.capabilities, where='fake backend')
        return Manners()

    def complete(self, requests: Iterable[ChatRequest], hear: Callable[[Outcome], bool] = unheard) -> Iterator[Outcome]:
        """Yield one outcome per request, in order."""
        for request in requests:
            self.asked.append(request.key)
            payload = completion(wire_body(request, request.model), likelihood=self._likelihood)
            outcome = self._outcome_of(request) or read_response(request, payload)
            hear(outcome)
            yield outcome

    def close(self) -> None:
        """Nothing to release."""
