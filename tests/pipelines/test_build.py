import errno
import fcntl
import os

import pytest

from pipelines.build import _alone
from schemas.errors import UserError


def test_a_working_folder_that_cannot_be_locked_is_told_and_an_output_folder_may_be_one(tmp_path, monkeypatch):
    """Some network file systems lock nothing, others files only."""
    real, lock_files = fcntl.flock, True

    def flock(descriptor: int, how: int) -> None:
        if not lock_files or os.path.isdir(f'/proc/self/fd/{descriptor}'):
            raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))
        real(descriptor, how)

    monkeypatch.setattr(fcntl, 'flock', flock)
    with _alone(tmp_path / 'work', tmp_path, 0):
        pass
    lock_files = False
    with pytest.raises(UserError, match='work: expected a file system that locks files, found: No locks available; .*--work'), _alone(tmp_path / 'work', tmp_path, 0):
        pass
