import errno
import fcntl
import os

import pytest
from typer.testing import CliRunner

import phantom
from pipelines.build import alone
from schemas.errors import UserError


def test_a_working_folder_that_cannot_be_locked_is_told_and_an_output_folder_may_be_one(tmp_path, monkeypatch):
    """Some network file systems lock nothing, others files only."""
    real, lock_files = fcntl.flock, True

    def flock(descriptor: int, how: int) -> None:
        if not lock_files or os.path.isdir(f'/proc/self/fd/{descriptor}'):
            raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))
        real(descriptor, how)

    monkeypatch.setattr(fcntl, 'flock', flock)
    with alone(tmp_path / 'work', tmp_path, 0):
        pass
    lock_files = False
    with pytest.raises(UserError, match='work: expected a file system that locks files, found: No locks available; .*--work'), alone(tmp_path / 'work', tmp_path, 0):
        pass


def test_a_folder_in_the_home_of_the_user_is_found_where_the_shell_left_its_sign(tmp_path, monkeypatch):
    monkeypatch.setenv('HOME', str(tmp_path))
    (tmp_path / 'r.yaml').write_text('{name: r, sources: {a: {format: llava, annotations: [a.json], licence: MIT}}}')
    for option in ('--root=~/nothing', '--root=~/$HOME'):
        told = CliRunner().invoke(phantom.app, ['validate', str(tmp_path / 'r.yaml'), option]).exception
        assert str(told).startswith(f'root {option.replace("--root=~", str(tmp_path))}: expected the folder of the sources')
