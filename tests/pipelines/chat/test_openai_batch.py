"""Batch files: within limits, submitted once, read back whatever the order, pending while nothing came."""

import json

import pytest

from pipelines.chat import openai_batch
from pipelines.chat.ask import ask
from pipelines.chat.batch_files import batch_line, output_path, read_output, write_files
from pipelines.chat.manners import Manners
from pipelines.chat.open import open_backend
from pipelines.chat.openai_batch import OpenAIBatch
from pipelines.chat.requests import greedy, make_request
from pipelines.replies.ledger import Ledger
from pipelines.replies.store import ReplyStore
from schemas.errors import BudgetExceeded, UserError
from schemas.publish import publish_checked, read_checked
from schemas.recipe import Budget, Model
from schemas.replies import ChatRequest, Failure, Reply
from tests.fakes import FakeChatServer, Script, completion


def requests(count: int, model: str = 'fake-model') -> list[ChatRequest]:
    return [make_request([{'role': 'user', 'content': f'question {n}'}], model=model, revision='r1', settings=greedy(8)) for n in range(count)]


@pytest.fixture
def batch(tmp_path, monkeypatch):
    monkeypatch.delenv('OPENAI_API_KEY', raising=False)

    def make(*urls: str, **changes) -> OpenAIBatch:
        settings = Model(backend='openai-batch', base_urls=list(urls), model='fake-model', revision='r1', max_retries=0)
        return OpenAIBatch(settings, tmp_path, **{'wait_s': 0.0, 'poll_s': 0.01, **changes})

    return make


def test_files_keep_both_limits_and_hold_every_request_once(tmp_path):
    asked = requests(25)
    size = len(batch_line(asked[24], 'm'))
    for limits, sizes in (({'max_lines': 10}, [10, 10, 5]), ({'max_bytes': 4 * size}, [4] * 6 + [1]), ({}, [25])):
        files = list(write_files(asked, tmp_path, 'm', **limits))
        assert [len(keys) for _, keys in files] == sizes
        lines = [json.loads(line) for path, _ in files for line in path.read_text().splitlines()]
        assert [line['custom_id'] for line in lines] == [r.key for r in asked]
        assert all(path.stat().st_size <= limits.get('max_bytes', 10**9) for path, _ in files)
        assert {(line['method'], line['url'], line['body']['model']) for line in lines} == {('POST', '/v1/chat/completions', 'm')}
        assert list(write_files(asked, tmp_path, 'm', **limits)) == files
    assert not list(tmp_path.glob('.writing*'))


def test_a_line_beyond_the_limit_is_refused_by_name(tmp_path):
    with pytest.raises(UserError, match='expected a line of at most 10 bytes'):
        list(write_files(requests(1), tmp_path, 'm', max_bytes=10))


def test_submitted_polled_and_collected_in_one_go(batch):
    with FakeChatServer() as server:
        backend = batch(server.url)
        backend.check()
        outcomes = {o.key: o for o in backend.complete(requests(5))}
    assert outcomes.keys() == {r.key for r in requests(5)}
    for request in requests(5):
        expected = completion({**json.loads(request.body), 'model': 'fake-model'})
        assert outcomes[request.key].text == expected['choices'][0]['message']['content']


def test_replies_by_batch_are_read_with_what_check_saw_of_the_service(tmp_path, monkeypatch):
    """Its version stands with each reply, and where it never tells how a reply ended a whole one is accepted."""
    def untold(body: dict) -> dict:
        payload = completion(body)
        del payload['choices'][0]['finish_reason']
        return payload

    monkeypatch.setattr('tests.fakes.completion', untold)
    settings = Model(backend='openai-batch', model='fake-model', revision='r1', max_retries=0)
    with FakeChatServer() as server:
        settings = settings.model_copy(update={'base_urls': [server.url]})
        (reply,) = open_backend(settings, tmp_path, Manners(served_by='toy 1.0', finish_reason=False)).complete(requests(1))
    assert isinstance(reply, Reply)
    assert reply.served_by == 'fake-model; toy 1.0'


def test_an_unfinished_batch_is_pending_and_found_again_not_submitted_twice(batch):
    with FakeChatServer(Script(batch_status='in_progress')) as server:
        first = list(batch(server.url).complete(requests(3)))
        assert [(o.kind, o.retryable) for o in first] == [('awaited', True)] * 3
        assert 'batch-0 is in_progress; run the same command again later' in first[0].detail
        server.script.batch_status = 'completed'
        assert all(isinstance(o, Reply) for o in batch(server.url).complete(requests(3)))
        assert len(server.batches) == 1


def test_a_kill_between_submitting_and_noting_it_does_not_pay_twice(batch, tmp_path):
    with FakeChatServer(Script(batch_status='in_progress')) as server:
        list(batch(server.url).complete(requests(3)))
        for note in tmp_path.glob('*.batch.json'):
            note.unlink()
        server.script.batch_status = 'completed'
        assert all(isinstance(o, Reply) for o in batch(server.url).complete(requests(3)))
        assert len(server.batches) == 1


@pytest.mark.parametrize('keys_noted', [True, False])
def test_what_a_batch_asks_that_is_under_way_is_not_asked_again_with_others(batch, tmp_path, keys_noted):
    """A budget that ended in the middle of a set was raised, or another version cuts sets elsewhere: of older ones the notes hold no keys."""
    with FakeChatServer(Script(batch_status='in_progress')) as server:
        list(batch(server.url).complete(requests(3)))
        if not keys_noted:
            (note,) = tmp_path.glob('*.batch.json')
            publish_checked(note, {name: value for name, value in read_checked(note).items() if name in ('id', 'spent')})
        assert [o.kind for o in batch(server.url).complete(requests(5))] == ['awaited'] * 5
        server.script.batch_status = 'completed'
        backend = batch(server.url)
        found = [o for some in (requests(5)[1:4], [requests(5)[0], requests(5)[4]]) for o in backend.complete(some)]
    assert all(isinstance(o, Reply) for o in found)
    assert len(server.batches) == 2
    sent = [path.with_name(path.name.replace('.batch.json', '.jsonl')).read_text().splitlines() for path in tmp_path.glob('*.batch.json')]
    assert sorted(map(len, sent)) == [2, 3], 'each once'


def test_once_a_batch_was_waited_for_in_vain_the_next_ones_are_submitted_and_not_waited_for(batch, monkeypatch):
    """Thousands of them, one after the other, would each be waited for before the next is submitted."""
    slept = []
    monkeypatch.setattr(openai_batch.time, 'monotonic', lambda: float(sum(slept)))
    monkeypatch.setattr(openai_batch.time, 'sleep', slept.append)
    with FakeChatServer(Script(batch_status='in_progress')) as server:
        backend = batch(server.url, wait_s=60.0, poll_s=10.0)
        for request in requests(3):
            (outcome,) = backend.complete([request])
            assert outcome.kind == 'awaited'
        assert (len(server.batches), sum(slept)) == (3, 70.0)
        server.script.batch_status = 'completed'
        assert all(isinstance(o, Reply) for request in requests(3) for o in backend.complete([request]))


@pytest.mark.parametrize('status', ['failed', 'expired', 'cancelled'])
def test_a_batch_that_came_to_nothing_is_pending_and_submitted_anew(batch, status):
    with FakeChatServer(Script(batch_status=status)) as server:
        (outcome,) = batch(server.url).complete(requests(1))
        assert outcome.retryable
        assert f'ended as {status}' in outcome.detail
        server.script.batch_status = 'completed'
        assert isinstance(next(batch(server.url).complete(requests(1))), Reply)
        assert len(server.batches) == 2


def test_failed_lines_fail_alone(batch):
    script = Script(fault_of=lambda body, nth: {'1': '400', '2': '500'}.get(body['messages'][0]['content'][-1], ''))
    with FakeChatServer(script) as server:
        outcomes = {o.key: o for o in batch(server.url).complete(requests(4))}
    ordered = [outcomes[r.key] for r in requests(4)]
    assert [type(o) for o in ordered] == [Reply, Failure, Failure, Reply]
    assert [(o.kind, o.retryable) for o in ordered[1:3]] == [('transport', True), ('transport', True)]


def test_a_batch_whose_every_line_failed_for_the_moment_is_asked_anew(batch):
    with FakeChatServer(Script(fault_of=lambda body, nth: '500')) as server:
        assert next(batch(server.url).complete(requests(1))).retryable
        server.script.fault_of = lambda body, nth: ''
        assert isinstance(next(batch(server.url).complete(requests(1))), Reply)
        assert len(server.batches) == 2


def test_without_a_service_the_files_wait_for_a_runner_and_its_output_is_read(batch, tmp_path):
    waiting = list(batch().complete(requests(3)))
    (path,) = tmp_path.glob('batch-*.jsonl')
    assert all(o.retryable for o in waiting)
    assert f'run_batch -i {path} -o {output_path(path)} --model fake-model' in waiting[0].detail
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    answers = [{'custom_id': line['custom_id'], 'response': {'status_code': 200, 'body': completion(line['body'])}} for line in reversed(lines)]
    output_path(path).write_text('\n'.join(map(json.dumps, [{'custom_id': 'foreign'}, *answers])) + '\n{"custom_id": "tor')
    assert [type(o) for o in batch().complete(requests(3))] == [Reply] * 3


def test_output_answers_each_request_once(tmp_path):
    (request,) = requests(1)
    line = json.dumps({'custom_id': request.key, 'response': {'status_code': 200, 'body': completion({**json.loads(request.body), 'model': 'm'})}})
    (tmp_path / 'out').write_text(f'{line}\n{line}\n')
    assert len(list(read_output(tmp_path / 'out', {request.key: request}))) == 1
    assert list(read_output(tmp_path / 'absent', {request.key: request})) == []


def test_through_the_store_a_later_run_asks_only_for_what_is_missing(batch, tmp_path):
    with FakeChatServer() as server:
        for count in (3, 5):
            store, book = ReplyStore(tmp_path / 'replies'), Ledger(tmp_path / 'ledger', Budget())
            outcomes = ask(requests(count), store=store, backend=batch(server.url), ledger=book, source='s')
            assert len(outcomes) == count
            store.close()
        assert len(server.bodies) == 5


def test_a_spent_budget_stops_within_one_batch(batch, tmp_path):
    """Each request costs 4 tokens. All of a batch are in flight at once: what they cost is known when they are back."""
    def ask_all(store: ReplyStore, limit: dict) -> None:
        book = Ledger(tmp_path / 'ledger', Budget(**limit))
        for count in (12, 20):
            ask(requests(count), store=store, backend=batch(server.url), ledger=book, source='s')

    arrived = []
    with FakeChatServer() as server:
        assert list(batch(server.url).complete(requests(2), arrived.append)) == arrived
        for limit, asked in (({'requests': 7}, 7), ({'tokens': 29}, 12), ({'tokens': 48}, 12)):
            store = ReplyStore(tmp_path / 'replies')
            with pytest.raises(BudgetExceeded):
                ask_all(store, limit)
            assert store.stats().keys == asked
            store.close()


def test_the_key_is_not_shown_when_the_service_refuses_it(batch, monkeypatch):
    with FakeChatServer(Script(key='sk-right')) as server:
        monkeypatch.setenv('OPENAI_API_KEY', 'sk-wrong-one')
        backend = OpenAIBatch(Model(backend='openai-batch', base_urls=[server.url], model='m', revision='r', max_retries=0), batch()._folder)
        (refused,) = backend.complete(requests(1))
    assert (refused.kind, refused.status, refused.retryable) == ('batch', 401, True)
    assert 'sk-wrong-one' not in str(refused)
