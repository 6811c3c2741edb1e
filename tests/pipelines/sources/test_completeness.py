import io
import zipfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.sources.completeness import check_whole
from pipelines.sources.files import annotation_files, image_roots, resolve
from schemas.errors import UserError
from schemas.recipe import Recipe

POINTER = b'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n'


def parquet():
    out = io.BytesIO()
    pq.write_table(pa.table({'n': range(9)}), out)
    return out.getvalue()


def zipped():
    out = io.BytesIO()
    with zipfile.ZipFile(out, 'w') as archive:
        archive.writestr('1.png', b'x' * 999)
    return out.getvalue()


def put(root, *names, data=b'[]'):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)


@pytest.mark.parametrize(('name', 'data', 'told'), [
    ('a.json', POINTER, 'git lfs pull'), ('a.parquet', POINTER, 'git lfs pull'), ('a.zip', POINTER, 'git lfs pull'), ('a.tar', POINTER, 'git lfs pull'),
    ('a.json', b'', 'found an empty file'), ('a.json', b'\xef\xbb\xbf [{"a": 1}, {"a', 'cut off after'), ('a.json', b'<!DOCTYPE html>', 'found a web page'),
    ('a.jsonl', b'\n<html>', 'found a web page'), ('a.parquet', parquet()[:-1], 'found no footer'), ('a.zip', zipped()[:-1], 'found no directory at its end')])
def test_what_did_not_arrive_whole_is_seen_from_its_ends(tmp_path, name, data, told):
    put(tmp_path, name, data=data)
    with pytest.raises(UserError, match=told):
        check_whole(tmp_path / name)


@pytest.mark.parametrize(('name', 'data'), [('a.json', b'\xef\xbb\xbf[{"a": 1}]\n\n'), ('a.json', b'{"a": 1}\n{"a": 2}'), ('a.jsonl', b'{"a": 1}\n{"a"'),
                                            ('a.parquet', parquet()), ('a.zip', zipped())])
def test_what_is_whole_passes(tmp_path, name, data):
    put(tmp_path, name, data=data)
    check_whole(tmp_path / name)


def test_files_that_count_themselves_must_all_be_there_once(tmp_path):
    put(tmp_path, 'd/train-00000-of-00003.parquet', 'd/train-00002-of-00003.parquet', data=parquet())
    with pytest.raises(UserError, match=r'expected 3 files d/train-\*-of-00003, found 2, without d/train-00001-of-00003\*'):
        annotation_files('d/train-*.parquet', tmp_path)
    with pytest.raises(UserError, match='without d/train-00001-of-00003'):
        annotation_files('d', tmp_path)
    assert annotation_files('d/train-00002-of-00003.parquet', tmp_path) == ['d/train-00002-of-00003.parquet']  # who names one means it
    put(tmp_path, 'd/train-00001-of-00003-0a1b.parquet', data=parquet())
    assert len(annotation_files('d/train-*.parquet', tmp_path)) == 3
    put(tmp_path, 'd/train-00001-of-00003-ffff.parquet', data=parquet())
    with pytest.raises(UserError, match='two revisions'):
        annotation_files('d', tmp_path)


def test_a_source_of_counted_files_resolves_to_itself(tmp_path):
    put(tmp_path, 'train-00000-of-00002.parquet', 'train-00001-of-00002.parquet', data=parquet())
    recipe = Recipe.model_validate({'name': 'r', 'sources': {'s': {'format': 'instruction', 'licence': 'MIT', 'annotations': ['train-*.parquet']}}})
    once = resolve(recipe, tmp_path)
    assert len(once.sources['s'].annotations) == 2
    assert resolve(once, tmp_path) == once


@pytest.mark.parametrize(('lies', 'told'), [
    ('SMR.json.gz', 'there is SMR.json.gz: unpack it'), ('SMR.zip', 'there is SMR.zip: unpack it'), ('SMR.json.part', 'there is SMR.json.part: not whole yet'),
    ('smr-files/SMR.json', 'there is smr-files/SMR.json: move it'), ('a/b/SMR.json', 'there is a/b/SMR.json: move it'), ('other.json', 'found none$')])
def test_annotations_that_lie_packed_half_fetched_or_elsewhere_are_pointed_at(tmp_path, lies, told):
    put(tmp_path, lies)
    with pytest.raises(UserError, match=told):
        annotation_files('SMR.json|SMR/SMR.json', tmp_path)


def test_missing_benchmarks_are_told_with_missing_sources_and_where_to_get_them_once(tmp_path):
    put(tmp_path, 'a.json')
    source = {'format': 'llava', 'licence': 'MIT', 'annotations': ['b.json'], 'images': ['pictures'], 'get_it': 'example.org/b'}
    recipe = Recipe.model_validate({'name': 'r', 'sources': {'s': source}, 'contamination': {'benchmarks': [{'name': 'm', 'path': 'eval/m', 'get_it': 'example.org/m'}]}})
    with pytest.raises(UserError) as told:
        resolve(recipe, tmp_path)
    lines = str(told.value).split('\n')
    assert [line.split(':')[0] for line in lines[:3]] == ['source s', 'source s', 'benchmark m']
    assert str(told.value).count('get it: example.org/b') == 1
    assert 'get it: example.org/m' in lines[2]
    assert '--set sources.NAME=null' in lines[3]


def test_a_packed_image_root_is_told_with_the_command(tmp_path):
    put(tmp_path, 'imgs.tar.gz')
    with pytest.raises(UserError, match=r'unpack it first: tar -xf .*imgs.tar.gz -C '):
        image_roots('imgs|imgs.tar.gz', tmp_path)
    with pytest.raises(UserError, match='found none; there is imgs.tar.gz: unpack it'):
        image_roots('imgs', tmp_path)
