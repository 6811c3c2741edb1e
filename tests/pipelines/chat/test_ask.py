"""Asking through store and ledger: never twice, never beyond the budget, durable as it arrives."""

import threading

import pytest

from pipelines.chat.ask import ask
from pipelines.chat.openai_backend import OpenAIBackend
from pipelines.chat.requests import greedy, make_request
from pipelines.chat.responses import failure
from pipelines.replies.ledger import Ledger
from pipelines.replies.store import ReplyStore
from schemas.errors import BudgetExceeded
from schemas.recipe import Budget, Model
from schemas.replies import ChatRequest, Failure, Reply
from tests.fakes import FakeBackend, FakeChatServer, Script

MODEL = Model(model='m', revision='r1', price_prompt=2.0, price_completion=10.0)


def requests(count: int, start: int = 0) -> list[ChatRequest]:
    messages = [[{'role': 'user', 'content': f'question {n}'}] for n in range(start, start + count)]
    return [make_request(m, model='m', revision='r1', settings=greedy(16)) for m in messages]


def ledger(tmp_path, **budget) -> Ledger:
    return Ledger(tmp_path / 'ledger', Budget(**budget), [MODEL])


def test_only_missing_requests_are_asked_and_each_once(tmp_path):
    store, backend, book = ReplyStore(tmp_path / 'replies'), FakeBackend(), ledger(tmp_path)
    first = ask(requests(5) + requests(5), store=store, backend=backend, ledger=book, source='s')
    again = ask(requests(8), store=ReplyStore(tmp_path / 'replies'), backend=backend, ledger=book, source='s')
    assert first.keys() == {r.key for r in requests(5)}
    assert {k: again[k] for k in first} == first
    assert again.keys() == {r.key for r in requests(8)}
    assert len(backend.asked) == len(set(backend.asked)) == 8


def test_pending_failures_are_returned_but_asked_again_and_final_ones_are_not(tmp_path):
    pending, final = requests(2)

    def outcome_of(request):
        kind = {pending.key: ('transport', True), final.key: ('rejected', False)}.get(request.key)
        return failure(request, kind[0], 'x', retryable=kind[1]) if kind else None

    backend, book = FakeBackend(outcome_of=outcome_of), ledger(tmp_path)
    for _ in range(2):
        outcomes = ask(requests(3), store=ReplyStore(tmp_path / 'replies'), backend=backend, ledger=book, source='s')
        assert [type(outcomes[r.key]) for r in requests(3)] == [Failure, Failure, Reply]
    assert backend.asked == [r.key for r in requests(3)] + [pending.key]
    assert book.spent().requests == 2


@pytest.mark.parametrize('allowed', [0, 1, 31, 32, 33, 50])
def test_the_request_budget_is_exact_and_what_was_asked_is_stored(tmp_path, allowed):
    store, backend = ReplyStore(tmp_path / 'replies'), FakeBackend()
    with pytest.raises(BudgetExceeded, match=f'spent requests: {allowed} of {allowed} .*raise `budget:`') as e:
        ask(requests(100), store=store, backend=backend, ledger=ledger(tmp_path, requests=allowed), source='s')
    assert e.value.code == 3
    assert len(backend.asked) == allowed == store.stats().keys
    ask(requests(100), store=store, backend=backend, ledger=ledger(tmp_path, requests=100), source='s')
    assert len(backend.asked) == len(set(backend.asked)) == 100


def test_tokens_and_money_stop_within_one_window_and_over_a_restart(tmp_path):
    """Each request costs 2 + 2 tokens, 2*2e-6 + 2*1e-5 money."""
    store, backend = ReplyStore(tmp_path / 'replies'), FakeBackend()
    for _ in range(2):
        with pytest.raises(BudgetExceeded, match='tokens: 100 of 99'):
            ask(requests(100), store=store, backend=backend, ledger=ledger(tmp_path, tokens=99), source='s')
    assert len(backend.asked) == 25
    with pytest.raises(BudgetExceeded, match='money'):
        ask(requests(100), store=store, backend=backend, ledger=ledger(tmp_path, money=39.5 * 24e-6), source='s')
    assert len(backend.asked) == 40


class Dawdling(OpenAIBackend):
    """Yields nothing until it has sent every request it is given: its caller is as late as can be."""

    def complete(self, requests, *arrive):
        sent = threading.Event()

        def watched():
            yield from requests
            sent.set()

        outcomes = super().complete(watched(), *arrive)
        first = next(outcomes)
        sent.wait()
        yield first
        yield from outcomes


@pytest.mark.parametrize('backend_class', [OpenAIBackend, Dawdling])
@pytest.mark.parametrize('n_servers', [1, 2])
@pytest.mark.parametrize(('limit', 'latest'), [({'tokens': 160}, 43), ({'money': 39.5 * 24e-6}, 43), ({'requests': 40}, 40)])
def test_over_http_a_stop_is_late_by_no_more_than_what_is_in_flight(tmp_path, backend_class, n_servers, limit, latest):
    """Each request costs 4 tokens and 24e-6 money: 40 are allowed, and 3 others may be in flight when the 40th comes back."""
    store = ReplyStore(tmp_path / 'replies')
    with FakeChatServer(Script(served=['m'])) as one, FakeChatServer(Script(served=['m'])) as other:
        backend = backend_class(MODEL.model_copy(update={'base_urls': [one.url, other.url][:n_servers], 'concurrency': 4}))
        with pytest.raises(BudgetExceeded, match=next(iter(limit))):
            ask(requests(200), store=store, backend=backend, ledger=ledger(tmp_path, **limit), source='s')
        backend.close()
        asked = one.counts.total() + other.counts.total()
    assert 40 <= asked <= latest
    assert store.stats().keys == asked


def test_replies_that_fail_for_the_moment_take_no_room_for_good(tmp_path):
    """Five of the first 64 are pending: they cost nothing, and five others are asked in their place."""
    pending = {r.key for r in requests(5)}
    backend = FakeBackend(outcome_of=lambda r: failure(r, 'transport', 'x', retryable=True) if r.key in pending else None)
    store = ReplyStore(tmp_path / 'replies')
    with pytest.raises(BudgetExceeded, match='tokens: 320 of 320'):
        ask(requests(100), store=store, backend=backend, ledger=ledger(tmp_path, tokens=320), source='s')
    assert len(backend.asked) == 85


def test_what_is_stored_is_given_even_when_nothing_more_may_be_spent(tmp_path):
    store, backend = ReplyStore(tmp_path / 'replies'), FakeBackend()
    ask(requests(10), store=store, backend=backend, ledger=ledger(tmp_path), source='s')
    outcomes = ask(requests(10), store=store, backend=backend, ledger=ledger(tmp_path, requests=0), source='s')
    assert len(outcomes) == 10


def test_the_ledger_counts_a_reply_once_per_build_over_processes_and_restarts(tmp_path):
    store, backend = ReplyStore(tmp_path / 'replies'), FakeBackend()
    one, two = ledger(tmp_path), ledger(tmp_path)
    ask(requests(10), store=store, backend=backend, ledger=one, source='a')
    ask(requests(15, start=5), store=store, backend=backend, ledger=two, source='b')
    again = ledger(tmp_path)
    spent = again.spent()
    assert (spent.requests, spent.prompt_tokens, spent.completion_tokens) == (20, 40, 40)
    assert spent.money == pytest.approx(20 * 24e-6)
    assert {source: s.requests for source, s in again.by_source().items()} == {'a': 10, 'b': 10}


def test_a_torn_ledger_line_is_counted_again_from_the_store(tmp_path):
    store, backend = ReplyStore(tmp_path / 'replies'), FakeBackend()
    ask(requests(10), store=store, backend=backend, ledger=ledger(tmp_path), source='a')
    (journal,) = (tmp_path / 'ledger').iterdir()
    journal.write_bytes(journal.read_bytes()[:-20])
    book = ledger(tmp_path)
    assert book.spent().requests == 9
    ask(requests(10), store=store, backend=backend, ledger=book, source='a')
    assert book.spent().requests == ledger(tmp_path).spent().requests == 10


def test_a_reply_stored_with_its_thoughts_is_read_without_them_and_not_asked_again(tmp_path):
    store, backend = ReplyStore(tmp_path / 'replies'), FakeBackend()
    (request,) = requests(1)
    store.put_many([Reply(request.key, 'm', 'r1', '<think>red?</think>blue', 'stop', 2, 9)])
    (outcome,) = ask([request], store=store, backend=backend, ledger=ledger(tmp_path), source='s').values()
    assert (outcome.text, outcome.reasoning, outcome.completion_tokens, backend.asked) == ('blue', 'red?', 9, [])


def test_over_http_with_faults_no_stored_reply_is_asked_again(tmp_path):
    script = Script(fault_of=lambda body, nth: 'not_json' if body['messages'][0]['content'].endswith('7') else '', served=['m'])
    with FakeChatServer(script) as server:
        model = Model(base_urls=[server.url], model='m', revision='r1', max_retries=1, concurrency=4)
        backend = OpenAIBackend(model, first_backoff_s=0.01)
        for _ in range(2):
            outcomes = ask(requests(30), store=ReplyStore(tmp_path / 'replies'), backend=backend, ledger=ledger(tmp_path), source='s')
            assert sorted(type(o).__name__ for o in outcomes.values()) == ['Failure'] * 3 + ['Reply'] * 27
        backend.close()
        assert server.counts.total() == 27 + 3 * 2 * 2  # those that are no completion are asked again by the second run


def test_a_kill_between_batches_keeps_all_but_the_last_window(tmp_path):
    class Killed(BaseException):
        pass

    def outcome_of(request):
        if len(backend.asked) == 70:
            raise Killed
        return

    backend = FakeBackend(outcome_of=outcome_of)
    with pytest.raises(Killed):
        ask(requests(100), store=ReplyStore(tmp_path / 'replies'), backend=backend, ledger=ledger(tmp_path), source='s')
    assert ReplyStore(tmp_path / 'replies').stats().keys == 69
