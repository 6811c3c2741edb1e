"""Every benchmark, from its published files to its figures, through the front door."""

import json
from dataclasses import replace

import pytest
from typer.testing import CliRunner

import phantom
from model.evaluation.rules import BENCHES
from model.phantom.build import build_scratch
from model.training.settings import load_preset
from tests.pipelines.benches.test_items import PUBLISHED, put

WHOLE = ('blink', 'chartqa', 'mme', 'pope')  # those whose few hand-made items have one of every part


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp('model')
    model, processor = build_scratch(load_preset('tiny').model, seed=0)
    for part in (model, processor):
        part.save_pretrained(folder)
    return folder


@pytest.mark.parametrize('name', sorted(BENCHES))
def test_a_published_folder_becomes_a_score_and_replies(name, checkpoint, tmp_path, monkeypatch):
    monkeypatch.setitem(BENCHES, name, replace(BENCHES[name], max_new_tokens=2))
    files, expected, _ = PUBLISHED[name]
    words = ('eval', checkpoint, '--bench', name, '--root', put(tmp_path / 'data', files), '--out', tmp_path / 'out')
    done = CliRunner().invoke(phantom.app, [str(word) for word in words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    result = json.loads((tmp_path / 'out' / 'score.json').read_text())
    lines = [json.loads(line) for line in (tmp_path / 'out' / 'items.jsonl').read_text().split('\n') if line]
    assert [line['item']['item_id'] for line in lines] == [row[0] for row in expected]
    rule = BENCHES[name]
    assert ({'score', rule.as_released} <= result.keys()) == (rule.read is not None)
    assert (result['missing'] == []) == (name in WHOLE or not rule.parts)
    assert 'paper (Phantom' in done.output
