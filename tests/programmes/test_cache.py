"""`datasets` must not take one snapshot for another: both lie in folders of the same name."""

import pytest
from datasets import load_dataset

from pipelines.build import Way, build_all
from schemas.recipe import load_recipe

RECIPE = """
name: sums
sources:
  sums: {format: instruction, annotations: [sums.json], licence: MIT, answers: exact}
generate: [{prompt: rules}]
"""


@pytest.mark.integration
def test_two_snapshots_in_folders_of_one_name_load_as_themselves(tmp_path):
    import json

    (tmp_path / 'recipe.yaml').write_text(RECIPE)
    for name, step in (('a', 1), ('b', 10)):
        (tmp_path / name / 'data').mkdir(parents=True)
        rows = [{'instruction': f'What is {i} + {step}?', 'output': str(i + step)} for i in range(20)]
        (tmp_path / name / 'data/sums.json').write_text(json.dumps(rows))
        build_all(load_recipe(tmp_path / 'recipe.yaml'), tmp_path / name, Way())
    answers = {name: {row['chosen'][0]['content'][0]['text'] for row in load_dataset(str(tmp_path / name / 'triples'), cache_dir=str(tmp_path))['train']}
               for name in ('a', 'b')}
    assert answers['a'] == {str(i + 1) for i in range(20)}
    assert answers['b'] == {str(i + 10) for i in range(20)}
