"""When a model is asked no more, and which failures may be kept: by its outcomes alone, then through `ask` with a store."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from pipelines.chat.ask import ask
from pipelines.chat.breaker import FIRST, LAST, Breaker, explain, patience_of
from pipelines.chat.likeness import control_of, likeness
from pipelines.chat.openai_backend import OpenAIBackend
from pipelines.chat.remedies import told
from pipelines.chat.requests import choice, greedy, likelihood, make_request, sampled
from pipelines.chat.responses import failure
from pipelines.replies.ledger import Ledger, Spend
from pipelines.replies.store import ReplyStore
from schemas.errors import BudgetExceeded
from schemas.recipe import Budget, Model
from schemas.replies import ChatRequest, Failure, Outcome, Reply, SentImage
from tests.fakes import FakeBackend, FakeChatServer, Script

LONG = "HTTP 400: This model's maximum context length is 64 tokens. However, you requested 300 tokens"
PICTURE = SentImage('a' * 64, 'a' * 64, 'image/png', b'png')


def requests(count: int, start: int = 0, **changes) -> list[ChatRequest]:
    made = {'model': 'm', 'revision': 'r1', 'settings': greedy(16), **changes}
    return [make_request([{'role': 'user', 'content': f'question {n}'}], **made) for n in range(start, start + count)]


def reply(request: ChatRequest) -> Reply:
    return Reply(request.key, 'm', 'r1', 'yes', 'stop', 1, 1)


def failed(request: ChatRequest, status: int, words: str = 'Insufficient Balance') -> Failure:
    return failure(request, 'transport', f'HTTP {status}: {words}', retryable=True, status=status)


def too_long(request: ChatRequest) -> Failure:
    return failure(request, 'too_long', LONG, retryable=False, status=400)


def hear_all(breaker: Breaker, outcomes: list[Outcome]) -> int:
    """Return how many outcomes are heard until no more may be asked; all of them where it stays closed."""
    return next((n for n, outcome in enumerate(outcomes, 1) if not breaker.hear(outcome)), len(outcomes))


LASTING = [
    (402, 'Insufficient Balance'), (401, 'bad key'), (403, 'forbidden'), (404, 'no such model'), (400, 'Budget has been exceeded!'),
    (400, 'chat template is required'), (407, '<html>'), (413, '<html>'), (415, ''), (421, ''), (451, ''), (302, ''),
    (429, '{"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}}'), (429, 'free-models-per-day'),
]  # fmt: skip


@pytest.mark.parametrize(('status', 'words'), LASTING)
def test_the_first_calls_that_fail_in_one_lasting_way_are_enough(status, words):
    breaker = Breaker()
    assert hear_all(breaker, [failed(r, status, words) for r in requests(50)]) == FIRST
    assert breaker.open


@pytest.mark.parametrize(('status', 'words'), LASTING)
def test_later_more_than_half_of_the_last_calls_are(status, words):
    """After 30 replies the eleventh of the last twenty."""
    breaker = Breaker()
    assert hear_all(breaker, [reply(r) for r in requests(30)]) == 30
    assert hear_all(breaker, [failed(r, status, words) for r in requests(50, 30)]) == LAST // 2 + 1


def test_a_call_that_ends_long_after_its_first_try_is_no_longer_one_of_the_last():
    breaker = Breaker()
    late = failed(requests(1)[0], 500, 'oops')
    breaker.hear(late)
    assert hear_all(breaker, [reply(r) for r in requests(LAST + 5, 1)]) == LAST + 5
    assert breaker.hear(late)
    breaker.settle([late])
    assert not breaker.open


def test_failures_among_replies_and_in_many_ways_stop_nothing():
    breaker = Breaker()
    some = requests(200)
    assert hear_all(breaker, [failed(r, 400, 'odd') if n % 2 else reply(r) for n, r in enumerate(some)]) == 200
    ways = ['cannot', 'will not', 'may not', 'never', 'no']
    assert hear_all(Breaker(), [reply(some[0]), *(failed(r, 400, ways[n % 5]) for n, r in enumerate(some))]) == 201


@pytest.mark.parametrize(('status', 'kind'), [(500, 'transport'), (200, 'malformed'), (501, 'transport')])
def test_what_may_be_gone_with_the_next_try_counts_with_the_second_try_of_a_call(status, kind):
    first = [replace(failed(r, status, 'oops'), kind=kind) for r in requests(50)]
    breaker = Breaker()
    assert hear_all(breaker, first) == 50
    assert hear_all(breaker, first) == FIRST
    untried = Breaker()
    untried.settle(first[:FIRST])  # none is made again
    assert untried.open


@pytest.mark.parametrize('status', [408, 409, 425, 429, 499, 502, 503, 504, 520, 524, 529, 0])
def test_what_comes_and_goes_has_patience_as_long_as_no_call_is_answered(status):
    now = [0.0]
    breaker = Breaker(patience_s=100, clock=lambda: now[0])
    outcomes = [failed(r, status, 'busy') if status else failure(r, 'transport', 'ReadError: cut', retryable=True) for r in requests(400)]
    for outcome in outcomes[:100]:
        assert breaker.hear(outcome)
        now[0] += 0.99
    assert breaker.hear(reply(requests(1)[0]))
    for outcome in outcomes[100:200]:
        assert breaker.hear(outcome)
        now[0] += 1
    now[0] += 1
    assert not breaker.hear(outcomes[200])
    assert breaker.fault == outcomes[200]


def test_a_late_call_and_a_reply_that_broke_off_come_and_go_whatever_status_they_began_with():
    late = [failure(r, 'transport', 'no reply within 5 s', retryable=True, status=status) for r in requests(50) for status in (0, 200)]
    assert hear_all(Breaker(), late) == 100


def test_waiting_between_shards_is_no_silence():
    now = [0.0]
    breaker = Breaker(patience_s=100, clock=lambda: now[0])
    breaker.hear(failed(requests(1)[0], 503))
    breaker.hear(reply(requests(1)[0]))
    now[0] = 5000
    assert breaker.hear(failed(requests(1)[0], 503))


def test_the_patience_is_that_of_a_restart_and_of_slow_calls():
    assert patience_of(5) == 120
    assert patience_of(120) == 240


def test_three_time_outs_in_a_row_without_an_answer_are_enough():
    now = [0.0]
    breaker = Breaker(patience_s=patience_of(120), clock=lambda: now[0])
    late = [failure(r, 'transport', 'no reply within 120 s', retryable=True) for r in requests(4)]
    for wave in (1, 2, 3):
        now[0] += 121
        went_on = [breaker.hear(outcome) for outcome in late]
        assert all(went_on) == (wave < 3)


def test_what_is_awaited_is_no_failure():
    assert hear_all(Breaker(), [failure(r, 'awaited', 'batch-1 is in_progress', retryable=True) for r in requests(100)]) == 100


def test_to_give_up_takes_a_model_that_answered_nothing_so_far_and_not_a_control_either():
    some = [failed(r, 400, 'odd') for r in requests(100)]
    breaker = Breaker(give_up=True)
    breaker.meet(requests(100), {})
    assert hear_all(breaker, some[: LAST - 1]) == LAST - 1
    assert not breaker.wants_control
    assert breaker.hear(some[LAST - 1])
    assert breaker.wants_control
    (control,) = breaker.controls(requests(100))
    assert not breaker.wants_control
    assert breaker.hear(some[LAST])
    breaker.settle([failed(control, 400, 'odd')])
    assert breaker.open


@pytest.mark.parametrize('is_stored', [False, True])
def test_to_give_up_lets_no_model_go_that_answered_some(is_stored):
    (answered,), some = requests(1, 1000), [failed(r, 400, 'odd') for r in requests(100)]
    breaker = Breaker(give_up=True)
    breaker.meet([answered, *requests(100)], {answered.key: reply(answered)} if is_stored else {})
    assert hear_all(breaker, [*([] if is_stored else [reply(answered)]), *some]) == 101 - is_stored
    breaker.settle(some)
    assert not breaker.open
    assert not breaker.wants_control


@pytest.mark.parametrize(('n_answered', 'n_first'), [(0, FIRST), (1, LAST // 2 + 1)])
def test_failures_about_requests_open_it_once_a_control_like_them_failed_too(n_answered, n_first):
    breaker = Breaker()
    some, texts = requests(50), requests(n_answered, 100, settings=greedy(17))
    breaker.meet([*texts, *some], {})
    hear_all(breaker, [reply(r) for r in texts])
    assert hear_all(breaker, [too_long(r) for r in some[: n_first - 1]]) == n_first - 1
    assert not breaker.wants_control
    assert breaker.hear(too_long(some[n_first]))
    assert breaker.wants_control
    (control,) = breaker.controls(some)
    assert control == control_of(some[0])
    assert hear_all(breaker, [too_long(r) for r in some[n_first:40]]) == 40 - n_first, 'the control is on its way'
    assert not breaker.hear(too_long(control))


def test_once_one_like_them_was_answered_failures_about_requests_stop_nothing():
    breaker = Breaker()
    some = requests(51)
    breaker.meet(some, {})
    assert hear_all(breaker, [reply(some[0]), *(too_long(r) for r in some[1:])]) == 51
    assert len(breaker.settle([too_long(r) for r in some[1:]])) == 50


def test_requests_are_alike_in_all_but_what_they_say_and_the_seed():
    one, other = requests(2)
    assert likeness(one) == likeness(other)
    seeds = [requests(1, settings=sampled(16, 0.7, attempt=n))[0] for n in (1, 2)]
    assert likeness(seeds[0]) == likeness(seeds[1])
    shown = [make_request([{'role': 'user', 'content': [{'type': 'image_url', 'image_url': {'url': 'image:0'}}]}], model='m', revision='r1',
                          settings=greedy(16), images=[PICTURE])]
    different = [one, seeds[0], *shown, *requests(1, settings=greedy(17)), *requests(1, settings=choice(['Yes', 'No'])), *requests(1, model='n')]
    assert len({likeness(request) for request in different}) == len(different)


@pytest.mark.parametrize('settings', [greedy(16), choice(['Yes', 'No']), likelihood()])
def test_a_control_is_like_its_request_and_small(settings):
    parts = [{'type': 'image_url', 'image_url': {'url': 'image:0'}}, {'type': 'image_url', 'image_url': {'url': 'image:1'}}, {'type': 'text', 'text': 'q' * 9000}]
    turns = [{'role': 'user', 'content': parts}, {'role': 'assistant', 'content': 'a' * 9000}]
    request = make_request(turns, model='m', revision='r1', settings=settings, images=[PICTURE, PICTURE])
    control = control_of(request)
    assert likeness(control) == likeness(request)
    assert len(control.body) < 700
    assert len(control.images) == 1
    assert control.key != request.key
    plain = control_of(requests(1)[0])
    assert not plain.images


class Asking:
    """Asks through `ask` with a store of its own."""

    def __init__(self, folder, outcome_of: Callable[[ChatRequest], Outcome | None], *, give_up: bool = False, **budget: float):
        self.folder = folder
        self.backend = FakeBackend(outcome_of=outcome_of)
        self.breaker = Breaker(give_up=give_up)
        self.budget = Budget(**budget)

    def spent(self) -> Spend:
        return Ledger(self.folder / 'ledger', self.budget).spent()

    def ask(self, some: list[ChatRequest]) -> dict[str, Outcome]:
        store = ReplyStore(self.folder / 'replies')
        book = Ledger(self.folder / 'ledger', self.budget)
        found = ask(some, store=store, backend=self.backend, ledger=book, source='s', breaker=self.breaker)
        store.close()
        return found

    def stored(self) -> dict[str, Outcome]:
        store = ReplyStore(self.folder / 'replies')
        return {outcome.key: outcome for outcome in store.outcomes()}


def test_a_failure_about_one_request_is_stored_once_another_one_was_answered_before_or_after_it(tmp_path):
    some = requests(6)
    asking = Asking(tmp_path, lambda r: too_long(r) if r.key in (some[0].key, some[5].key) else None)
    found = asking.ask(some)
    assert [type(asking.stored()[r.key]) for r in some] == [Failure, *[Reply] * 4, Failure]
    assert not found[some[0].key].retryable
    assert asking.backend.asked == [r.key for r in some]


def test_where_nothing_like_them_is_answered_such_failures_are_pending_and_asked_again(tmp_path):
    some = requests(5)
    asking = Asking(tmp_path, too_long)
    found = asking.ask(some)
    assert all(found[r.key].retryable for r in some)
    assert asking.stored() == {}
    mended = Asking(tmp_path, lambda r: None)
    assert all(isinstance(o, Reply) for o in mended.ask(some).values())


def test_the_last_shard_with_a_single_request_too_long_asks_a_tiny_one_like_it_and_keeps_both(tmp_path):
    (only,) = requests(1)
    asking = Asking(tmp_path, lambda r: too_long(r) if r.key == only.key else None)
    found = asking.ask([only])
    control = control_of(only)
    assert asking.backend.asked == [only.key, control.key]
    assert not found[only.key].retryable
    assert {key: type(outcome) for key, outcome in asking.stored().items()} == {only.key: Failure, control.key: Reply}
    again = Asking(tmp_path, lambda r: None)
    again.ask([only])
    assert again.backend.asked == []


def test_a_control_that_is_not_answered_proves_nothing(tmp_path):
    asking = Asking(tmp_path, too_long)
    found = asking.ask(requests(1))
    assert found[requests(1)[0].key].retryable
    assert len(asking.backend.asked) == 2
    assert asking.stored() == {}


def test_a_control_that_is_stored_is_not_asked_again(tmp_path):
    some = requests(2)
    Asking(tmp_path, lambda r: None).ask([control_of(some[0])])
    asking = Asking(tmp_path, lambda r: too_long(r))
    assert not any(o.retryable for o in asking.ask(some).values())
    assert asking.backend.asked == [r.key for r in some]


@pytest.mark.parametrize('number', [1, 3, 12])
@pytest.mark.parametrize('are_first', [True, False])
def test_requests_that_are_too_long_are_final_whatever_stands_behind_them_and_in_which_source(tmp_path, number, are_first):
    long, healthy = requests(number), requests(30, 100)
    bad = {r.key for r in long}
    for _ in range(2):
        asking = Asking(tmp_path, lambda r: too_long(r) if r.key in bad else None)
        found: dict[str, Outcome] = {}
        for source in (long, healthy) if are_first else (healthy, long):
            found |= asking.ask(source)
        assert [type(found[r.key]) for r in (*long, *healthy)] == [Failure] * number + [Reply] * 30
        assert not any(o.retryable for o in found.values() if isinstance(o, Failure))
        assert not asking.breaker.open
    assert asking.backend.asked == [], 'what is final is asked once'
    assert asking.spent().requests == number + 30 + are_first


@pytest.mark.parametrize('number', [1, 5, 100])
def test_a_server_that_takes_no_request_at_all_is_soon_asked_no_more(tmp_path, number):
    asking = Asking(tmp_path, too_long)
    found = asking.ask(requests(number))
    assert len(asking.backend.asked) == min(number, FIRST) + 1
    assert all(o.retryable for o in found.values())
    assert asking.breaker.open == (number > FIRST)
    assert asking.stored() == {}
    assert asking.spent().requests == len(asking.backend.asked)


def test_a_server_that_takes_a_control_and_none_of_many_is_asked_no_more_and_keeps_them_pending(tmp_path):
    some = requests(100)
    asking = Asking(tmp_path, lambda r: too_long(r) if r.key != control_of(some[0]).key else None)
    found = asking.ask(some)
    assert len(asking.backend.asked) == LAST + 1
    assert all(o.retryable for o in found.values())
    assert [type(o) for o in asking.stored().values()] == [Reply]


def test_to_give_up_loses_no_request_behind_many_that_fail(tmp_path):
    bad = {r.key for r in requests(25)}
    asking = Asking(tmp_path, lambda r: failed(r, 500, 'oops') if r.key in bad else None, give_up=True)
    assert all(o.detail == 'HTTP 500: oops' for o in asking.ask(requests(25)).values())
    assert all(isinstance(o, Reply) for o in asking.ask(requests(30, 100)).values())
    assert len(asking.backend.asked) == 25 + 1 + 30


@pytest.mark.parametrize(('allowed', 'posts'), [(1, 1), (2, 2), (3, 3), (4, 4)])
@pytest.mark.parametrize('number', [1, 2, 9])
def test_a_budget_leaves_no_room_for_a_control_and_counts_what_waits_for_one(tmp_path, allowed, posts, number):
    """Of 9 requests the first `number` are too long; a control would be the next post."""
    bad = {r.key for r in requests(number)}
    asking = Asking(tmp_path, lambda r: too_long(r) if r.key in bad else None, requests=allowed)
    for _ in range(2):
        with pytest.raises(BudgetExceeded, match=f'requests: {allowed} of {allowed}'):
            asking.ask(requests(9))
        assert len(asking.backend.asked) == asking.spent().requests == posts


def test_a_single_request_that_spends_the_budget_waits_for_the_next(tmp_path):
    asking = Asking(tmp_path, too_long, requests=1)
    with pytest.raises(BudgetExceeded, match='requests: 1 of 1 with at least 1 request'):
        asking.ask(requests(1))
    assert (asking.spent().requests, asking.spent().tries, asking.stored()) == (1, 1, {})


def test_posts_of_failures_that_wait_for_proof_are_charged_whatever_ends_the_asking(tmp_path):
    def outcome_of(request: ChatRequest) -> Outcome:
        if request.key == requests(3)[2].key:
            raise KeyboardInterrupt
        return too_long(request)

    asking = Asking(tmp_path, outcome_of)
    with pytest.raises(KeyboardInterrupt):
        asking.ask(requests(3))
    assert (asking.spent().requests, asking.stored()) == (2, {})


def test_a_stored_reply_of_the_like_is_evidence(tmp_path):
    some = requests(8)
    Asking(tmp_path, lambda r: None).ask(some[:1])
    asking = Asking(tmp_path, lambda r: too_long(r) if r.key != some[0].key else None)
    found = asking.ask(some)
    assert len(asking.stored()) == 8
    assert asking.backend.asked == [r.key for r in some[1:]]
    assert not any(o.retryable for o in found.values() if isinstance(o, Failure))


def test_pictures_that_all_fail_are_pending_beside_texts_that_are_answered(tmp_path):
    """Three of each, in turn: a server that reads no picture is no fault of the pictures."""
    content = [{'type': 'image_url', 'image_url': {'url': 'image:0'}}]
    shown = [make_request([{'role': 'user', 'content': [*content, {'type': 'text', 'text': f'{n}'}]}], model='m', revision='r1', settings=greedy(16),
                          images=[PICTURE]) for n in range(3)]
    asking = Asking(tmp_path, lambda r: replace(too_long(r), kind='bad_picture') if r.images else None)
    found = asking.ask([r for pair in zip(requests(3), shown, strict=True) for r in pair])
    assert [found[r.key].retryable for r in shown] == [True] * 3
    assert len(asking.stored()) == 3


@pytest.mark.parametrize('kind', ['rejected', 'malformed'])
def test_failures_that_old_stores_hold_without_proof_are_asked_again(tmp_path, kind):
    (one,) = requests(1)
    store = ReplyStore(tmp_path / 'replies')
    store.put_many([failure(one, kind, 'HTTP 402: Insufficient Balance', retryable=False)])
    store.close()
    found = Asking(tmp_path, lambda r: None).ask([one])
    assert isinstance(found[one.key], Reply)


def test_a_failure_that_a_backend_calls_final_without_a_known_kind_is_pending(tmp_path):
    asking = Asking(tmp_path, lambda r: failure(r, 'rejected', 'HTTP 402', retryable=False))
    assert all(o.retryable for o in asking.ask(requests(2)).values())
    assert asking.stored() == {}


def test_what_is_not_asked_once_it_is_open_fails_like_the_others(tmp_path):
    asking = Asking(tmp_path, lambda r: failed(r, 402))
    some = requests(40)
    found = asking.ask(some)
    assert len(asking.backend.asked) == FIRST
    assert {r.key for r in some} == found.keys() == {o.key for o in found.values()}
    said = 'HTTP 402: Insufficient Balance'
    assert [o.detail for o in found.values()] == [said] * FIRST + [f'not asked since those before failed in one way: {said}'] * 37
    assert [told(o) for o in found.values()] == [o.detail for o in found.values()]
    assert explain(list(found.values()), 40, where='m', cut_off=37).split('\n')[1] == f'40 x {said}'
    assert asking.breaker.n_cut_off == 37
    asking.ask(requests(5, 100))
    assert len(asking.backend.asked) == FIRST


def test_over_http_a_dead_quota_makes_few_posts_and_is_over_at_once(tmp_path):
    """429 is tried again as a rule, 5 times with pauses: not where the account has no quota left."""
    gone = '429:{"error": {"message": "You exceeded your current quota, please check your plan", "code": "insufficient_quota"}}'
    with FakeChatServer(Script(fault_of=lambda body, nth: gone, served=['m'])) as server:
        backend = OpenAIBackend(Model(base_urls=[server.url], model='m', revision='r1', concurrency=8))
        breaker = Breaker()
        found = ask(requests(100), store=ReplyStore(tmp_path / 'r'), backend=backend, ledger=Ledger(tmp_path / 'l', Budget()), source='s', breaker=breaker)
        backend.close()
        assert server.counts.total() <= 8 + FIRST
    assert all(o.retryable for o in found.values())


def test_the_message_counts_the_ways_and_says_what_to_do():
    some = requests(6)
    pending = [*(failed(r, 402, '{"error": {"message": "Insufficient Balance"}}') for r in some[:4]), failed(some[4], 401, 'bad key'),
               failure(some[5], 'transport', 'no server answered for 120 s', retryable=True)]
    said = explain(pending, 9, where='model m at u', cut_off=3)
    first, *ways = said.split('\n')
    assert first == 'model m at u: 6 of 9 call(s) have no reply, 3 of them not asked since those before failed in one way'
    assert ways[0] == '4 x HTTP 402: Insufficient Balance'
    assert 'top it up' in ways[1]
    assert 'api_key_env' in said
    assert 'start the server again' in said


def test_what_is_awaited_is_told_whole_with_the_command_that_brings_it():
    told = f'answers to {"/long" * 30}.jsonl are awaited: run `python -m runner -i {"/long" * 30}.jsonl --model m` and then the same build again'
    said = explain([failure(r, 'awaited', told, retryable=True) for r in requests(3)], 3, where='m')
    assert told in said
    assert 'nothing went wrong' in said


@pytest.mark.parametrize(('status', 'words', 'do'), [
    (402, '', 'top it up'), (403, '用户额度不足, 剩余额度: 0', 'top it up'), (429, 'You have reached your specified API usage limits.', 'top it up'),
    (400, 'You have exceeded your monthly included credits', 'top it up'), (200, 'usage: expected prompt_tokens from 0 to 9, found -5', 'budget'),
    (400, 'Your credit balance is too low', 'top it up'), (407, '<html>', 'HTTPS_PROXY'),
    (401, 'bad key', 'api_key_env'), (404, 'no such model', 'base_urls'), (400, 'At most 0 image(s) may be provided in one prompt', 'images: false'),
    (400, 'maximum context length is 64', 'max-model-len'), (413, '<html><title>Too Large</title>', 'client_max_body_size'),
    (400, 'must provide a chat template', '--chat-template'), (422, 'body.max_completion_tokens: Extra inputs', 'max_tokens'),
    (429, 'slow down', 'concurrency'), (500, 'oops', 'log'), (418, 'teapot', 'mend what it names'), (405, 'Method Not Allowed', '/v1'),
])
def test_each_way_to_fail_has_a_remedy(status, words, do):
    assert do in explain([failed(requests(1)[0], status, words)], 1, where='m')
