"""One source added, changed or left out: only its own share of reading, pictures and description is made, and the mix is that of a build anew."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.pipelines.engine.builds import mix_of

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group('sources')]

SHARE = ('samples', 'refs', 'image_facts', 'references', 'described')  # of which each source has its own tables


@pytest.fixture(scope='module')
def three(project, tmp_path_factory) -> Path:
    """A mix of three of the four sources; a test goes on in a copy of it."""
    out = tmp_path_factory.mktemp('three') / 'out'
    mix_of(project, out, 'sources.photos=null')
    return out


@pytest.fixture
def out(three, tmp_path) -> Path:
    shutil.copytree(three, tmp_path / 'out')
    shutil.rmtree(tmp_path / 'out/mix')
    return tmp_path / 'out'


def share(work: Path) -> dict[str, tuple[int, int]]:
    """Return every file of the tables that each source has of its own, with what changes when it is written again."""
    files = (path for name in SHARE for path in (work / name).rglob('*') if path.is_file() and not path.name.startswith('.lock'))
    return {str(path.relative_to(work)): (os.stat(path).st_ino, os.stat(path).st_mtime_ns) for path in files}


def made(engine) -> set[str]:
    """Return which tables of single sources a build made."""
    return {label for label in engine.ran if label.split()[0] in SHARE}


def of(source: str) -> set[str]:
    return {f'{name} {source}' for name in SHARE}


def test_a_source_that_is_added(project, out, tmp_path):
    before = share(out / 'work')
    engine, mix = mix_of(project, out)
    assert made(engine) == of('photos')
    after = share(out / 'work')
    assert before.items() <= after.items(), 'a table of another source was touched'
    assert {name.partition('/')[0] for name in after.keys() - before.keys()} == set(SHARE)
    _, anew = mix_of(project, tmp_path / 'anew')
    assert mix.snapshot_id == anew.snapshot_id


def test_a_source_that_is_changed(project, out, tmp_path):
    root = tmp_path / 'data'
    shutil.copytree(project.root, root)
    records = json.loads((root / 'shapes/shapes.json').read_text())
    picture = {**records[1], 'conversations': [{'from': 'human', 'value': '<image>\nIs this a new question?'}, {'from': 'gpt', 'value': 'yes'}]}
    (root / 'shapes/shapes.json').write_text(json.dumps([*records, picture]))
    changed, before = replace(project, root=root), share(out / 'work')
    engine, mix = mix_of(changed, out, 'sources.photos=null')
    assert made(engine) == of('shapes')
    assert before.items() <= share(out / 'work').items(), 'a table of another source was touched'
    _, anew = mix_of(changed, tmp_path / 'anew', 'sources.photos=null')
    assert mix.snapshot_id == anew.snapshot_id


def test_a_source_that_is_left_out(project, out, tmp_path):
    before = share(out / 'work')
    engine, mix = mix_of(project, out, 'sources.photos=null', 'sources.charts=null')
    assert made(engine) == set()
    assert share(out / 'work') == before
    _, anew = mix_of(project, tmp_path / 'anew', 'sources.photos=null', 'sources.charts=null')
    assert mix.snapshot_id == anew.snapshot_id
