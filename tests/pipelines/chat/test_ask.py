"""Asking through store and ledger: never twice, never beyond the budget, durable as it arrives."""

import threading

import pytest

from pipelines.chat import waiting
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
        kind = {pending.key: ('transport', True), final.key: ('too_long', False)}.get(request.key)
        return failure(request, kind[0], 'x', retryable=kind[1]) if kind else None

    backend, book = FakeBackend(outcome_of=outcome_of), ledger(tmp_path)
    for _ in range(2):
        outcomes = ask(requests(3), store=ReplyStore(tmp_path / 'replies'), backend=backend, ledger=book, source='s')
        assert [type(outcomes[r.key]) for r in requests(3)] == [Failure, Failure, Reply]
    assert backend.asked == [r.key for r in requests(3)] + [pending.key]
    assert (book.spent().requests, book.spent().tries) == (2 + 2, 2), 'each post is one: two for what is stored, two that brought nothing'


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
    """Yields nothing until it has sent every request it is given, or is told to begin no further try: its caller is as late as can be."""

    def complete(self, requests, hear):
        sent = threading.Event()

        def watched():
            yield from requests
            sent.set()

        def heard(outcome):
            goes_on = hear(outcome)
            if not goes_on:
                sent.set()
            return goes_on

        outcomes = super().complete(watched(), heard)
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
    """Five of the first 64 are pending: they cost no tokens, and five others are asked in their place."""
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


class Trying(FakeBackend):
    """Tries each request so many times, as a backend of servers does, and is told after each try whether it may go on."""

    def __init__(self, tries, **options):
        super().__init__(**options)
        self.tries = tries
        self.held_back = 0

    def complete(self, requests, hear):
        for request in requests:
            for number in range(self.tries):
                self.asked.append(request.key)
                outcome = self._outcome_of(request) or reply_to(request)
                going_on = hear(outcome)
                last = not (isinstance(outcome, Failure) and outcome.retryable) or number + 1 == self.tries
                if last or not going_on:
                    self.held_back += not last
                    break
            yield outcome


def reply_to(request, **other) -> Reply:
    return Reply(request.key, 'm', 'r1', 'word', 'stop', 2, 2, **other)


def pending_of(request, *, status=503, prompt=0, completion=0, counted='') -> Failure:
    """Return what a server on a bad day gives."""
    return Failure(request.key, 'transport', f'HTTP {status}: bad day', True, 'm', 'r1', '', prompt, completion, status=status, counted=counted)


def test_each_try_is_a_request_and_what_it_tells_is_charged_though_nothing_is_stored(tmp_path):
    """Twenty calls of three tries each, of which the server counts 5 tokens each: 3*20 posts, 300 tokens, 20*3*(2*2 + 3*10)/1e6 money."""
    backend = Trying(3, outcome_of=lambda r: pending_of(r, prompt=2, completion=3))
    store = ReplyStore(tmp_path / 'replies')
    outcomes = ask(requests(20), store=store, backend=backend, ledger=ledger(tmp_path), source='s')
    assert all(isinstance(o, Failure) for o in outcomes.values())
    assert store.stats().keys == 0
    for book in (ledger(tmp_path), ledger(tmp_path)):
        spent = book.spent()
        assert (spent.requests, spent.tries, spent.tokens, spent.counted_tokens) == (60, 60, 300, 0)
        assert spent.money == pytest.approx(60 * 34e-6)


@pytest.mark.parametrize(('limit', 'posts'), [({'requests': 10}, 10), ({'requests': 11}, 11), ({'tokens': 50}, 10), ({'money': 9.5 * 34e-6}, 10)])
@pytest.mark.parametrize('tries', [1, 3, 6])
def test_a_budget_stops_tries_as_it_stops_calls(tmp_path, limit, posts, tries):
    """5 tokens and 34e-6 money a post; one is made after the other, so that none is late."""
    backend = Trying(tries, outcome_of=lambda r: pending_of(r, prompt=2, completion=3))
    with pytest.raises(BudgetExceeded, match=next(iter(limit))):
        ask(requests(100), store=ReplyStore(tmp_path / 'replies'), backend=backend, ledger=ledger(tmp_path, **limit), source='s')
    assert len(backend.asked) == posts
    with pytest.raises(BudgetExceeded):
        ask(requests(100), store=ReplyStore(tmp_path / 'replies'), backend=backend, ledger=ledger(tmp_path, **limit), source='s')
    assert len(backend.asked) == posts, 'what it cost is known to the next run'


def test_a_call_that_may_not_be_tried_again_is_the_budget_s_fault_even_if_it_was_the_last(tmp_path):
    backend = Trying(9, outcome_of=pending_of)
    with pytest.raises(BudgetExceeded, match='requests: 4 of 4 with at least 1 request'):
        ask(requests(1), store=ReplyStore(tmp_path / 'replies'), backend=backend, ledger=ledger(tmp_path, requests=4), source='s')
    assert (len(backend.asked), backend.held_back) == (4, 1)


@pytest.mark.parametrize('status', [401, 402, 403, 404, 429])
def test_what_is_refused_at_the_door_is_no_request_unless_it_tells_usage(tmp_path, status):
    store = ReplyStore(tmp_path / 'replies')
    backend = Trying(2, outcome_of=lambda r: pending_of(r, status=status))
    ask(requests(2), store=store, backend=backend, ledger=ledger(tmp_path, requests=1), source='s')
    assert ledger(tmp_path).spent().requests == 0
    backend = Trying(2, outcome_of=lambda r: pending_of(r, status=status, prompt=7))
    ask(requests(2), store=store, backend=backend, ledger=ledger(tmp_path), source='s')
    assert (ledger(tmp_path).spent().requests, ledger(tmp_path).spent().tokens) == (4, 28)


def test_a_server_that_is_not_there_costs_nothing_and_one_that_hangs_or_cuts_does(tmp_path):
    quick = {'concurrency': 2, 'max_retries': 0, 'timeout_s': 0.3}
    with FakeChatServer(Script(served=['m'])) as gone:
        url = gone.url
    backend = OpenAIBackend(MODEL.model_copy(update={'base_urls': [url], **quick}), patience_s=0.2, first_backoff_s=0.01)
    outcomes = ask(requests(3), store=ReplyStore(tmp_path / 'replies'), backend=backend, ledger=ledger(tmp_path, requests=1), source='s')
    backend.close()
    assert {o.kind for o in outcomes.values()} == {'transport'}
    assert ledger(tmp_path).spent().requests == 0
    for posts, fault in enumerate(('timeout', 'dropped', '500', 'not_json'), start=1):
        with FakeChatServer(Script(served=['m'], fault_of=lambda body, nth, fault=fault: fault)) as server:
            backend = OpenAIBackend(MODEL.model_copy(update={'base_urls': [server.url], **quick}), first_backoff_s=0.01)
            ask(requests(1), store=ReplyStore(tmp_path / 'replies'), backend=backend, ledger=ledger(tmp_path), source='s')
            backend.close()
            assert server.counts.total() == 1
        assert ledger(tmp_path).spent().requests == posts, fault


def test_a_reply_that_was_forgotten_is_paid_for_again_and_one_that_is_found_is_not(tmp_path):
    backend = FakeBackend()
    for folder in ('replies', 'replies', 'emptied'):
        ask(requests(5), store=ReplyStore(tmp_path / folder), backend=backend, ledger=ledger(tmp_path), source='s')
    assert len(backend.asked) == ledger(tmp_path).spent().requests == 10
    assert ledger(tmp_path).spent().tokens == 40
    assert ledger(tmp_path).spent().tries == 0


def test_tokens_that_we_counted_are_told_apart(tmp_path):
    def outcome_of(request):
        odd = request.key == requests(2)[1].key
        return pending_of(request, prompt=3, completion=4, counted='one token a byte') if odd else reply_to(request, counted='one token a byte')

    ask(requests(2), store=ReplyStore(tmp_path / 'replies'), backend=Trying(2, outcome_of=outcome_of), ledger=ledger(tmp_path), source='s')
    ask(requests(3, start=5), store=ReplyStore(tmp_path / 'replies'), backend=FakeBackend(), ledger=ledger(tmp_path), source='t')
    assert {source: (s.tokens, s.counted_tokens) for source, s in ledger(tmp_path).by_source().items()} == {'s': (18, 18), 't': (12, 0)}
    assert 'one token a byte' in ''.join(path.read_text() for path in (tmp_path / 'ledger').iterdir())


def test_lines_of_before_are_read_and_lines_that_are_read_twice_count_once(tmp_path):
    (tmp_path / 'ledger').mkdir()
    (tmp_path / 'ledger/old.jsonl').write_text('["00000000000000aa", "s", "m", "r1", 2, 2]\n["00000000000000aa", "s", "m", "r1", 2, 2]\n7\n[1]\n{}\n')
    ask(requests(2), store=ReplyStore(tmp_path / 'replies'), backend=Trying(2, outcome_of=pending_of), ledger=ledger(tmp_path), source='s')
    for path in list((tmp_path / 'ledger').iterdir()):
        (tmp_path / f'ledger/copy-of-{path.name}').write_bytes(path.read_bytes())
    assert (ledger(tmp_path).spent().requests, ledger(tmp_path).spent().tries) == (5, 4)


def test_what_a_call_costs_the_ledger_does_not_grow_with_the_sources_and_models_it_has_seen(tmp_path):
    """Counted in additions of sums, not in seconds."""
    book = ledger(tmp_path)
    for number, request in enumerate(requests(50)):
        book.charge(f'source {number}', [reply_to(request)])
    spent = book.spent()
    assert spent is book.spent(), 'a running sum'
    assert (spent.requests, len(book.by_source())) == (50, 50)


@pytest.mark.parametrize('status', [429, 503])
def test_calls_that_end_without_a_reply_take_no_room_from_those_to_come(tmp_path, status):
    """Every third call brings nothing, for nothing (429) or at the price of a request (503): twenty requests are spent, no fewer."""
    fails = {request.key for request in requests(300)[::3]}
    backend = Trying(1, outcome_of=lambda r: pending_of(r, status=status) if r.key in fails else None)
    store = ReplyStore(tmp_path / 'replies')
    with pytest.raises(BudgetExceeded, match='requests: 20 of 20'):
        ask(requests(300), store=store, backend=backend, ledger=ledger(tmp_path, requests=20), source='s')
    spent = ledger(tmp_path).spent()
    assert (spent.requests, spent.tries) == (20, {429: 0, 503: 7}[status])
    assert store.stats().keys == spent.requests - spent.tries


def test_a_slow_server_is_told_of_while_it_is_asked(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(waiting, 'FIRST_S', 0.05)
    with FakeChatServer(Script(delay_s=0.1)) as server:
        backend = OpenAIBackend(MODEL.model_copy(update={'base_urls': [server.url], 'concurrency': 1}))
        try:
            ask(requests(4), store=ReplyStore(tmp_path / 'replies'), backend=backend, ledger=ledger(tmp_path), source='s')
        finally:
            backend.close()
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith('model m: ') and ' of 4 calls answered' in line]
    assert len(told) > 1
    assert told[0].endswith(' 1 under way')
