"""Calls on a machine that has five times as much to do as it has cores: slow, and none fails."""

import os
import subprocess
import sys

import pytest

from pipelines.chat.openai_backend import OpenAIBackend
from pipelines.chat.requests import choice, greedy, make_request
from pipelines.demo.server import MODEL, REVISION, demo_server
from schemas.recipe import Model
from schemas.replies import Failure

TIMES_ITS_CORES = 5


@pytest.fixture
def loaded():
    """Keep every core busy five times over."""
    burners = [subprocess.Popen([sys.executable, '-c', 'while True: pass']) for _ in range(TIMES_ITS_CORES * (os.cpu_count() or 1))]
    yield
    for burner in burners:
        burner.kill()
        burner.wait()


@pytest.fixture
def server():
    with demo_server(port=0, dtype='float32') as running:
        yield running


@pytest.mark.integration
@pytest.mark.long
def test_on_a_loaded_machine_the_defaults_fail_no_call_and_replies_keep_coming(server, loaded, capsys):
    """With 32 calls at once, as defaults once were, every one of them ran out of time, again and again."""
    said = [[{'role': 'user', 'content': f'Tell me something of the number {n}.'}] for n in range(24)]
    shared = {'model': MODEL, 'revision': REVISION}
    asked = [make_request(message, settings=greedy(48), **shared) for message in said[:8]]
    asked += [make_request(message, settings=choice(['Yes', 'No']), **shared) for message in said]
    backend = OpenAIBackend(Model(base_urls=[server.url], **shared))
    outcomes = list(backend.complete(asked))
    backend.close()
    assert len(outcomes) == len(asked)
    assert [o for o in outcomes if isinstance(o, Failure) and o.kind != 'length'] == []
    assert 'had no reply' not in capsys.readouterr().err
