"""Whole builds against a server that has a bad day: it costs time, never data, money or truth. A few texts, no pictures."""

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from pipelines.build import Way, build_all
from pipelines.chat.breaker import LAST
from pipelines.chat.responses import failure
from pipelines.replies.store import ReplyStore
from schemas.errors import PendingWork
from schemas.recipe import load_recipe
from schemas.replies import ChatRequest, Failure, canonical_json
from tests.fakes import FakeChatServer
from tests.programmes.project import city, ids, knowing_server, phantom, question, rows_of, run
from tests.promises import promise

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group('bad_day')]
N = 30
CONCURRENCY = 4
RECIPE = {
    'name': 'texts',
    'sources': {'facts': {'format': 'instruction', 'annotations': ['facts.json'], 'licence': 'MIT'}},
    'models': {'fake': {'base_urls': ['http://127.0.0.1:9/v1'], 'model': 'fake-model', 'revision': 'r1', 'concurrency': CONCURRENCY,
                        'timeout_s': 20, 'max_retries': 2}},
    'generate': [{'prompt': 'paper', 'model': 'fake'}],
    'judge': {'model': 'fake', 'mode': 'likelihood'},
    'calibration': {'min_cases': 12},
}  # fmt: skip


def error(message: str, **others: object) -> str:
    return json.dumps({'error': {'message': message, **others}})


@dataclass
class Texts:
    """A recipe of a few texts, its data, and the folder of a build whose mix is sealed."""

    root: Path
    recipe: Path
    begun: Path

    def begin(self, folder: Path) -> Path:
        """Return an --out that has the mix and no triples."""
        shutil.copytree(self.begun, folder, symlinks=True)
        return folder

    def build(self, out: Path, server: FakeChatServer, *sets: str, give_up: bool = False) -> None:
        recipe = load_recipe(self.recipe, (f"models.fake.base_urls=['{server.url}']", *sets))
        build_all(recipe, out, Way(None, self.root, give_up=give_up))


@pytest.fixture(scope='module')
def texts(tmp_path_factory) -> Texts:
    folder = tmp_path_factory.mktemp('texts')
    (folder / 'data').mkdir()
    rows = [{'instruction': question(i), 'output': city(i)} for i in range(N)]
    (folder / 'data/facts.json').write_text(json.dumps(rows))
    (folder / 'recipe.yaml').write_text(yaml.safe_dump(RECIPE))
    found = Texts(folder / 'data', folder / 'recipe.yaml', folder / 'begun')
    build_all(load_recipe(found.recipe), found.begun, Way(None, found.root, mix_only=True))
    return found


@pytest.fixture(scope='module')
def reference(texts, tmp_path_factory) -> tuple[str, ...]:
    out = texts.begin(tmp_path_factory.mktemp('reference') / 'out')
    with knowing_server() as server:
        texts.build(out, server)
    return ids(out)


def is_probe(body: dict) -> bool:
    return 'Hello!' in json.dumps(body)


def is_judging(body: dict) -> bool:
    return 'prompt_logprobs' in body


def asked(server: FakeChatServer) -> list[dict]:
    return [body for body in server.bodies if not is_probe(body)]


def about(body: dict) -> str:
    return re.search(r'kingdom of (\w+)', json.dumps(body))[1]


def failing(fault: str, where: Callable[[dict], bool] = lambda body: True) -> Callable[[dict, int], str]:
    return lambda body, nth: fault if not is_probe(body) and where(body) else ''


LONG = '400:' + error("This model's maximum context length is 64 tokens. However, your prompt contains 300 input tokens", code=400)
FLAGGED = '400:' + error('The response was filtered', code='content_filter')
BAD_DAYS = [
    ('402:' + error('Insufficient Balance'), 'HTTP 402: Insufficient Balance', 'top it up'),
    ('400:' + error('Budget has been exceeded! Current cost: 14.1, Max budget: 10.0', type='budget_exceeded'), 'Budget has been exceeded', 'top it up'),
    ('400:' + error('Your credit balance is too low to access the API', type='invalid_request_error'), 'credit balance is too low', 'top it up'),
    ('429:' + error('You exceeded your current quota', code='insufficient_quota'), 'You exceeded your current quota', 'top it up'),
    ('401:' + error('Incorrect API key provided'), 'HTTP 401: Incorrect API key provided', 'api_key_env'),
    ('404:' + error('The model `x` does not exist'), 'does not exist', 'base_urls'),
    ('407:<html><title>Proxy Authentication Required</title></html>', 'HTTP 407: Proxy Authentication Required', 'HTTP_PROXY'),
    ('413:<html><title>413 Request Entity Too Large</title></html>', '413 Request Entity Too Large', 'client_max_body_size'),
    ('415:', 'HTTP 415', ''), ('421:', 'HTTP 421', ''), ('451:', 'HTTP 451', ''), ('418:["teapot"]', 'teapot', ''),
    ('422:' + json.dumps({'object': 'error', 'message': {'detail': [{'loc': ['body', 'max_completion_tokens'], 'msg': 'Extra inputs'}]}}),
     'body.max_completion_tokens: Extra inputs', 'max_tokens'),
    ('400:' + error('At most 0 image(s) may be provided in one prompt.'), 'At most 0 image', 'images: false'),
    ('400:' + error('max_tokens is too large: must be <= 16'), 'must be <= 16', 'max_tokens'),
    ('400:"you must provide a chat template"', 'chat template', '--chat-template'),
    (LONG, 'context length is 64', 'max-model-len'),
    ('200:' + error('Rate limit exceeded: free-models-per-day', code=429), 'free-models-per-day', 'top it up'),
    ('200:' + json.dumps({'id': None, 'choices': None, 'usage': None}), 'HTTP 200', 'no chat completion'),
    ('200:<html><body>Down for maintenance</body></html>', 'Down for maintenance', ''),
    ('500:' + error('CUDA error: device-side assert triggered'), 'HTTP 500: CUDA error', 'log'),
]  # fmt: skip


def stops(texts: Texts, out: Path, server: FakeChatServer) -> str:
    """Return what a build that is stopped says; it has sealed nothing, stored no failure and made few posts."""
    with pytest.raises(PendingWork, match='run the same command again to go on, or add --give-up') as e:
        texts.build(out, server)
    assert len(asked(server)) <= LAST + 2 * CONCURRENCY, 'it grinds through what will fail'
    assert not (out / 'triples').exists()
    store = ReplyStore(out / 'work/replies')
    assert [outcome for outcome in store.outcomes() if isinstance(outcome, Failure)] == []
    store.close()
    return str(e.value)


@pytest.mark.parametrize(('fault', 'words', 'remedy'), BAD_DAYS)
@promise('Processes', "A server that fails everything stops the build with the server's words and a remedy (exit code 4).", failures=len(BAD_DAYS))
def test_a_server_that_fails_everything_stops_the_build_with_its_words_and_a_remedy(texts, tmp_path, fault, words, remedy):
    with knowing_server(fault_of=failing(fault)) as server:
        said = stops(texts, texts.begin(tmp_path / 'out'), server)
    assert words in said
    assert remedy in said
    assert 'everything that came back is stored' in said


@pytest.mark.parametrize('fault', [BAD_DAYS[0][0], LONG, '200:<html><body>Down for maintenance</body></html>'])
@promise('Processes', 'What failed on a bad day is asked again when the server is mended.')
def test_a_mended_server_is_asked_again(texts, reference, tmp_path, fault):
    out = texts.begin(tmp_path / 'out')
    with knowing_server(fault_of=failing(fault)) as server:
        stops(texts, out, server)
        server.script.fault_of = lambda body, nth: ''
        texts.build(out, server)
    assert ids(out) == reference


@pytest.mark.parametrize(('fault', 'words'), [('402:' + error('Insufficient Balance'), 'Insufficient Balance'), ('403:' + error('quota'), 'quota')])
@promise('Processes', 'Credit that runs out loses nothing, and nothing is paid twice.')
def test_credit_that_runs_out_while_judging_loses_nothing_and_pays_nothing_twice(texts, reference, tmp_path, fault, words):
    out = texts.begin(tmp_path / 'out')
    left = [70]

    def fault_of(body: dict, nth: int) -> str:
        left[0] -= not is_probe(body)
        return fault if left[0] < 0 and not is_probe(body) else ''

    with knowing_server(fault_of=fault_of) as server:
        with pytest.raises(PendingWork, match=words):
            texts.build(out, server)
        before = {json.dumps(body): body for body in asked(server)[:70]}
        first = len(server.bodies)
        server.script.fault_of = lambda body, nth: ''
        texts.build(out, server)
        again = [body for body in server.bodies[first:] if json.dumps(body) in before]
    assert first <= 70 + LAST + 2 * CONCURRENCY
    assert not again, 'a stored reply was asked for again'
    assert ids(out) == reference


def test_one_request_that_is_too_long_is_told_with_status_and_words_and_is_asked_once(texts, tmp_path):
    out = texts.begin(tmp_path / 'out')
    with knowing_server(fault_of=failing(LONG, lambda body: not is_judging(body) and about(body) == land_of(3))) as server:
        texts.build(out, server)
        assert sum(not is_judging(body) and about(body) == land_of(3) for body in asked(server)) == 1
    lost = [row for row in rows_of(out / 'triples', 'rejections') if row['reason'] == 'SERVER_FAILED']
    assert len(lost) == 1
    assert 'HTTP 400' in lost[0]['detail']
    assert 'maximum context length is 64' in lost[0]['detail']


def land_of(number: int) -> str:
    return re.search(r'kingdom of (\w+)', question(number))[1]


def few(n: int) -> Callable[[dict], bool]:
    """Return whether a request is about one of `n` texts, those that are asked last."""
    names = {land_of(number) for number in range(N - n, N)}
    return lambda body: about(body) in names


def test_more_than_a_few_that_failed_for_good_wait_for_the_user(texts, tmp_path):
    """Three of 30 are more than 2 %; 20 % are allowed by a recipe that says so, or given up."""
    out = texts.begin(tmp_path / 'out')
    with knowing_server(fault_of=failing(LONG, lambda body: not is_judging(body) and few(3)(body))) as server:
        with pytest.raises(PendingWork) as e:
            texts.build(out, server)
        assert '3 of 30 call(s) of generate[0] failed for good, expected at most 0.02 of them (max_failed)' in str(e.value)
        assert "3 x HTTP 400: This model's maximum context length" in str(e.value)
        assert f'phantom replies forget {out}/work/replies --failures' in str(e.value)
        assert '--give-up' in str(e.value)
        n = len(asked(server))
        texts.build(out, server, 'generate=[{prompt: paper, model: fake, max_failed: 0.2}]')
        assert len([body for body in asked(server)[n:] if not is_judging(body)]) == 0, 'a threshold asks nothing again'
        other = texts.begin(tmp_path / 'other')
        texts.build(other, server, give_up=True)
    for folder in (out, other):
        reasons = [row['reason'] for row in rows_of(folder / 'triples', 'rejections')]
        assert reasons.count('SERVER_FAILED') == 3


def test_a_judge_whose_calls_failed_for_good_waits_for_the_user_too(texts, tmp_path):
    out = texts.begin(tmp_path / 'out')
    with knowing_server(fault_of=failing(LONG, lambda body: is_judging(body) and few(4)(body))) as server:
        with pytest.raises(PendingWork, match=r'call\(s\) of judge failed for good'):
            texts.build(out, server)
        texts.build(out, server, 'judge.max_failed=1')
    reasons = [row['reason'] for row in rows_of(out / 'triples', 'rejections')]
    assert reasons.count('SERVER_FAILED') == 4
    assert 'UNPARSABLE_VERDICT' not in reasons


def test_what_the_model_refuses_is_its_own_reason_and_no_failure_of_the_server(texts, tmp_path):
    out = texts.begin(tmp_path / 'out')
    with knowing_server(fault_of=failing(FLAGGED, lambda body: not is_judging(body) and few(5)(body))) as server:
        texts.build(out, server)
    reasons = [row['reason'] for row in rows_of(out / 'triples', 'rejections')]
    assert reasons.count('REFUSED_REPLY') == 5


def test_given_up_calls_say_with_what_they_failed(texts, tmp_path):
    out = texts.begin(tmp_path / 'out')
    with knowing_server(fault_of=failing('402:' + error('Insufficient Balance'), lambda body: not is_judging(body) and few(6)(body))) as server:
        with pytest.raises(PendingWork, match='6 of 30'):
            texts.build(out, server)
        texts.build(out, server, give_up=True)
    lost = [row for row in rows_of(out / 'triples', 'rejections') if row['reason'] == 'GIVEN_UP']
    assert [row['detail'] for row in lost] == ['HTTP 402: Insufficient Balance'] * 6


def test_the_message_is_whole_through_the_front_door_and_worker_processes(texts, tmp_path):
    out = texts.begin(tmp_path / 'out')
    with knowing_server(fault_of=failing('402:' + error('Insufficient Balance'))) as server:
        command = [phantom(), 'build', str(texts.recipe), '--out', str(out), '--root', str(texts.root), '--set', f"models.fake.base_urls=['{server.url}']",
                   '--direct_running_mode=multi_processing', '--direct_num_workers=2']
        done = run(command)
    assert done.returncode == 4, done.stderr
    assert f"model 'fake-model' at {server.url}: 30 of 30 call(s) have no reply" in done.stderr
    assert 'HTTP 402: Insufficient Balance' in done.stderr
    assert 'top it up' in done.stderr
    assert 'Traceback' not in done.stderr


def test_a_store_of_an_older_version_whose_failures_were_never_proven_is_mended(texts, reference, tmp_path):
    out = texts.begin(tmp_path / 'out')
    store = ReplyStore(out / 'work/replies')
    with knowing_server() as server:
        texts.build(texts.begin(tmp_path / 'first'), server)
        bodies = [{k: v for k, v in body.items() if k != 'model'} for body in asked(server)]
    some = [ChatRequest(canonical_json(body), 'fake-model', 'r1') for body in bodies[:20]]
    store.put_many(failure(request, 'rejected', 'HTTP 402: Insufficient Balance', retryable=False) for request in some)
    store.close()
    with knowing_server() as server:
        texts.build(out, server)
    assert ids(out) == reference
