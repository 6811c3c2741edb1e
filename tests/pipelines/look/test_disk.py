import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pipelines.look.disk import FACTS_BYTES, disk_lines, look_at_sources
from schemas.errors import UserError
from schemas.recipe import Recipe


def picture(n):
    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(n).integers(0, 256, (32, 32, 3), np.uint8)).save(out, 'PNG')
    return out.getvalue()


def recipe(**source):
    return Recipe.model_validate({'name': 'r', 'sources': {'s': {'licence': 'MIT', **source}}})


def project_disk(recipe, root):
    return disk_lines(recipe, look_at_sources(recipe, root))


def talk(n, image):
    return {'image': image, 'conversations': [{'from': 'human', 'value': '<image>\nWhat?'}, {'from': 'gpt', 'value': 'x' * 87},
                                              {'from': 'human', 'value': 'And?'}, {'from': 'gpt', 'value': 'y' * 10}][: n]}


def test_a_picture_weighs_as_often_as_rows_show_it(tmp_path):
    """Geo170K shows each of its pictures about 19 times: 190 rows over 10 pictures take 190 pictures of disk."""
    for i in range(10):
        (tmp_path / f'{i}.png').write_bytes(picture(i))
    (tmp_path / 'a.json').write_text(json.dumps([talk(2, f'{i % 10}.png') for i in range(190)]))
    (line,) = project_disk(recipe(format='llava', annotations=['a.json'], images=['.']), tmp_path)
    each = sum(len(picture(i)) for i in range(10)) / 10
    assert (line.samples, line.text_bytes, line.packed_bytes) == (190, 100, 0)
    assert line.mix_bytes == pytest.approx(190 * (100 + each))
    (halved,) = project_disk(recipe(format='llava', annotations=['a.json'], images=['.'], quota=95), tmp_path)
    assert halved.samples == 95


@pytest.mark.parametrize(('turns', 'samples', 'text'), [('first', 20, 100), ('all', 20, 114), ('each', 40, 107)])
def test_turns_count_as_the_recipe_takes_them(tmp_path, turns, samples, text):
    (tmp_path / '0.png').write_bytes(picture(0))
    (tmp_path / 'a.json').write_text(json.dumps([talk(4, '0.png') for _ in range(20)]))
    (line,) = project_disk(recipe(format='llava', annotations=['a.json'], images=['.'], turns=turns), tmp_path)
    assert (line.samples, line.text_bytes) == (samples, text)


def test_pictures_in_parquet_are_kept_once_more_in_the_working_folder(tmp_path):
    rows = [{'image': {'bytes': picture(i), 'path': None}, 'q': 'What?', 'a': 'Red'} for i in range(30)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / 'a.parquet')
    (line,) = project_disk(recipe(format='columns', annotations=['a.parquet'], columns={'image': 'image', 'question': 'q', 'answer': 'a'}), tmp_path)
    assert line.packed_bytes == line.picture_bytes > 3000
    assert line.work_bytes == pytest.approx(30 * (line.text_bytes + line.packed_bytes + FACTS_BYTES))


def test_what_is_missing_is_told_and_nothing_estimated(tmp_path):
    (tmp_path / 'a.json').write_text(json.dumps([talk(2, '0.png')]))
    with pytest.raises(UserError, match='pictures looked at do not open'):
        project_disk(recipe(format='llava', annotations=['a.json'], images=['.']), tmp_path)
