"""vLLM inside a process, without vLLM: what is refused, what is shared, what a broken engine costs. The real one: tests/programmes/test_seeing_vllm.py."""

import os
import subprocess
import sys
from types import ModuleType, SimpleNamespace

import pytest

from pipelines.chat import vllm_backend, vllm_engine
from pipelines.chat.ask import ask
from pipelines.chat.manners import Manners
from pipelines.chat.open import open_backend
from pipelines.chat.requests import greedy, make_request
from pipelines.chat.responses import read_response
from pipelines.chat.vllm_backend import VllmBackend
from pipelines.replies.ledger import Ledger
from pipelines.replies.store import ReplyStore
from schemas.errors import BudgetExceeded, UserError
from schemas.recipe import Budget, Model
from schemas.replies import Reply

MODEL = Model(backend='vllm', model='m', revision='r')
REFUSALS = {
    'refuse': 'The decoder prompt (length 90) is longer than the maximum model length of 64, <object at 0x7f1234>',
    'no template': 'As of transformers v4.44, default chat template is no longer allowed, so you must provide a chat template',
}


def requests(*texts: str):
    return [make_request([{'role': 'user', 'content': text}], model='m', revision='r', settings=greedy(4)) for text in texts]


class FakeLLM:
    """Stands in for vllm.LLM: numbers what it is given, answers with it, dies of the word 'die'."""

    started: list['FakeLLM'] = []

    def __init__(self, **options):
        self.waiting, self.ended = {}, False
        self.model_config = SimpleNamespace(is_multimodal_model=False)
        self.llm_engine = SimpleNamespace(engine_core=SimpleNamespace(shutdown=self.end))
        self.started.append(self)

    def end(self):
        self.ended = True

    def enqueue_chat(self, messages, params, **settings):
        if messages[0]['content'] in REFUSALS:
            raise ValueError(REFUSALS[messages[0]['content']])
        number = str(len(self.waiting))
        self.waiting[number] = messages[0]['content']
        return [f'{number}-5ee4']

    def wait_for_completion(self, use_tqdm):
        if 'die' in self.waiting.values():
            raise RuntimeError('out of memory')
        found = [
            SimpleNamespace(request_id=number, prompt_token_ids=[1, 2], prompt_logprobs=None,
                            outputs=[SimpleNamespace(text=f'to {text}', finish_reason='stop', token_ids=[3], logprobs=None)])
            for number, text in self.waiting.items()
        ]
        self.waiting = {}
        return found[::-1]


@pytest.fixture
def fake_vllm(monkeypatch):
    errors = ModuleType('vllm.exceptions')
    errors.VLLMError = type('VLLMError', (Exception,), {})
    errors.VLLMClientError = type('VLLMClientError', (errors.VLLMError,), {})
    state = ModuleType('vllm.distributed.parallel_state')
    state.cleanup_dist_env_and_memory = lambda: None
    whole = ModuleType('vllm')
    whole.LLM = FakeLLM
    modules = {'vllm': whole, 'vllm.exceptions': errors, 'vllm.distributed': ModuleType('vllm.distributed'), 'vllm.distributed.parallel_state': state}
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(vllm_backend, 'sampling_params', lambda body: None)
    monkeypatch.setattr(FakeLLM, 'started', [])
    monkeypatch.setenv('VLLM_ENABLE_V1_MULTIPROCESSING', '1')
    monkeypatch.setenv('PYTHONSAFEPATH', '')
    return FakeLLM.started


def test_without_vllm_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setattr(vllm_backend.importlib.util, 'find_spec', lambda name: None)
    with pytest.raises(UserError, match=r'expected vLLM in this environment.*phantom-curation\[vllm\]'):
        VllmBackend(MODEL).check()
    monkeypatch.setitem(sys.modules, 'vllm', None)
    with pytest.raises(UserError, match=r'expected vLLM in this environment'):
        list(VllmBackend(MODEL).complete(requests('a')))


def test_a_blind_model_is_not_asked_to_see(fake_vllm):
    with pytest.raises(UserError, match='expected support for images'):
        VllmBackend(MODEL).check(frozenset({'images'}))
    with pytest.raises(UserError, match='expected a model that sees'):
        list(VllmBackend(MODEL.model_copy(update={'images': True})).complete(requests('a')))
    assert fake_vllm[0].ended


def test_check_starts_no_engine(fake_vllm, monkeypatch):
    monkeypatch.setattr(vllm_backend.importlib.util, 'find_spec', lambda name: object())
    VllmBackend(MODEL).check(frozenset({'choice'}))
    assert fake_vllm == []


def test_backends_of_one_model_share_an_engine_and_the_last_to_close_ends_it(fake_vllm):
    one, other = VllmBackend(MODEL, {'dtype': 'float32'}), VllmBackend(MODEL, {'dtype': 'float32'})
    assert [o.text for o in one.complete(requests('a', 'b'))] == ['to b', 'to a']
    assert next(iter(other.complete(requests('c')))).text == 'to c'
    one.close()
    one.close()
    assert [engine.ended for engine in fake_vllm] == [False]
    other.close()
    assert [engine.ended for engine in fake_vllm] == [True]
    assert vllm_engine._engines == {}


def test_between_steps_an_engine_is_kept_and_ended_after_the_last(fake_vllm):
    with vllm_engine.kept():
        for text in ('candidates', 'verdicts'):
            step = VllmBackend(MODEL)
            list(step.complete(requests(text)))
            step.close()
        assert [engine.ended for engine in fake_vllm] == [False]
    assert [engine.ended for engine in fake_vllm] == [True]


def test_a_request_the_engine_refuses_fails_alone_and_names_no_address(fake_vllm):
    backend = VllmBackend(MODEL)
    refused, templateless, answered = backend.complete(requests('refuse', 'no template', 'a'))
    assert (refused.kind, refused.retryable) == ('too_long', False)
    assert refused.detail.endswith('model length of 64, <object>')
    assert (templateless.kind, templateless.retryable) == ('engine', True)
    assert isinstance(answered, Reply)
    backend.close()


def test_replies_name_the_version_that_check_found(fake_vllm, tmp_path):
    backend = open_backend(MODEL, tmp_path, Manners(served_by='vLLM 0.32.0'))
    assert [o.served_by for o in backend.complete(requests('a'))] == ['m; vLLM 0.32.0']
    backend.close()


def generated(text: str, finish: str | None) -> SimpleNamespace:
    done = SimpleNamespace(text=text, finish_reason=finish, token_ids=[3, 4], logprobs=None)
    return SimpleNamespace(prompt_token_ids=[1, 2], prompt_logprobs=None, outputs=[done])


@pytest.mark.parametrize('text', ['<think>red?</think>blue', 'red?\n</think>\n\nblue', 'analysisRed?assistantfinalblue'])
def test_thoughts_of_an_engine_in_this_process_are_told_apart_too(text):
    """It drops special tokens: of the Harmony format the words of its headers are left."""
    reply = read_response(requests('q')[0], vllm_backend.as_payload(generated(text, 'stop'), 'm'))
    assert (reply.text, reply.reasoning.casefold()) == ('blue', 'red?')


@pytest.mark.parametrize(('finish', 'kind', 'retryable'), [('abort', 'malformed', True), ('error', 'malformed', True), (None, 'malformed', True),
                                                           ('length', 'length', False), ('repetition', 'length', False)])
def test_what_the_engine_did_not_end_is_pending_and_what_its_limit_ended_is_cut(finish, kind, retryable):
    outcome = read_response(requests('q')[0], vllm_backend.as_payload(generated('blu', finish), 'm'))
    assert (outcome.kind, outcome.retryable, outcome.completion_tokens) == (kind, retryable, 2)


def test_a_spent_budget_stops_within_one_window(fake_vllm, monkeypatch, tmp_path):
    """Each request costs 3 tokens: 10 are allowed, and the window that holds the tenth is answered."""
    monkeypatch.setattr(vllm_backend, 'WINDOW', 4)
    store, backend = ReplyStore(tmp_path / 'replies'), VllmBackend(MODEL)
    with pytest.raises(BudgetExceeded, match='tokens: 36 of 30'):
        ask(requests(*map(str, range(40))), store=store, backend=backend, ledger=Ledger(tmp_path / 'ledger', Budget(tokens=30)), source='s')
    assert store.stats().keys == 12
    backend.close()


def test_an_engine_that_dies_leaves_its_requests_pending_and_another_takes_its_place(fake_vllm):
    backend = VllmBackend(MODEL)
    refused, *lost = backend.complete(requests('a', 'die', 'refuse'))
    assert not refused.retryable
    assert [(o.kind, o.retryable) for o in lost] == [('transport', True)] * 2
    assert 'out of memory' in lost[0].detail
    assert isinstance(next(iter(backend.complete(requests('b')))), Reply)
    assert [engine.ended for engine in fake_vllm] == [True, False]
    backend.close()


def test_an_engine_that_another_backend_saw_die_is_replaced(fake_vllm):
    one, other = VllmBackend(MODEL), VllmBackend(MODEL)
    for backend in (one, other):
        list(backend.complete(requests('a')))
    assert all(o.retryable for o in one.complete(requests('die')))
    assert [o.text for o in other.complete(requests('b'))] == ['to b']
    assert [engine.ended for engine in fake_vllm] == [True, False]
    one.close()
    other.close()
    assert vllm_engine._engines == {}


def test_the_engine_is_no_process_of_its_own_whatever_the_environment_says(fake_vllm):
    backend = VllmBackend(MODEL)
    list(backend.complete(requests('a')))
    backend.close()
    assert os.environ['VLLM_ENABLE_V1_MULTIPROCESSING'] == '0'


def test_what_vllm_starts_imports_nothing_from_where_the_user_stands(fake_vllm, monkeypatch, tmp_path):
    (tmp_path / 'colorsys.py').write_text('raise ImportError("the user has a file of this name")')
    monkeypatch.chdir(tmp_path)
    backend = VllmBackend(MODEL)
    list(backend.complete(requests('a')))
    backend.close()
    assert subprocess.run([sys.executable, '-m', 'colorsys'], check=False).returncode == 0
