from pathlib import Path

import pytest

from curation.pictures.images import ImageFault, ImageLimits
from pipelines.engine.tables import Table
from pipelines.mix.fingerprints import FingerprintImages
from pipelines.sources.images import ImageStore, pack
from schemas.recipe import ImageRules
from schemas.records import Reason
from tests.programmes.project import picture


def looking(store: ImageStore, limits: ImageLimits, *, renamed: bool = False) -> FingerprintImages:
    return FingerprintImages(Table(Path('refs')), '', renamed, limits, store)


@pytest.mark.parametrize(('name', 'form', 'agrees'), [('a.png', 'PNG', True), ('a.JPG', 'JPEG', True), ('a.jpg', 'PNG', False), ('b.c/a', 'PNG', False)])
def test_a_picture_named_as_another_format_is_left_out_only_where_the_recipe_says_so(tmp_path, name, form, agrees):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(picture('a', form=form))
    store = ImageStore({'s': (str(tmp_path),)}, str(tmp_path / 'packed'), 10**6)
    strict = ImageLimits(**ImageRules(matching_extension=True).model_dump())
    found = looking(store, strict)._look(f's/{name}')[-1]
    assert (not isinstance(found, ImageFault)) is agrees
    if not agrees:
        assert (found.reason, found.detail) == (Reason.IMAGE_FORMAT, f'expected what the name {name.rpartition("/")[2]!r} says, found {form}')
    assert looking(store, ImageLimits(**ImageRules().model_dump()))._look(f's/{name}')[-1]['format'] == form


@pytest.mark.parametrize(('form', 'agrees'), [('PNG', True), ('GIF', False)])
def test_a_picture_that_may_lie_under_another_extension_agrees_with_one_of_them(tmp_path, form, agrees):
    (tmp_path / 'a.png').write_bytes(picture('a', form=form))
    strict = ImageLimits(matching_extension=True)
    found = looking(ImageStore({'s': (str(tmp_path),)}, '', 10**6), strict, renamed=True)._look('s/a.jpg')[-1]
    assert (not isinstance(found, ImageFault)) is agrees
    (tmp_path / 'a.png').rename(tmp_path / 'a.jpg')
    assert isinstance(looking(ImageStore({'s': (str(tmp_path),)}, '', 10**6), strict)._look('s/a.jpg')[-1], ImageFault)


def test_embedded_pictures_have_no_name_to_agree_with(tmp_path):
    store = ImageStore({}, str(tmp_path), 10**6)
    reference = f's/{pack(tmp_path, picture("a"))}'
    assert looking(store, ImageLimits(matching_extension=True))._look(reference)[-1]['format'] == 'PNG'
