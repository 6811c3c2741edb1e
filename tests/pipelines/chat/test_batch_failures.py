"""What becomes of batches that went wrong: a file that was not taken, lines that were not run, lines that say what is wrong."""

import json

import pytest

from pipelines.chat.ask import ask
from pipelines.chat.batch_files import output_path, read_output
from pipelines.chat.breaker import Breaker
from pipelines.chat.openai_batch import OpenAIBatch
from pipelines.chat.requests import greedy, make_request
from pipelines.replies.ledger import Ledger, cost_nothing
from pipelines.replies.store import ReplyStore
from schemas.recipe import Budget, Model
from schemas.replies import ChatRequest, Failure, Reply
from tests.fakes import FakeChatServer, Script, _Handler, completion


def requests(count: int) -> list[ChatRequest]:
    return [make_request([{'role': 'user', 'content': f'question {n}'}], model='fake-model', revision='r1', settings=greedy(8)) for n in range(count)]


def line(request: ChatRequest, **answer: object) -> bytes:
    return json.dumps({'custom_id': request.key, **answer}).encode() + b'\n'


def whole(request: ChatRequest) -> dict:
    return {'response': {'status_code': 200, 'body': completion({**json.loads(request.body), 'model': 'm'})}, 'error': None}


LONG = {'error': {'message': "This model's maximum context length is 64 tokens", 'code': 'context_length_exceeded'}}
PENDING = [
    ({'response': None, 'error': {'code': 'batch_expired', 'message': 'This request could not be executed before the window expired.'}}, 'awaited', 0),
    ({'response': None, 'error': {'code': 'batch_cancelled', 'message': 'cancelled'}}, 'awaited', 0),
    ({'response': None, 'error': {'code': 'billing', 'message': 'Your credit balance is too low'}}, 'transport', 0),
    ({'response': {'status_code': 500, 'body': {'error': {'message': 'oops'}}}}, 'transport', 500),
    ({'response': {'status_code': 429, 'body': None}}, 'transport', 429),
    ({'response': {'status_code': 400, 'body': {'error': {'message': 'Budget has been exceeded'}}}}, 'transport', 400),
    ({'response': {'status_code': 402, 'body': 'no'}}, 'transport', 402),
    ({'response': {'status_code': 200, 'body': None}}, 'transport', 200),
    ({'response': {'status_code': 200, 'body': None}, 'error': {'message': 'server_error'}}, 'transport', 200),
    ({'response': {'status_code': '500', 'body': {}}}, 'transport', 0),
    ({'response': 'odd'}, 'transport', 0),
    ({}, 'transport', 0),
]
FINAL = [
    ({'response': {'status_code': 400, 'body': LONG}}, 'too_long'),
    ({'response': None, 'error': LONG['error']}, 'too_long'),
    ({'response': {'status_code': 400, 'body': {'error': {'code': 'content_filter'}}}}, 'refused'),
]


@pytest.mark.parametrize(('answer', 'kind', 'status'), PENDING)
def test_a_line_that_does_not_prove_a_fault_of_its_request_is_pending(tmp_path, answer, kind, status):
    (request,) = requests(1)
    (tmp_path / 'out').write_bytes(line(request, **answer))
    (found,) = read_output(tmp_path / 'out', {request.key: request})
    assert (found.kind, found.retryable, found.status) == (kind, True, status)


@pytest.mark.parametrize(('answer', 'kind'), FINAL)
def test_a_line_that_proves_one_is_final(tmp_path, answer, kind):
    (request,) = requests(1)
    (tmp_path / 'out').write_bytes(line(request, **answer))
    (found,) = read_output(tmp_path / 'out', {request.key: request})
    assert (found.kind, found.retryable) == (kind, False)


def test_lines_of_others_and_lines_that_are_none_answer_nothing(tmp_path):
    one, other = requests(2)
    foreign = [b'\n', b'null\n', b'[1]\n', b'"x"\n', b'{"custom_id": ["x"]}\n', b'{"custom_id": "foreign"}\n', b'\xff\xfe\n', b'{"custom_id": "tor']
    (tmp_path / 'out').write_bytes(line(other, **whole(other)) + b''.join(foreign[:-1]) + line(one, **whole(one)) + foreign[-1])
    found = list(read_output(tmp_path / 'out', {one.key: one}))
    assert [type(o) for o in found] == [Reply]


@pytest.fixture
def batch(tmp_path, monkeypatch):
    monkeypatch.delenv('OPENAI_API_KEY', raising=False)

    def make(url: str) -> OpenAIBatch:
        settings = Model(backend='openai-batch', base_urls=[url], model='fake-model', revision='r1')
        return OpenAIBatch(settings, tmp_path / 'batches', wait_s=0.0, poll_s=0.01)

    return make


def ended(server: FakeChatServer, **fields: object) -> None:
    """Give every batch of the server these fields, as it has them at its end."""
    for known in server.batches.values():
        known.update(fields)


def test_a_batch_that_was_not_taken_says_code_message_and_line(batch):
    faults = [{'code': 'invalid_json_line', 'message': 'This line is not parseable', 'line': n, 'param': None} for n in range(1, 6)]
    with FakeChatServer(Script(batch_status='in_progress')) as server:
        backend = batch(server.url)
        list(backend.complete(requests(2)))
        server.script.batch_status = 'failed'
        ended(server, errors={'object': 'list', 'data': faults})
        found = list(backend.complete(requests(2)))
    assert [(o.kind, o.retryable) for o in found] == [('batch', True)] * 2
    assert 'ended as failed: invalid_json_line: This line is not parseable (line 1), ' in found[0].detail
    assert 'and 2 more; mend what it names' in found[0].detail


def test_a_batch_that_expired_asks_only_what_is_missing(batch, tmp_path):
    some = requests(4)
    expired = {'response': None, 'error': {'code': 'batch_expired', 'message': 'expired'}}
    with FakeChatServer(Script(batch_status='in_progress')) as server:
        backend = batch(server.url)
        list(backend.complete(some))
        server.files['good'] = b''.join(line(r, **whole(r)) for r in some[:3])
        server.files['bad'] = line(some[3], **expired)
        server.script.batch_status = 'expired'
        ended(server, output_file_id='good', error_file_id='bad')

        def ask_all() -> dict:
            store = ReplyStore(tmp_path / 'replies')
            found = ask(some, store=store, backend=backend, ledger=Ledger(tmp_path / 'l', Budget()), source='s', breaker=Breaker())
            store.close()
            return found

        first = ask_all()
        assert [type(first[r.key]) for r in some] == [Reply] * 3 + [Failure]
        server.script.batch_status = 'completed'
        assert all(isinstance(o, Reply) for o in ask_all().values())
        assert [body['messages'][0]['content'] for body in server.bodies] == ['question 3']


def test_a_file_whose_every_line_failed_is_not_read_for_ever(batch):
    some = requests(2)
    with FakeChatServer(Script(batch_status='in_progress')) as server:
        backend = batch(server.url)
        list(backend.complete(some))
        server.files['bad'] = b''.join(line(r, response={'status_code': 400, 'body': LONG}) for r in some)
        server.script.batch_status = 'completed'
        ended(server, status='completed', error_file_id='bad')
        assert [o.kind for o in backend.complete(some)] == ['too_long'] * 2
        assert not [path for path in backend._folder.glob('*.jsonl') if output_path(path).exists()]
        assert all(isinstance(o, Reply) for o in backend.complete(some))


PAGE = b'<html><h1>Welcome to nginx</h1></html>'


class OddHandler(_Handler):
    """Answers what `odd` says for a method and the end of a path, and as ever else."""

    odd: dict[tuple[str, str], tuple[int, bytes]] = {}

    def do_GET(self) -> None:
        return self._oddly() or super().do_GET()

    def do_POST(self) -> None:
        return self._oddly() or super().do_POST()

    def _oddly(self) -> bool:
        path = self.path.partition('?')[0]
        for (method, end), (status, data) in self.odd.items():
            if self.command == method and end in path:
                self.rfile.read(int(self.headers.get('Content-Length') or 0))
                self.send_response(status)
                self.send_header('Content-Type', 'text/html' if data[:1] == b'<' else 'application/json')
                self.send_header('Content-Length', str(len(data)))
                self.end_headers()
                self.wfile.write(data)
                return True
        return False


@pytest.mark.parametrize(('method', 'end', 'status', 'data', 'told'), [
    ('GET', '/batches', 200, PAGE, 'expected a list of batches'),
    ('GET', '/batches', 404, b'{"detail": "Not Found"}', 'found: '),
    ('POST', '/files', 200, PAGE, 'Welcome to nginx (a page'),
    ('POST', '/files', 402, b'{"error": {"message": "Insufficient Balance"}}', 'Insufficient Balance'),
    ('POST', '/batches', 200, b'null', 'found JSON that is no object'),
    ('POST', '/batches', 429, b'{"error": {"message": "Enqueued token limit reached"}}', 'Enqueued token limit reached'),
    ('GET', '/batches/', 200, PAGE, 'found a web page'),
    ('GET', '/batches/', 200, b'{"id": 7}', 'batch batch-0: expected an answer of a batch service'),
    ('GET', '/batches/', 404, b'{"error": {"message": "No batch found"}}', 'batch batch-0 is not known'),
    ('GET', '/content', 500, b'{"error": {"message": "storage down"}}', 'storage down'),
])
def test_whatever_a_service_answers_the_requests_are_pending_and_nothing_is_submitted_twice(batch, monkeypatch, method, end, status, data, told):
    monkeypatch.setattr('tests.fakes._Handler', OddHandler)
    with FakeChatServer() as server:
        backend = batch(server.url)
        backend._settings = backend._settings.model_copy(update={'max_retries': 0})
        monkeypatch.setattr(OddHandler, 'odd', {(method, end): (status, data)})
        found = list(backend.complete(requests(2)))
        assert all(o.retryable and cost_nothing(o) for o in found)
        assert told in found[0].detail
        monkeypatch.setattr(OddHandler, 'odd', {})
        assert [type(o) for o in backend.complete(requests(2))] == [Reply] * 2
        assert len(server.batches) == 1
