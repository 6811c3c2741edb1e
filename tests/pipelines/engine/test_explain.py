"""Why a table is made again: the settings and inputs that differ from the build before, old and new, and nothing else."""

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.engine.changes import changes
from pipelines.mix.duplicates import MakeStars
from tests.pipelines.engine.builds import mix_of
from tests.programmes.project import Project

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group('explain')]


@pytest.fixture(scope='module')
def first(project, tmp_path_factory) -> Path:
    """A finished mix; a test that builds anew does so in a copy of it."""
    out = tmp_path_factory.mktemp('first') / 'out'
    mix_of(project, out, 'sources.photos=null')
    return out


@pytest.fixture
def again(first, project, tmp_path):
    """Build a copy of the first mix anew with these settings; return its engine."""

    def build(*sets: str, project: Project = project):
        out = tmp_path / 'out'
        shutil.copytree(first, out)
        shutil.rmtree(out / 'mix')
        return mix_of(project, out, *sets)[0]

    return build


WITHOUT = 'sources.photos=null'


def test_nothing_changed_and_nothing_is_said(again, capfd):
    engine = again(WITHOUT)
    assert engine.explain('plan') == engine.explain('samples facts') == []
    assert engine.ran == []
    assert 'made again' not in capfd.readouterr().err


def test_a_threshold_of_near_duplicates(again, capfd):
    engine = again(WITHOUT, 'duplicates.photo_bits=5')
    assert engine.explain('plan') == engine.explain('stars') == ['stars: photo_bits was 7, is 5']
    assert engine.explain('pairs') == engine.explain('described facts') == []
    told = capfd.readouterr().err
    assert 'stars: made again, and what follows from it, since stars: photo_bits was 7, is 5\n' in told
    assert told.count('made again') == 1


def test_a_quota(again):
    engine = again(WITHOUT, 'sources.shapes.quota=5')
    assert engine.explain('plan') == engine.explain('mix_rows') == ['plan: quotas.shapes was null, is 5']
    assert engine.explain('features') == []


def test_an_annotation_file(again, project, tmp_path):
    root = tmp_path / 'data'
    shutil.copytree(project.root, root)
    file = root / 'facts/facts.json'
    before = hashlib.sha256(file.read_bytes()).hexdigest()
    file.write_text(json.dumps(json.loads(file.read_text())[:-1]))
    engine = again(WITHOUT, project=replace(project, root=root))
    (told,) = engine.explain('plan')
    assert told.startswith('samples facts: annotations.facts/facts.json was ')
    assert before[:50] in told
    assert hashlib.sha256(file.read_bytes()).hexdigest()[:50] in told
    assert engine.explain('samples shapes') == []


def test_a_source_more(again):
    told = again().explain('plan')
    assert 'samples photos is new' in told
    assert [sentence for sentence in told if 'photos' not in sentence] == []


def test_a_source_less(again):
    told = again(WITHOUT, 'sources.charts=null').explain('plan')
    assert 'samples charts is left out' in told
    assert [sentence for sentence in told if 'charts' not in sentence] == []


def test_a_version(again, monkeypatch):
    monkeypatch.setattr(MakeStars, 'VERSION', MakeStars.VERSION + 1)
    engine = again(WITHOUT)
    assert engine.explain('plan') == [f'stars: version of the step was {MakeStars.VERSION - 1}, is {MakeStars.VERSION}']


def test_a_picture(again, project, tmp_path):
    root = tmp_path / 'data'
    shutil.copytree(project.root, root)
    shutil.copy(root / 'shapes/imgs/s7.png', root / 'shapes/imgs/s8.png')
    (told,) = again(WITHOUT, project=replace(project, root=root)).explain('plan')
    assert told.startswith('image_facts shapes: stamp was ')


def test_a_table_that_was_not_asked_for_is_a_mistake(again):
    with pytest.raises(KeyError):
        again(WITHOUT).explain('triple_plan')


def told(before: dict, now: dict) -> list[str]:
    about = {key: {'label': 'x', 'version': 1, 'settings': settings, 'tables': {}} for key, settings in (('x/1', before), ('x/2', now))}
    return list(changes('x/1', 'x/2', about.get))


def test_of_a_list_only_what_differs_is_told():
    generate = [{'prompt': 'rules', 'model': None, 'per_sample': 1, 'temperature': 0.0, 'max_tokens': 256}]
    assert told({'generate': generate}, {'generate': [{**generate[0], 'temperature': 0.5}]}) == ['x: generate[0].temperature was 0.0, is 0.5']
    many = [f'a source with a long name {i}' for i in range(9)]
    assert told({'sources': many}, {'sources': [*many, 'new']}) == ['x: sources has "new"']
    assert told({'sources': many}, {'sources': many[1:]}) == ['x: sources had "a source with a long name 0"']
    assert told({'sides': [1, 2, 2]}, {'sides': [1, 2]}) == ['x: sides was [1, 2, 2], is [1, 2]']


def test_of_a_long_text_the_place_that_differs_is_told():
    text = 'Is the answer right? ' * 40
    (line,) = told({'text': f'{text}Reply Yes or No.'}, {'text': f'{text}Reply with one word.'})
    assert 'Reply Yes or No."' in line
    assert 'Reply with one word."' in line
    assert len(line) < 200
