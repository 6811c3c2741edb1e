"""A demo server that one part of a build has started serves the other, too, and is gone when the build ends."""

from contextlib import contextmanager

import pytest

from pipelines.chat import models
from pipelines.chat.trials import RATE, TRIPLES
from pipelines.demo import server
from schemas.recipe import Recipe

RECIPE = Recipe.model_validate({
    'name': 'r', 'sources': {'s': {'format': 'instruction', 'licence': 'MIT', 'annotations': ['a.json']}},
    'models': {'m': {'base_urls': ['http://127.0.0.1:9/v1'], 'model': 'm', 'revision': '1', 'serve': 'demo'}},
    'rate': {'model': 'm'}, 'generate': [{'prompt': 'paper', 'model': 'm'}], 'judge': {'model': 'm'},
})  # fmt: skip


@pytest.fixture
def told(monkeypatch):
    """What happens to servers, in order."""
    found = []

    @contextmanager
    def started(**how):
        assert how['reuse']
        up = found.count('up') - found.count('down')
        found.append('used' if up else 'up')
        try:
            yield
        finally:
            if not up:
                found.append('down')

    monkeypatch.setattr(server, 'demo_server', started)
    monkeypatch.setattr(models, '_check', lambda *args: None)
    return found


def test_what_rates_and_what_judges_is_one_server_of_a_build(told):
    with models.servers_kept():
        with models.served(RECIPE, parts=(RATE,)):
            told.append('rated')
        with models.served(RECIPE, parts=(TRIPLES,)):
            told.append('judged')
    assert told == ['up', 'rated', 'used', 'judged', 'down']


def test_without_a_build_around_it_a_server_ends_with_what_asked_it(told):
    for _ in range(2):
        with models.served(RECIPE, parts=(RATE,)):
            told.append('rated')
    assert told == ['up', 'rated', 'down'] * 2
