"""The positive control of decontamination: the paper's mix holds the whole MathVision benchmark, and all of it must be found.

The README of ByungKwanLee/Phantom lists MathVision with 3,040 samples: the size of the benchmark's test split, and none is for training.
"""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.build import Way, build_all
from schemas.recipe import load_recipe
from tests.programmes.project import picture, rows_of

RECIPE = """
name: control
sources:
  mathvision: {format: mathvision, annotations: [mathvision.parquet], licence: MIT}
  other: {format: instruction, annotations: [other.json], licence: MIT, answers: exact}
contamination: {benchmarks: [{name: mathvision, path: bench, format: mathvision, accept: [parts]}], action: %s}
"""


@pytest.mark.integration
def test_every_row_of_mathvision_is_found_in_the_mix_and_nothing_else(tmp_path):
    rows = [{
        'id': str(i), 'question': f'In the drawing <image1> number {i}, how long is the dashed line between the two marked corners of it?',
        'options': ['A', 'B', 'C', 'D', 'E'] if i % 2 else [], 'image': f'images/{i}.jpg', 'decoded_image': {'bytes': picture(f'm{i}', side=96), 'path': None},
        'answer': 'B' if i % 2 else str(i), 'solution': None if i % 3 else f'It is {i}.', 'level': 1, 'subject': 'metric geometry - length',
    } for i in range(40)]  # fmt: skip
    (tmp_path / 'data/bench').mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / 'data/mathvision.parquet')
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / 'data/bench/test-00000-of-00001.parquet')
    others = [{'instruction': f'What is {i} plus {i}?', 'output': str(2 * i)} for i in range(20)]
    (tmp_path / 'data/other.json').write_text(json.dumps(others))
    for action in ('flag', 'drop'):
        (tmp_path / f'{action}.yaml').write_text(RECIPE % action)
        build_all(load_recipe(tmp_path / f'{action}.yaml'), tmp_path / action, Way(tmp_path / 'work', tmp_path / 'data', mix_only=True))
    flagged = [row for row in rows_of(tmp_path / 'flag/mix') if row['contamination']]
    assert {row['source'] for row in flagged} == {'mathvision'}
    assert len(flagged) == 40
    assert {row['source'] for row in rows_of(tmp_path / 'drop/mix')} == {'other'}
