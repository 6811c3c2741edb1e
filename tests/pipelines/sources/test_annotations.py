"""Annotation files are hashed once, until anybody touches them."""

import os
import time

import pytest

from pipelines.sources import annotations
from pipelines.sources.annotations import annotation_digests
from schemas.recipe import Recipe
from schemas.snapshot import file_sha256

RECIPE = Recipe.model_validate({'name': 'r', 'sources': {'s': {'format': 'llava', 'licence': 'MIT', 'annotations': ['a.json', 'b.json']}}})


@pytest.fixture
def read(tmp_path, monkeypatch):
    """Return a function that asks for the digests, and says which files were read for them. Time goes on by a minute a call."""
    (tmp_path / 'a.json').write_bytes(b'[1]')
    (tmp_path / 'b.json').write_bytes(b'[2]')
    now = [time.time()]

    def ask():
        now[0] += 60
        names = []
        monkeypatch.setattr(annotations.time, 'time', lambda: now[0])
        monkeypatch.setattr(annotations, 'file_sha256', lambda path: names.append(path.name) or file_sha256(path))
        found = annotation_digests(RECIPE, tmp_path, tmp_path / 'work')
        assert found == {'s': {name: file_sha256(tmp_path / name) for name in ('a.json', 'b.json')}}
        return names

    return ask


def test_files_are_hashed_once(read):
    assert (read(), read()) == (['a.json', 'b.json'], [])


def test_a_file_written_in_place_with_its_size_and_its_time_of_modification_is_hashed_again(read, tmp_path):
    read()
    about = (tmp_path / 'a.json').stat()
    with open(tmp_path / 'a.json', 'r+b') as file:
        file.write(b'[3]')
    os.utime(tmp_path / 'a.json', ns=(about.st_atime_ns, about.st_mtime_ns))
    assert (tmp_path / 'a.json').stat().st_mtime_ns == about.st_mtime_ns
    assert (read(), read()) == (['a.json'], [])


def test_a_file_that_was_touched_a_moment_ago_is_not_remembered(read, monkeypatch):
    monkeypatch.setattr(annotations, 'SETTLED_S', 90.0)
    assert (read(), read(), read()) == (['a.json', 'b.json'], ['a.json', 'b.json'], [])


def test_what_is_remembered_wrongly_is_forgotten(read, tmp_path):
    read()
    path = tmp_path / 'work/stamps/annotations.npy'
    path.write_bytes(path.read_bytes()[:-3])
    assert read() == ['a.json', 'b.json']
