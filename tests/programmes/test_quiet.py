"""A build that is told to be quiet says what it made and nothing else."""

import pytest


@pytest.mark.parametrize('at', [0, 1])
def test_a_quiet_build_prints_its_result_alone(front, project, tmp_path, at):
    words = project.words(tmp_path / 'out', '--mix-only')
    words.insert(at, '--quiet')
    code, told, news = front(*words)
    assert (code, news) == (0, '')
    [line] = told.splitlines()
    assert line.startswith(f'mix: sealed {tmp_path}/out/mix (')
