"""URLs in the place of folders."""

import pytest
from typer.testing import CliRunner

from phantom import app
from schemas.errors import UserError
from schemas.local import url_fault
from schemas.recipe import Recipe

URLS = ('gs://bucket/data', 's3://bucket', 'hf://datasets/a/b', 'https://host/x', 'abfss://c@account.dfs.core.windows.net/x', 'hdfs://name:8020/x', 'gs:/b')
PATHS = ('data', '/mnt/data', './a:b', 'C:/data', '~/x', 'a/b://c', '{out}/data', 'gs:data', '2024:/x')


@pytest.mark.parametrize('url', URLS)
def test_a_url_is_no_folder(url: str) -> None:
    assert 'the URL' in url_fault(url)


@pytest.mark.parametrize('path', PATHS)
def test_a_path_is_one(path: str) -> None:
    assert url_fault(path) == ''


def test_of_a_file_url_the_path_is_meant() -> None:
    assert 'leave "file:" out' in url_fault('file:///data')


@pytest.mark.parametrize('option', ['--out', '--work', '--root'])
@pytest.mark.parametrize('verb', ['build', 'select', 'preview'])
def test_each_folder_of_a_build_is_refused_by_its_option(tmp_path, monkeypatch, verb: str, option: str) -> None:
    monkeypatch.chdir(tmp_path)
    words = {'--out': 'out'} | {option: 'gs://bucket/x'}
    found = CliRunner().invoke(app, [verb, 'demo', *(word for pair in words.items() for word in pair)])
    assert isinstance(found.exception, UserError)
    assert str(found.exception).startswith(f'{option}: expected a folder of this machine')
    assert list(tmp_path.iterdir()) == []


def test_the_root_of_a_recipe_is_a_folder() -> None:
    with pytest.raises(ValueError, match="root\n.*found the URL 's3://bucket'"):
        Recipe(name='x', root='s3://bucket', sources={'a': {'format': 'llava', 'annotations': ['a.json'], 'licence': 'MIT'}})
