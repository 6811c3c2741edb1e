"""Tables that no build of a working folder uses any more, listed and removed: those and nothing else."""

import contextlib
import errno
import fcntl
import os
import shutil
import sys
from pathlib import Path

import pytest

from pipelines.build import lock_file
from pipelines.engine.clean import prune, unused
from pipelines.engine.locks import held, in_use, lock_of
from pipelines.engine.place import work_of
from pipelines.look.clean import clean_build
from pipelines.replies.store import ReplyStore
from schemas.errors import UserError
from tests.programmes.project import ids, knowing_server, run
from tests.promises import promise

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group('steps')]


@pytest.fixture
def out(plain, tmp_path) -> Path:
    """A copy of a finished build, mix and triples, which lies and works as the first did."""
    shutil.copytree(plain.folder, tmp_path / 'build')
    return tmp_path / 'build/out'


def tables(work: Path) -> set[str]:
    return {path.parent.relative_to(work).as_posix() for path in work.glob('*/*/_DONE.json')}


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob('*') if path.is_file()}


def unused_in(work: Path) -> set[str]:
    return {path.relative_to(work).as_posix() for path in unused(work)}


def names(keys: set[str]) -> list[str]:
    return sorted(key.partition('/')[0] for key in keys)


def test_of_a_finished_build_everything_is_used(out):
    before = files(out)
    assert list(prune(out / 'work')) == [f'{out}/work: removed tables of 0 bytes that no build uses any more']
    assert files(out) == before


def test_after_a_build_with_another_margin_what_only_the_old_one_used_goes_and_no_reply(project, out, capsys):
    work = out / 'work'
    before, replies = tables(work), files(work / 'replies')
    shutil.rmtree(out / 'triples')
    with knowing_server() as server:
        project.build(out, url=server.url, sets=('judge.margin=2.0',))
        old = unused_in(work)
        assert old < before
        assert names(old) == ['digests', 'rejected', 'rejections', 'shortcuts', 'triple_plan', 'triple_rows', 'triple_rows'], 'of train and validation'
        now = tables(work)
        *listed, told = prune(work)
        assert {line.partition(':')[0] for line in listed} == old
        assert 'removed tables of' in told
        assert tables(work) == now - old
        assert not [path for path in work.iterdir() if path.is_dir() and path.name != 'peers' and not any(path.iterdir())]
        capsys.readouterr()
        project.build(out, url=server.url, sets=('judge.margin=2.0',))
    assert server.bodies == []
    assert capsys.readouterr().out.count('nothing to do') == 2
    assert files(work / 'replies') == replies
    assert tables(work) == now - old


def test_a_build_whose_folder_is_not_there_keeps_its_tables_until_they_are_given_up(project, tmp_path, capsys):
    work, gone, there = tmp_path / 'tables', tmp_path / 'gone', tmp_path / 'there'
    project.build(there, work=work, mix_only=True)
    before = tables(work)
    project.build(gone, work=work, sets=('duplicates.photo_bits=5',), mix_only=True)
    shutil.rmtree(gone)
    more = tables(work) - before
    kept, _ = prune(work)
    assert kept == f'kept: the tables of {gone} (mix), which is not there; --yes removes them too'
    assert tables(work) == before | more
    assert names(more) == ['digests', 'features', 'mix_rows', 'plan', 'rejected', 'rejections', 'spread', 'stars']
    list(prune(work, of_gone=True))
    assert tables(work) == before
    capsys.readouterr()
    project.build(there, work=work, mix_only=True)
    assert capsys.readouterr().out.startswith('mix: nothing to do')


def test_what_versions_before_left_in_a_table_folder_goes_and_the_tables_below_stay(out):
    work = out / 'work'
    before = files(work)
    old = {f'{table}/{file}' for table in ('samples', 'candidates-0')
           for file in ('_PLAN.json', '_DONE.json', 'part-00000.parquet', 'rejections-00000.parquet', 'shard-00000.json')}
    for file in old:
        (work / file).parent.mkdir(exist_ok=True)
        (work / file).write_bytes(b'x' * 1_000_000)
    *listed, told = prune(work)
    assert listed == ['candidates-0: 5.0 MB', 'samples: 5.0 MB']
    assert 'removed tables of 10.0 MB' in told
    assert files(work) == before
    assert not (work / 'candidates-0').exists()


def test_what_a_killed_writer_left_goes_with_its_table(project, out):
    work = out / 'work'
    left = next(work.glob('triple_plan/*'))
    half = left.with_name('0' * 32)
    shutil.copytree(left, half)
    (half / '_DONE.json').unlink()
    (half / '.shard-00000.abc.tmp').mkdir()
    (half / '.shard-00000.abc.tmp/part-00000.parquet').write_bytes(b'half')
    assert unused_in(work) == {f'triple_plan/{half.name}'}
    list(prune(work))
    assert not half.exists()
    assert left.exists()


def test_a_running_build_and_a_folder_of_something_else_are_refused(out, tmp_path):
    work = out / 'work'
    (work / 'samples/_PLAN.json').write_text('{}')
    before = files(work)
    with lock_of(lock_file(work, out, 0)).acquire(blocking=False), pytest.raises(UserError, match='a build is running in this folder'):
        list(prune(work))
    assert files(work) == before
    somebody = tmp_path / 'somebody/samples'
    somebody.mkdir(parents=True)
    (somebody / '_PLAN.json').write_text('{}')
    with pytest.raises(UserError, match='expected the working folder of a build, found none; nothing was removed'):
        list(prune(somebody.parent))
    assert (somebody / '_PLAN.json').exists()


def test_the_front_door_lists_what_goes_and_keeps_what_is_sealed(out):
    sealed = ids(out)
    (out / 'work/stars/_PLAN.json').write_text('{}')
    told = run([sys.executable, '-m', 'phantom', 'clean', str(out), '--unused'])
    assert (told.returncode, told.stderr) == (0, '')
    assert told.stdout.splitlines() == ['stars: 2 bytes', f'{out}/work: removed tables of 2 bytes that no build uses any more']
    assert ids(out) == sealed
    assert tables(out / 'work')


def clean(out: Path, *, yes: bool = False, replies: bool = False) -> str:
    return clean_build(out, work_of(out), with_snapshots=yes, with_replies=replies)


@promise('Processes', 'phantom clean keeps every paid reply unless --replies is given: the next build asks nothing again.')
def test_paid_replies_stay_and_the_next_build_asks_nothing(project, out):
    sealed, stored = ids(out), files(out / 'work/replies')
    keys = ReplyStore(out / 'work/replies').stats().keys
    told = clean(out, yes=True)
    assert f'kept: {keys:,} paid replies in {out}/work/replies, which cost' in told
    assert '--replies' in told
    assert stored.items() <= files(out / 'work/replies').items()
    assert sorted(path.name for path in (out / 'work').iterdir() if path.is_dir()) == ['ledger', 'replies']
    with knowing_server() as server:
        project.build(out, url=server.url)
    assert [body for body in server.bodies if 'Hello!' not in str(body)] == [], 'but for the prompts with which a build tries a server'
    assert ids(out) == sealed
    assert '; kept' not in clean(out, yes=True, replies=True)
    assert not (out / 'work').exists()


@pytest.mark.parametrize('left', ['packs alone', 'a damaged pack put aside', 'a batch'])
def test_paid_replies_stay_whatever_else_is_there(out, left):
    replies = out / 'work/replies'
    with contextlib.closing(ReplyStore(replies)) as store:
        store.compact()
    (replies / 'segments').rmdir()
    pack, = (replies / 'packs').glob('*.parquet')
    if left != 'packs alone':
        for path in (replies / 'packs').iterdir():
            if path != pack:
                path.unlink()
        pack = pack.rename(f'{pack}.damaged') if left != 'a batch' else (out / 'work/batches') / 'b.jsonl'
    if left == 'a batch':
        shutil.rmtree(replies)
        pack.parent.mkdir()
        pack.write_text('{}')
    assert '; kept: ' in clean(out)
    assert pack.exists()


def test_of_a_link_only_the_link_goes(out, tmp_path):
    for at in (out / 'work/samples', out / 'mix'):
        at.rename(tmp_path / at.name)
        at.symlink_to(tmp_path / at.name)
    before = files(tmp_path / 'samples') | files(tmp_path / 'mix')
    clean(out, yes=True)
    assert files(tmp_path / 'samples') | files(tmp_path / 'mix') == before
    assert not [path for path in [*out.iterdir(), *(out / 'work').iterdir()] if path.is_symlink()]


@promise('Processes', 'phantom clean removes nothing that a build, a gallery, an export or a training run uses at the moment.')
def test_what_somebody_uses_is_refused(out):
    before = files(out)
    uses = (in_use(out / 'triples'), in_use(out / 'work'), held(out), lock_of(out / 'work/.lock-models').acquire(blocking=False))
    for use in uses:
        with use, pytest.raises(UserError, match=r'expected nobody to use it|is running in this folder'):
            clean(out, yes=True, replies=True)
    with in_use(out / 'work'), pytest.raises(UserError, match='a gallery'):
        list(prune(out / 'work'))
    assert files(out) == before


def test_a_working_folder_elsewhere_is_known_and_loses_only_what_this_build_alone_used(project, tmp_path):
    work, out, other = tmp_path / 'tables', tmp_path / 'out', tmp_path / 'other'
    project.build(other, work=work, mix_only=True)
    before = tables(work)
    project.build(out, work=work, sets=('duplicates.photo_bits=5',), mix_only=True)
    assert work_of(out) == work
    with lock_of(lock_file(work, out, 0)).acquire(blocking=False), pytest.raises(UserError, match='a build is running'):
        clean(out, yes=True)
    assert (out / 'mix/manifest.json').exists()
    with pytest.raises(UserError, match='expected --replies only where no other build uses them'):
        clean(out, replies=True)
    assert 'removed mix, what it alone used' in clean(out, yes=True)
    assert tables(work) == before
    project.build(other, mix_only=True)
    assert work_of(other) == other / 'work', 'a build that was told no other folder uses its own'


@promise('Disks', 'Where files cannot be locked, build and clean refuse in the same words.')
def test_a_file_system_without_locks(project, out, monkeypatch):
    def no_service(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, 'flock', no_service)
    for doing in (lambda: clean(out), lambda: list(prune(out / 'work')), lambda: project.build(out, mix_only=True)):
        with pytest.raises(UserError, match='expected a file system that locks files, found: No locks available'):
            doing()
