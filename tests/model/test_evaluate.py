"""A checkpoint evaluated on a small benchmark file."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from model.build import build_scratch
from model.evaluate import compare_results, evaluate, format_results
from model.settings import load_preset
from model.tiling import join_images
from schemas.errors import UserError
from schemas.records import BENCH_ITEMS
from tests.model.snapshots import COLOURS, png


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp('model')
    model, processor = build_scratch(load_preset('tiny').model, seed=0)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


@pytest.fixture(scope='module')
def items(tmp_path_factory):
    path = tmp_path_factory.mktemp('bench') / 'b.parquet'
    picture = {'bytes': png(COLOURS['red']), 'path': ''}
    rows = [
        {
            'bench': 'b',
            'item_id': str(index),
            'question': 'Which?',
            'options': ['red', 'blue'],
            'answer': 'A',
            'images': [picture] * (index % 3),
            'meta': '{"category": "c"}',
        }
        for index in range(5)
    ]
    pq.write_table(pa.Table.from_pylist(rows, schema=BENCH_ITEMS), path)
    return path


def test_every_item_gets_a_reply_and_a_score_whatever_the_batch(checkpoint, items, tmp_path, capsys):
    result = evaluate(checkpoint, items, tmp_path / 'a', bench='mmstar', batch_rows=2)
    assert result['items'] == 5
    assert {'score', 'accuracy/c', 'unread'} <= set(result)
    lines = [json.loads(line) for line in (tmp_path / 'a' / 'items.jsonl').read_text().splitlines()]
    assert [line['item']['item_id'] for line in lines] == ['0', '1', '2', '3', '4']
    assert json.loads((tmp_path / 'a' / 'score.json').read_text()) == result
    assert 'paper' in capsys.readouterr().out
    evaluate(checkpoint, items, tmp_path / 'b', bench='mmstar', batch_rows=5, quiet=True)
    assert (tmp_path / 'b' / 'items.jsonl').read_text() == (tmp_path / 'a' / 'items.jsonl').read_text()


def test_judged_benchmarks_get_replies_and_no_score(checkpoint, items, tmp_path):
    result = evaluate(checkpoint, items, tmp_path, bench='llava-w', max_items=1, quiet=True)
    assert not {'score', 'unread'} & set(result)
    assert json.loads((tmp_path / 'items.jsonl').read_text())['found'] is None


@pytest.mark.parametrize(
    ('bench', 'message'), [('nosuch', 'expected one of .*chartqa'), ('sqa', 'expected the Parquet file')]
)
def test_unknown_benchmarks_and_missing_files_are_named(checkpoint, tmp_path, bench, message):
    with pytest.raises(UserError, match=message):
        evaluate(checkpoint, tmp_path / 'none.parquet', tmp_path, bench=bench)


def test_results_stand_beside_the_papers(tmp_path):
    for name, score in (('mme', {'score': 1743.25}), ('mm-vet', {}), ('other', {'score': 5.0})):
        (tmp_path / name).mkdir()
        (tmp_path / name / 'score.json').write_text(json.dumps({'bench': name, 'items': 7, **score}))
    rows = compare_results(tmp_path)
    assert json.loads((tmp_path / 'results.json').read_text()) == rows
    lines = [line.split() for line in format_results(rows).splitlines()]
    assert lines[1:] == [
        ['mm-vet', '7', '-', '45.7', '54.1', '54.4', '70.8'],
        ['mme', '7', '1743.2', '1743', '1885', '2046', '2126'],
        ['other', '7', '5.0', '-', '-', '-', '-'],
    ]
    with pytest.raises(UserError, match='expected score.json'):
        compare_results(tmp_path / 'mme' / 'none')


def test_joined_pictures_equal_the_released_ones():
    from pathlib import Path

    import numpy as np
    from safetensors.torch import load_file

    golden = load_file(Path(__file__).parents[1] / 'golden' / 'preprocess' / 'tensors.safetensors')
    pictures = {name: golden[f'concat.{name}'].permute(1, 2, 0).numpy() for name in ('a', 'b', 'out')}
    joined = join_images([Image.fromarray(pictures[name]) for name in ('a', 'b')])
    assert (np.asarray(joined) == pictures['out']).all()
