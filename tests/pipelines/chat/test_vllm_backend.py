"""vLLM inside a process: the same replies as its server, failures one by one, nothing left behind."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.chat.openai_backend import OpenAIBackend
from pipelines.chat.vllm_backend import VllmBackend
from pipelines.serve_demo import ENVIRONMENT, MODEL, REVISION, demo_server, model_folder, require_vllm
from schemas.errors import UserError
from schemas.recipe import Model
from schemas.replies import decode_outcome
from tests.fakes import group_is_empty

ROOT = str(Path(__file__).parents[3])
# a process of its own: an engine in the test process would stay in its memory for the rest of the run
SCRIPT = """
import json, sys
from pipelines.chat.vllm_backend import VllmBackend
from schemas.recipe import Model
from schemas.replies import encode_outcome
from tests.pipelines.chat.test_vllm_backend import asked
model = Model(backend='vllm', model=sys.argv[1], revision=sys.argv[2])
backend = VllmBackend(model, {'dtype': 'float32', 'max_model_len': 2048, 'enforce_eager': True, 'max_num_seqs': 64})
backend.check(frozenset({'prompt_logprobs', 'choice', 'logprobs', 'json_schema'}))
outcomes = [encode_outcome(o) for o in backend.complete(asked(sys.argv[1]))]
backend.close()
backend.close()
print('OUTCOMES ' + json.dumps(outcomes))
"""


def asked(model: str):
    from pipelines.chat.asking import generation_request, judge_requests
    from schemas.recipe import Generator
    from schemas.records import Turn

    settings = Model(model=model, revision=REVISION)
    turns = [Turn('user', 'What is the capital of France?')]
    requests = []
    for mode in ('likelihood', 'yes_no', 'pairwise', 'paper'):
        requests += judge_requests(mode, settings, turns, chosen='Paris 🎉', candidate='London')
    for prompt, words in (('paper', 1), ('grounded', 1), ('paper', 4000)):
        generator = Generator(prompt=prompt, model='m', max_tokens=24)
        requests.append(generation_request(generator, settings, [Turn('user', 'word ' * words)], answer='Paris'))
    return requests


def test_without_vllm_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, 'vllm', None)
    with pytest.raises(UserError, match=r'expected vLLM in this environment.*phantom-curation\[vllm\]'):
        VllmBackend(Model(backend='vllm', model='m', revision='r')).check()


def test_a_blind_model_is_not_asked_to_see():
    with pytest.raises(UserError, match='expected support for images'):
        VllmBackend(Model(backend='vllm', model='m', revision='r')).check(frozenset({'images'}))


@pytest.mark.integration
def test_the_engine_in_process_replies_as_the_server_does_and_leaves_no_process():
    require_vllm()
    folder = str(model_folder())
    environment = {**os.environ, **ENVIRONMENT, 'PYTHONPATH': ROOT}
    child = subprocess.Popen(
        [sys.executable, '-c', SCRIPT, folder, REVISION], env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True,
    )
    line = next(line for line in child.stdout if line.startswith('OUTCOMES '))
    assert child.wait(60) == 0
    assert group_is_empty(child.pid)
    inside = {o.key: o for o in map(decode_outcome, json.loads(line.removeprefix('OUTCOMES ')))}
    requests = asked(folder)
    assert inside.keys() == {r.key for r in requests}

    with demo_server(port=0, dtype='float32') as server:
        backend = OpenAIBackend(Model(base_urls=[server.url], model=MODEL, revision=REVISION))
        same = {asked_inside.key: asked_outside.key for asked_inside, asked_outside in zip(requests, asked(MODEL), strict=True)}
        outside = {o.key: o for o in backend.complete(asked(MODEL))}
        backend.close()
    for request in requests:
        ours, theirs = inside[request.key], outside[same[request.key]]
        assert type(ours) is type(theirs)
        assert ours.text == theirs.text
        assert (ours.prompt_tokens, ours.completion_tokens) == (theirs.prompt_tokens, theirs.completion_tokens)
        for name in ('logprobs', 'prompt_logprobs'):
            a, b = getattr(ours, name, ()), getattr(theirs, name, ())
            assert [t.token for t in a] == [t.token for t in b]
            assert [t.logprob for t in a] == pytest.approx([t.logprob for t in b], abs=1e-3)
