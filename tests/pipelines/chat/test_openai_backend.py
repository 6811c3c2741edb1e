"""The HTTP backend against a real server on loopback that misbehaves on command."""

import hashlib
import json
import threading
import time

import pytest

from pipelines.chat import allowance, pace, transport
from pipelines.chat.endpoints import Endpoints
from pipelines.chat.openai_backend import OpenAIBackend
from pipelines.chat.remedies import told
from pipelines.chat.requests import choice, greedy, likelihood, make_request
from schemas.errors import UserError
from schemas.recipe import Model
from schemas.replies import ChatRequest, Failure, Reply, SentImage
from tests.fakes import FakeChatServer, Script, completion
from tests.pipelines.chat.raw_server import Raw

PNG = b'\x89PNG not decoded here'
DIGEST = hashlib.sha256(PNG).hexdigest()


def settings(*urls: str, **changes) -> Model:
    values = {'concurrency': 4, 'timeout_s': 5, 'max_retries': 3, 'images': True, **changes}
    return Model(base_urls=list(urls), model='fake-model', revision='r1', **values)


def requests(count: int, **changes) -> list[ChatRequest]:
    made = {'model': 'fake-model', 'revision': 'r1', 'settings': greedy(16), **changes}
    return [make_request([{'role': 'user', 'content': f'question {n}'}], **made) for n in range(count)]


@pytest.fixture
def opened():
    made = []

    def make(model: Model, **changes) -> OpenAIBackend:
        made.append(OpenAIBackend(model, **{'first_backoff_s': 0.01, **changes}))
        return made[-1]

    yield make
    for backend in made:
        backend.close()


def number(body: dict) -> int:
    return int(body['messages'][-1]['content'].split()[-1])


def only(fault: str, *numbers: int, first: int = 10**6):
    """Return a script in which `fault` meets the requests `numbers`, the first `first` times."""
    return Script(fault_of=lambda body, nth: fault if number(body) in numbers and nth <= first else '')


def test_every_request_gets_the_reply_of_its_own_body(opened):
    asked = requests(20)
    with FakeChatServer() as server:
        replies = {r.key: r for r in opened(settings(server.url)).complete(asked)}
    assert replies.keys() == {r.key for r in asked}
    for request in asked:
        expected = completion({**json.loads(request.body), 'model': 'fake-model'})
        reply = replies[request.key]
        assert reply.text == expected['choices'][0]['message']['content']
        assert (reply.model, reply.revision, reply.finish_reason) == ('fake-model', 'r1', 'stop')
        assert (reply.prompt_tokens, reply.completion_tokens) == (2, 2)
        assert json.loads(reply.raw)['id'] == expected['id']


def test_concurrency_is_used_and_never_exceeded(opened):
    three = threading.Barrier(3, timeout=60)  # no request is answered before three are there

    def fault_of(body, nth):
        three.wait()
        return ''

    with FakeChatServer(Script(fault_of=fault_of, delay_s=0.05)) as server:
        outcomes = list(opened(settings(server.url, concurrency=3, timeout_s=60)).complete(requests(12)))
        assert server.most_in_flight == 3
    assert all(isinstance(o, Reply) for o in outcomes)


@pytest.mark.parametrize('fault', ['402', '401', 'credit'])
def test_a_server_that_refuses_the_account_leaves_its_calls_to_the_others(opened, fault):
    """It is asked again from time to time; where all refuse, each call ends at once."""
    said = json.dumps({'error': {'message': 'Your credit balance is too low'}}) if fault == 'credit' else ''
    refuses = Script(fault_of=lambda body, nth: f'400:{said}' if said else fault)
    with FakeChatServer(refuses) as one, FakeChatServer() as two, FakeChatServer(refuses) as three:
        outcomes = list(opened(settings(one.url, two.url, max_retries=0)).complete(requests(20)))
        assert all(isinstance(o, Reply) for o in outcomes)
        assert two.counts.total() == 20
        asked = one.counts.total()
        assert 1 <= asked <= 10
        outcomes = list(opened(settings(one.url, three.url, max_retries=3)).complete(requests(6)))
        assert all(isinstance(o, Failure) and o.retryable for o in outcomes)
        assert one.counts.total() - asked + three.counts.total() <= 12


def test_requests_are_read_as_they_free_up_not_all_at_once(opened):
    arrived, ahead = [], []

    def feed():
        for n, request in enumerate(requests(40), 1):
            ahead.append(n - len(arrived))
            yield request

    with FakeChatServer() as server:
        outcomes = list(opened(settings(server.url, concurrency=2)).complete(feed(), arrived.append))
    assert arrived == outcomes
    assert len(outcomes) == len(ahead) == 40
    assert max(ahead) == 2


@pytest.mark.parametrize('fault', ['429', '500', '503', 'malformed', 'not_json', 'dropped'])
def test_a_passing_fault_is_retried_until_the_reply_comes(opened, fault, monkeypatch):
    monkeypatch.setattr(allowance, 'PAUSE_S', 0.01)
    with FakeChatServer(only(fault, 2, 5, first=2)) as server:
        outcomes = list(opened(settings(server.url)).complete(requests(8)))
        assert len(outcomes) == 8
        assert all(isinstance(o, Reply) for o in outcomes)
        assert sorted(server.counts.values()) == [1] * 6 + [3, 3]


@pytest.mark.parametrize(
    ('fault', 'kind', 'retryable', 'times_asked'),
    [
        ('500', 'transport', True, 4), ('dropped', 'transport', True, 4),
        ('malformed', 'malformed', True, 4), ('not_json', 'malformed', True, 4),
        ('400', 'transport', True, 1), ('401', 'transport', True, 1), ('length', 'length', False, 1),
        ('refused', 'refused', False, 1),
    ],
)
def test_a_lasting_fault_fails_its_own_request_only(opened, fault, kind, retryable, times_asked):
    asked = requests(6)
    with FakeChatServer(only(fault, 3)) as server:
        outcomes = {o.key: o for o in opened(settings(server.url)).complete(asked)}
        failed = outcomes.pop(asked[3].key)
        assert isinstance(failed, Failure)
        assert (failed.kind, failed.retryable, failed.model, failed.revision) == (kind, retryable, 'fake-model', 'r1')
        assert len(outcomes) == 5
        assert all(isinstance(o, Reply) for o in outcomes.values())
        assert sorted(server.counts.values()) == sorted([1] * 5 + [times_asked])


def test_without_credit_no_call_is_tried_again_whatever_the_status(opened):
    gone = '429:{"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}}'
    with FakeChatServer(Script(fault_of=lambda body, nth: gone)) as server:
        outcomes = list(opened(settings(server.url)).complete(requests(6)))
        assert sorted(server.counts.values()) == [1] * 6
    assert all(o.retryable and o.status == 429 for o in outcomes)


@pytest.mark.parametrize('fault', ['timeout', 'trickle'])
def test_a_reply_that_does_not_come_in_time_is_not_waited_for(opened, fault, monkeypatch):
    """The server holds on for as long as the test may take."""
    monkeypatch.setattr(transport, 'SIGNS_OF_LIFE', 2)
    with FakeChatServer(Script(fault_of=lambda body, nth: fault, hang_s=3600)) as server:
        outcomes = list(opened(settings(server.url, timeout_s=0.8, max_retries=1)).complete(requests(2)))
        assert list(server.counts.values()) == [2, 2]
    told = {'timeout': 'no reply within 0.8 s', 'trickle': 'nothing but signs of life within 1.6 s'}[fault]
    assert [(o.kind, o.retryable, o.detail) for o in outcomes] == [('transport', True, told)] * 2


def test_a_server_that_only_refuses_for_want_of_room_uses_up_the_retries(opened, monkeypatch):
    monkeypatch.setattr(allowance, 'PAUSE_S', 0.01)
    with FakeChatServer(Script(fault_of=lambda body, nth: '429')) as server:
        (failed,) = opened(settings(server.url)).complete(requests(1))
        assert server.counts.total() == 4
    assert (failed.kind, failed.retryable, failed.status) == ('transport', True, 429)


def test_a_request_that_is_always_refused_for_want_of_room_ends_by_patience_and_the_others_go_on(opened, monkeypatch):
    monkeypatch.setattr(allowance, 'PAUSE_S', 0.01)
    asked = requests(6)
    with FakeChatServer(only('429', 3)) as server:
        outcomes = {o.key: o for o in opened(settings(server.url), patience_s=0.5).complete(asked)}
    assert [key for key, o in outcomes.items() if isinstance(o, Failure)] == [asked[3].key]


def test_an_empty_purse_is_not_waited_for(opened):
    """It is a 429 to OpenAI, and no wait brings room."""
    words = {'error': {'message': 'You exceeded your current quota', 'type': 'insufficient_quota', 'code': 'insufficient_quota'}}
    with Raw(lambda body, nth: (429, words)) as server:
        (failed,) = opened(settings(server.url)).complete(requests(1))
        assert server.posts == 1
    assert (failed.retryable, failed.status, failed.detail) == (True, 429, f'HTTP 429: {json.dumps(words)}')


def test_what_a_failure_cost_and_the_servers_own_words_are_kept(opened):
    body = {'error': {'message': 'worker died'}, 'usage': {'prompt_tokens': 7, 'completion_tokens': 3}}
    with Raw(lambda *_: (500, body)) as server:
        (failed,) = opened(settings(server.url, max_retries=0)).complete(requests(1))
    assert (failed.status, failed.prompt_tokens, failed.completion_tokens, failed.detail) == (500, 7, 3, f'HTTP 500: {json.dumps(body)}')
    with Raw(lambda *_: (502, b'<html>\n<h1>502 Bad Gateway</h1></html>')) as server:
        (failed,) = opened(settings(server.url, max_retries=0)).complete(requests(1))
    assert failed.detail == 'HTTP 502: <html>\n<h1>502 Bad Gateway</h1></html>', 'as it came'
    assert told(failed) == 'HTTP 502: 502 Bad Gateway (a page, no answer of a chat server)'


def test_every_try_is_heard_once_and_none_begins_after_a_no(opened):
    """Two calls fail; the second failure is answered by no: their retries, a minute away, end within a second."""
    heard = []

    def hear(outcome):
        heard.append(outcome)
        return len(heard) < 3

    with FakeChatServer(Script(fault_of=lambda body, nth: '500')) as server:
        backend = opened(settings(server.url, concurrency=2, max_retries=10), first_backoff_s=0.01)
        backend._backoff = lambda retries: 0.01 if retries < 2 else 60.0
        begun = time.monotonic()
        outcomes = list(backend.complete(requests(50), hear))
        assert time.monotonic() - begun < 30
        assert server.counts.total() == len(heard)
    assert 3 <= len(heard) <= 4
    assert len(outcomes) == 2
    assert all(o in heard for o in outcomes)


def test_more_calls_than_a_hundred_can_be_in_flight(opened, monkeypatch):
    """As many as the HTTP library allows by default: no request is answered before 120 are there."""
    monkeypatch.setattr(pace, 'START', 120)
    together = threading.Barrier(120, timeout=60)

    def fault_of(body, nth):
        together.wait()
        return ''

    with FakeChatServer(Script(fault_of=fault_of)) as server:
        outcomes = list(opened(settings(server.url, concurrency=120, timeout_s=60)).complete(requests(120)))
    assert [type(o) for o in outcomes] == [Reply] * 120


def test_a_paid_failure_counts_its_tokens_and_keeps_its_text(opened):
    with FakeChatServer(only('length', 0)) as server:
        (failed,) = opened(settings(server.url)).complete(requests(1))
    assert (failed.prompt_tokens, failed.completion_tokens) == (2, 2)
    assert failed.text.startswith('reply ')


def test_a_one_token_request_that_ends_by_length_is_a_reply(opened):
    asked = requests(1, settings=greedy(1))
    with FakeChatServer(only('length', 0)) as server:
        (reply,) = opened(settings(server.url)).complete(asked)
    assert isinstance(reply, Reply)


def test_retry_after_is_honoured_for_the_whole_server(opened, monkeypatch):
    """Request 0 is told to wait 0.6 s while request 1 is in flight; the other worker must not go on at that server either."""
    told, refused, asked_at = threading.Event(), Endpoints.refused_for_want_of_room, []

    def note(endpoints, turn, seconds):
        asked_at.append(time.monotonic())
        told.set()
        return refused(endpoints, turn, seconds)

    def fault_of(body, nth):
        if number(body) == 1:
            told.wait(30)
        return '429' if number(body) == 0 and nth == 1 else ''

    monkeypatch.setattr(Endpoints, 'refused_for_want_of_room', note)
    with FakeChatServer(Script(fault_of=fault_of, retry_after='0.6')) as server:
        outcomes = list(opened(settings(server.url, concurrency=2, timeout_s=60)).complete(requests(10)))
    assert all(isinstance(o, Reply) for o in outcomes)
    assert len(outcomes) == 10
    assert {number(body) for body in server.bodies[:2]} == {0, 1}
    assert server.arrivals[2] - asked_at[0] >= 0.6


def test_a_server_that_goes_away_and_comes_back_loses_no_request(opened):
    gone = threading.Event()

    def fault_of(body, nth):
        if number(body) >= 30:
            gone.wait(60)  # these are in flight when the server goes
        return ''

    server = FakeChatServer(Script(fault_of=fault_of))
    server.start()
    backend = opened(settings(server.url, timeout_s=60))
    outcomes = backend.complete(requests(60))
    first = [next(outcomes) for _ in range(5)]
    server.stop()
    gone.set()
    stopped = time.monotonic()
    threading.Timer(1.5, server.start).start()
    rest = list(outcomes)
    server.stop()
    assert time.monotonic() - stopped > 1.5
    assert len(first) + len(rest) == 60
    assert all(isinstance(o, Reply) for o in first + rest)


def test_a_server_that_stays_away_makes_its_requests_pending(opened):
    server = FakeChatServer()
    server.start()
    backend = opened(settings(server.url), patience_s=0.2)
    server.stop()
    outcomes = list(backend.complete(requests(6)))
    assert [(o.kind, o.retryable) for o in outcomes] == [('transport', True)] * 6


def test_a_dead_server_is_left_out_and_the_others_share_the_work(opened):
    with FakeChatServer() as one, FakeChatServer() as two, FakeChatServer() as dead:
        dead.stop()
        outcomes = list(opened(settings(one.url, dead.url, two.url)).complete(requests(40)))
        assert all(isinstance(o, Reply) for o in outcomes)
        assert len(outcomes) == 40
        assert one.counts.total() + two.counts.total() == 40
        assert min(one.counts.total(), two.counts.total()) >= 10


def test_images_travel_as_data_urls_of_the_bytes_and_enter_the_key_as_digests(opened):
    content = [{'type': 'image_url', 'image_url': {'url': 'image:0'}}, {'type': 'text', 'text': 'what 1'}]
    request = make_request(
        [{'role': 'user', 'content': content}], model='fake-model', revision='r1', settings=greedy(4),
        images=[SentImage(DIGEST, DIGEST, 'image/png', PNG)],
    )
    assert DIGEST in request.body
    assert 'base64' not in request.body
    with FakeChatServer() as server:
        list(opened(settings(server.url)).complete([request]))
        (part, _) = server.bodies[0]['messages'][0]['content']
    assert part['image_url']['url'] == 'data:image/png;base64,iVBORyBub3QgZGVjb2RlZCBoZXJl' or part['image_url']['url'].startswith(
        'data:image/png;base64,iVBOR'
    )


def test_check_passes_a_server_that_does_what_is_needed(opened):
    with FakeChatServer() as server:
        opened(settings(server.url)).check(frozenset({'images', 'choice', 'logprobs', 'prompt_logprobs', 'json_schema'}))


def test_check_without_needs_asks_nothing(opened):
    with FakeChatServer() as server:
        opened(settings(server.url)).check()
        assert server.counts.total() == 0


def test_check_names_the_models_found(opened):
    with FakeChatServer(Script(served=['llama', 'qwen'])) as server, pytest.raises(UserError) as e:
        opened(settings(server.url)).check()
    assert "expected model 'fake-model', found ['llama', 'qwen']" in str(e.value)
    assert server.url in str(e.value)


def test_check_names_an_unreachable_server_and_what_to_do(opened):
    with FakeChatServer() as server:
        url = server.url
    with pytest.raises(UserError, match='expected an answer, found .*refused.*start the server') as e:
        opened(settings(url)).check()
    assert url in str(e.value)


@pytest.mark.parametrize(
    ('need', 'ignored'), [('prompt_logprobs', 'prompt_logprobs'), ('choice', 'structured_outputs'), ('json_schema', 'response_format')]
)
def test_check_finds_a_server_that_silently_ignores_what_is_needed(opened, need, ignored):
    with FakeChatServer(Script(lacks=[ignored])) as server, pytest.raises(UserError, match=f'expected support for {need}'):
        opened(settings(server.url)).check(frozenset({need}))


def test_check_refuses_pictures_for_a_model_that_is_declared_blind(opened):
    with FakeChatServer() as server, pytest.raises(UserError, match='expected support for images'):
        opened(settings(server.url, images=False)).check(frozenset({'images'}))


def test_the_key_comes_from_the_environment_and_is_never_shown(opened, monkeypatch):
    monkeypatch.setenv('PHANTOM_TEST_KEY', 'sk-secret-123')
    with FakeChatServer(Script(key='sk-secret-123')) as server:
        backend = opened(settings(server.url, api_key_env='PHANTOM_TEST_KEY'))
        backend.check()
        assert isinstance(next(backend.complete(requests(1))), Reply)
        server.script.key = 'sk-other'  # from now on the server quotes the key it refuses
        (failed,) = backend.complete(requests(1))
        with pytest.raises(UserError, match='PHANTOM_TEST_KEY') as e:
            backend.check()
    assert failed.kind == 'transport'
    assert failed.retryable
    assert 'bad key Bearer ***' in failed.detail
    assert 'sk-secret' not in str(e.value)
    assert 'sk-secret' not in repr(backend) + str(vars(failed) if hasattr(failed, '__dict__') else failed)


def test_openai_itself_without_a_key_is_refused_before_any_call(opened, monkeypatch):
    monkeypatch.delenv('OPENAI_API_KEY', raising=False)
    with pytest.raises(UserError, match=r'expected an API key in \$OPENAI_API_KEY'):
        opened(settings()).check()


def test_a_consumer_that_stops_early_leaves_a_backend_that_still_works(opened):
    closed = threading.Event()

    def fault_of(body, nth):
        if number(body) >= 10:
            closed.wait(60)
        return ''

    with FakeChatServer(Script(fault_of=fault_of)) as server:
        backend = opened(settings(server.url, timeout_s=60))
        outcomes = backend.complete(requests(50))
        next(outcomes)
        outcomes.close()
        closed.set()
        assert len(list(backend.complete(requests(100)))) == 100
        assert server.counts.total() < 100 + 30


def test_scores_come_back_as_numbers(opened):
    judged = make_request(
        [{'role': 'user', 'content': 'q'}, {'role': 'assistant', 'content': 'one two'}], model='fake-model', revision='r1',
        settings=likelihood(),
    )
    guided = make_request([{'role': 'user', 'content': 'q'}], model='fake-model', revision='r1', settings=choice(['Yes', 'No']))
    with FakeChatServer(Script(likelihood=lambda prompt, answer: -1.25)) as server:
        outcomes = {o.key: o for o in opened(settings(server.url)).complete([judged, guided])}
    assert [(t.token, t.logprob) for t in outcomes[judged.key].prompt_logprobs] == [
        ('<start>', -1.0), ('\n', -0.5), ('one', -1.25), (' two', -1.25)
    ]
    (token,) = outcomes[guided.key].logprobs
    assert token.token == outcomes[guided.key].text
    assert {t for t, _ in token.top} == {'Yes', 'No'}
