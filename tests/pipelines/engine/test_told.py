"""What the disk refuses a step is told by the build as one message, wherever the step ran and whether or not a note of it could be written."""

import errno
import os
from dataclasses import dataclass

import numpy as np
import pytest

from pipelines.engine import told
from pipelines.engine.engine import Engine
from pipelines.engine.step import Place, Step
from schemas.errors import PendingWork, UserError
from tests.promises import promise

WORKERS = ('--direct_running_mode=multi_processing', '--direct_num_workers=2')


@dataclass(frozen=True)
class Fails(Step):
    """Raises what a step may meet in its second shard."""

    TABLE = 'fails'
    VERSION = 1
    how: str
    mended: Place[bool] = False

    def shards(self):
        return (0, 1, 2)

    def process(self, shard, writer):
        np.save(writer.folder / f'array-{writer.index:05d}.npy', np.zeros(3))
        if shard == 1 and not self.mended:
            raise {'quota': OSError(errno.EDQUOT, 'Disk quota exceeded'), 'numpy': OSError('1000 requested and 24 written'), 'memory': MemoryError(),
                   'files': OSError(errno.EMFILE, 'x', '/data/a.png'), 'bug': KeyError('x')}[self.how]


CASES = [
    ('quota', UserError, r'the quota on this disk is used up \(EDQUOT\); free some space'), ('numpy', UserError, r'the disk is full \(ENOSPC\)'),
    ('memory', PendingWork, r'no memory is left \(ENOMEM\); use fewer workers'), ('files', PendingWork, r'^/data/a.png: .*\(EMFILE\); raise the limit')]


@promise('Disks', 'What the disk refuses a worker is told by the build as one message; shards that are finished are kept.', refusals=len(CASES))
@pytest.mark.parametrize(('beam', 'how', 'error', 'words'), [
    *(((), *case) for case in CASES), pytest.param(WORKERS, *CASES[0], marks=pytest.mark.integration)])
def test_a_refusal_is_one_message_and_the_next_run_makes_what_is_missing(tmp_path, beam, how, error, words):
    engine = Engine(tmp_path, beam)
    with pytest.raises(UserError, match=words) as failed:
        engine.run(Fails(how))
    assert type(failed.value) is error
    assert '\n' not in str(failed.value)
    table = engine.table(Fails(how))
    assert str(failed.value).startswith('/data/a.png' if how == 'files' else f'{table.path}: ')
    made = {path: path.stat().st_mtime_ns for path in table.path.glob('shard-*.json')}
    assert [path.name for path in table.path.iterdir() if path.name.endswith('.tmp')] == []
    assert Engine(tmp_path, beam).run(Fails(how, mended=True)).done()
    assert {path: path.stat().st_mtime_ns for path in made} == made


def test_a_disk_that_takes_no_note_either_is_told_all_the_same(tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    monkeypatch.setattr(told, 'publish_json', full)
    with pytest.raises(UserError, match=r'fails/\w+: .* \(EDQUOT\); free some space, .* on another disk$') as failed:
        Engine(tmp_path).run(Fails('quota'))
    assert '\n' not in str(failed.value)


def test_a_bug_of_a_step_keeps_its_traceback(tmp_path):
    with pytest.raises(KeyError):
        Engine(tmp_path).run(Fails('bug'))
