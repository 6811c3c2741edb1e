"""Names as long as file systems allow, 247 to 255 bytes: they work, though what is written beside them needs names of its own."""

import json

import pytest
import yaml

from pipelines.build import Way, build_all
from pipelines.look.gallery.static import export_gallery
from pipelines.look.verify import verify_snapshot
from pipelines.snapshot.exports.export import TARGETS, export_snapshot
from schemas.errors import UserError
from schemas.publish import NAME_BYTES, draft_of, publish_bytes
from schemas.recipe import load_recipe
from tests.programmes.project import picture, rows_of
from tests.promises import promise

LENGTHS = range(247, NAME_BYTES + 1)
SIGNS = ('n', 'é', '名', '🦉')  # 1 to 4 bytes in UTF-8


def name_of(n_bytes: int, sign: str, ending: str = '') -> str:
    """Return a name of exactly so many bytes."""
    room = n_bytes - len(ending.encode())
    size = len(sign.encode())
    return sign * (room // size) + 'x' * (room % size) + ending


@promise('Disks', 'Names of up to 255 bytes work, in any script.', names=len(LENGTHS) * len(SIGNS))
@pytest.mark.parametrize('n_bytes', LENGTHS)
@pytest.mark.parametrize('sign', SIGNS)
def test_a_file_of_a_long_name_is_published(tmp_path, n_bytes, sign):
    path = tmp_path / name_of(n_bytes, sign, '.json')
    assert len(draft_of(path).name.encode()) <= NAME_BYTES
    publish_bytes(path, b'x')
    assert [(found.name, found.read_bytes()) for found in tmp_path.iterdir()] == [(path.name, b'x')]


def long_project(folder, sign: str, n_bytes: int):
    """Write a recipe, an annotation file, pictures and a source whose names are as long as they may be; return the recipe's path."""
    name = name_of(n_bytes, sign, '.png')
    (folder / 'data/imgs').mkdir(parents=True)
    records = []
    for number in range(3):
        image = f'{number}{name[1:]}' if sign == 'n' else f'{name[:-5]}{number}.png'
        (folder / 'data/imgs' / image).write_bytes(picture(f'p{number}'))
        turns = [{'from': 'human', 'value': f'<image>\nWhich number is on door {number}?'}, {'from': 'gpt', 'value': str(number)}]
        records.append({'image': image, 'conversations': turns})
    annotations, source = name_of(n_bytes, sign, '.json'), name_of(n_bytes, 's')
    (folder / 'data' / annotations).write_text(json.dumps(records), encoding='utf-8')
    recipe = folder / name_of(n_bytes, sign, '.yaml')
    recipe.write_text(yaml.safe_dump({'name': source, 'sources': {source: {
        'format': 'llava', 'annotations': [annotations], 'images': ['imgs'], 'licence': 'MIT', 'answers': 'exact'}}}), encoding='utf-8')
    return recipe


@pytest.mark.integration
@promise('Disks', 'A build whose recipe, sources, files, pictures and folder have names of 255 bytes is sealed, verified and exported.', builds=2)
@pytest.mark.parametrize('sign', ['n', '名'])
def test_a_build_of_long_names_is_sealed_and_handed_on(tmp_path, sign):
    recipe = load_recipe(long_project(tmp_path, sign, NAME_BYTES))
    out = tmp_path / name_of(NAME_BYTES, sign)
    build_all(recipe, out, Way(None, tmp_path / 'data', mix_only=True))
    assert len(rows_of(out / 'mix')) == 3
    assert verify_snapshot(out / 'mix') == 0
    for number, target in enumerate(sorted(TARGETS)):
        export_snapshot(out / 'mix', target, tmp_path / f'{number}{name_of(NAME_BYTES - 1, sign)}')
    assert export_gallery(out / 'mix', tmp_path / f'g{name_of(NAME_BYTES - 1, sign)}', limit=10)['kept'] == 3


def test_a_name_of_256_bytes_is_refused_with_the_limit(tmp_path):
    recipe = load_recipe(long_project(tmp_path, 'n', 255))
    with pytest.raises(UserError, match='255'):
        build_all(recipe, tmp_path / name_of(NAME_BYTES + 1, 'n'), Way(None, tmp_path / 'data', mix_only=True))
