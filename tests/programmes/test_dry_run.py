"""`phantom build --dry-run` says what a build would do, asks nobody, and changes nothing."""

import re
import shutil

import pytest

from pipelines.look.dry_run import Calls, most_calls
from schemas.recipe import load_recipe


def files_of(folder):
    """Return every file of a folder with what would show that it was touched."""
    return {path: (path.lstat().st_mtime_ns, path.lstat().st_size) for path in sorted(folder.rglob('*')) if not path.is_dir()}


@pytest.fixture
def copy(built, tmp_path):
    """A copy of the finished build."""
    out = tmp_path / 'copy/out'
    shutil.copytree(built.out, out, symlinks=True)
    return out


@pytest.fixture
def plan(front, project, server):
    def told(out, *words, sets=()):
        n = len(server.requests) if hasattr(server, 'requests') else None
        sets = [part for value in sets for part in ('--set', value)]
        code, said, news = front(*project.words(out, '--dry-run', *words, *sets, url=server.url))
        assert code == 0, news
        if n is not None:
            assert len(server.requests) == n, 'a model was asked'
        return said

    return told


def test_of_a_fresh_build_all_is_to_be_made_and_nothing_is_written(plan, tmp_path):
    said = plan(tmp_path / 'out')
    assert not (tmp_path / 'out').exists()
    assert 'to make: bench little-bench\n' in said
    assert 'then what depends on these: the sources are read, pictures looked at,' in said
    assert said.count('the judge calibrated') == 1
    assert re.search(r'calls: at most [\d,]+ \(rate 0, generate [\d,]+, judge [\d,]+, calibrate [\d,]+\)', said)
    assert 'tokens and money: unknown: phantom preview measures it on a few samples' in said
    assert 'time: unknown, none of these steps was ever made in ' in said
    assert 'a build takes about ' in said


def test_of_a_finished_build_nothing_is_left(plan, copy):
    before = files_of(copy)
    said = plan(copy)
    assert said.splitlines()[0] == 'mix: sealed, it is skipped'
    assert said.splitlines()[1] == 'triples: sealed, it is skipped'
    assert said.splitlines()[-1] == 'nothing to do: no call, no disk, no time'
    assert files_of(copy) == before


def test_what_is_lost_is_made_and_what_is_there_is_skipped(plan, copy):
    shutil.rmtree(copy / 'mix')
    shutil.rmtree(copy / 'triples')
    shutil.rmtree(copy / 'work/stars')
    before = files_of(copy)
    said = plan(copy)
    assert 'to make: stars\n' in said
    assert re.search(r'skipped, since they are finished: .*\bindex\b', said)
    assert re.search(r'then what depends on these; the last run made: .*\bplan\b', said)
    assert re.search(r'tokens and money: about [\d,]+ tokens, [\d.]+ of money \(as the \d+ call\(s\) so far\)', said)
    assert 'time: about ' in said
    assert files_of(copy) == before


def test_another_setting_says_what_is_made_again_and_why(plan, copy):
    shutil.rmtree(copy / 'mix')
    shutil.rmtree(copy / 'triples')
    said = plan(copy, sets=('duplicates.photo_bits=3',))
    assert re.search(r'to make: \S+ \(again, since .*photo_bits was \d+, is 3\)', said)


def test_what_a_build_refuses_a_plan_refuses(front, project, server, tmp_path):
    words = project.words(tmp_path / 'out', '--dry-run', '--set', 'sources.shapes.annotations=[nothing.json]', url=server.url)
    code, told, said = front(*words)
    assert (code, told) == (2, '')
    assert 'nothing.json' in said


def test_the_most_calls_follow_from_samples_prompts_and_modes(project):
    recipe = load_recipe(project.recipe)
    none = most_calls(recipe, dict.fromkeys(recipe.sources, 0.0))
    assert none == Calls(0, 0, 0, 0)
    some, twice = (most_calls(recipe, dict.fromkeys(recipe.sources, n)) for n in (4.0, 8.0))  # below max_samples
    assert some.generate > 0
    assert twice.generate == 2 * some.generate
    assert twice.judge == 2 * some.judge
    assert most_calls(recipe, dict.fromkeys(recipe.sources, 1000.0), mix_only=True) == Calls(0, 0, 0, 0)
