"""Pictures that were replaced or copied with their sizes and times: the bytes decide, and who touches nothing reads nothing."""

import os
import shutil
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from curation.pictures.images import ImageLimits
from pipelines.engine.engine import Engine
from pipelines.mix.fingerprints import REFS, FingerprintImages
from pipelines.mix.stamps import settled
from pipelines.sources.images import ImageStore
from schemas.errors import UserError
from tests.pipelines.mix.mixes import build, table_of
from tests.programmes.project import picture, write_project

NAMES = [f'{i}.png' for i in range(5)]


@dataclass
class Source:
    """A folder of pictures, and the step that looks at them."""

    folder: Path
    step: FingerprintImages
    engine: Engine

    def settle(self) -> FingerprintImages:
        """Return the step that a build would run now."""
        return settled(self.step, self.engine)

    def facts(self) -> dict[str, str]:
        """Return image ids by reference, as a build finds them now."""
        rows = self.engine.run(self.settle()).read(columns=['ref', 'image_id'])
        return dict(zip(rows['ref'].to_pylist(), rows['image_id'].to_pylist(), strict=True))


def source(tmp_path: Path, roots: tuple[str, ...] = ('in',), refs: list[str] | None = None) -> Source:
    folder = tmp_path / 'in'
    folder.mkdir(parents=True, exist_ok=True)
    for name in NAMES:
        (folder / name).write_bytes(picture(name))
    (folder / 'broken.png').write_bytes(b'\x89PNG\r\n\x1a\nno')
    listed = table_of(tmp_path / 'refs' / 'r', pa.table({'ref': refs or [f's/{name}' for name in (*NAMES, 'broken.png', 'none.png')]}, REFS))
    store = ImageStore({'s': tuple(str(tmp_path / root) for root in roots)}, '', 10**9, index=str(tmp_path / 'index'))
    return Source(folder, FingerprintImages(listed, '', False, ImageLimits(), store), Engine(tmp_path / 'work'))


def overwrite(path: Path, data: bytes) -> None:
    """Replace a file as `rsync -t` and `tar -x` do: another inode, the size and time of before."""
    about = path.stat()
    other = path.with_name('.new')
    other.write_bytes(data.ljust(about.st_size, b'\0'))
    assert other.stat().st_size == about.st_size, 'the new picture must be no larger'
    os.utime(other, ns=(about.st_atime_ns, about.st_mtime_ns))
    other.replace(path)


def smaller(of: bytes) -> bytes:
    """Return another picture of at most as many bytes."""
    return next(data for i in range(100) if len(data := picture(f'other {i}', side=30)) <= len(of))


@pytest.fixture
def reads(monkeypatch):
    """Every reference that was read."""
    listed, read = [], ImageStore.read
    monkeypatch.setattr(ImageStore, 'read', lambda self, reference: listed.append(reference) or read(self, reference))
    return listed


def test_who_touches_nothing_reads_nothing(tmp_path, reads):
    some = source(tmp_path)
    before = some.facts()
    reads.clear()
    assert some.facts() == before
    assert reads == []


@pytest.mark.parametrize('how', [overwrite, lambda path, data: (path.write_bytes(data.ljust(n := path.stat().st_size, b'\0')[:n]))], ids=['new inode', 'in place'])
def test_a_picture_replaced_at_equal_size_and_time_is_described_from_its_new_bytes(tmp_path, reads, how):
    some = source(tmp_path)
    before = some.facts()
    path = some.folder / '2.png'
    times = path.stat().st_atime_ns, path.stat().st_mtime_ns
    how(path, smaller(path.read_bytes()))
    os.utime(path, ns=times)
    reads.clear()
    after = some.facts()
    assert {name for name in before if before[name] != after[name]} == {'s/2.png'}
    assert reads[0] == 's/2.png', 'of the others no byte is read to find that out'
    reads.clear()
    assert some.facts() == after
    assert reads == [], 'what was read to find it out is remembered'


def test_a_picture_that_comes_back_finds_its_first_table_again(tmp_path):
    some = source(tmp_path)
    before, first = some.facts(), (some.folder / '2.png').read_bytes()
    overwrite(some.folder / '2.png', smaller(first))
    assert some.facts() != before
    overwrite(some.folder / '2.png', first)
    made = len(some.engine.ran)
    assert some.facts() == before
    assert len(some.engine.ran) == made


def test_a_copied_folder_costs_reading_once_and_no_other_table(tmp_path, reads):
    some = source(tmp_path)
    before = some.facts()
    shutil.copytree(some.folder, tmp_path / 'copy')  # with its times
    shutil.rmtree(some.folder)
    (tmp_path / 'copy').rename(some.folder)
    made = len(some.engine.ran)
    reads.clear()
    assert some.facts() == before
    assert len(some.engine.ran) == made
    assert sorted(reads) == sorted(f's/{name}' for name in (*NAMES, 'broken.png'))
    reads.clear()
    assert some.facts() == before
    assert reads == []


def test_a_broken_picture_that_was_mended_at_equal_size_and_time_is_found(tmp_path):
    some = source(tmp_path)
    (some.folder / 'broken.png').write_bytes(b'\x89PNG\r\n\x1a\n'.ljust(2000, b'x'))
    before = some.facts()
    overwrite(some.folder / 'broken.png', picture('whole'))
    assert set(some.facts()) - set(before) == {'s/broken.png'}


@pytest.mark.parametrize('suffix', ['zip', 'tar'])
def test_an_archive_replaced_at_equal_size_and_time_is_read_anew(tmp_path, suffix):
    import tarfile

    def write(path: Path, last: bytes) -> None:
        if suffix == 'zip':
            with zipfile.ZipFile(path, 'w', zipfile.ZIP_STORED) as archive:
                for name in NAMES[:4]:
                    archive.writestr(zipfile.ZipInfo(name), picture(name))
                archive.writestr(zipfile.ZipInfo('4.png'), last)
            return
        with tarfile.open(path, 'w') as archive:
            for name in NAMES[:4]:
                archive.add(tmp_path / 'in' / name, name)
            (tmp_path / 'last.png').write_bytes(last)
            archive.add(tmp_path / 'last.png', '4.png')

    some = source(tmp_path, (f'a.{suffix}',), [f's/{name}' for name in NAMES])
    whole = picture('4.png')
    write(tmp_path / f'a.{suffix}', whole)
    before = some.facts()
    write(tmp_path / 'b', smaller(whole).ljust(len(whole), b'\0'))
    about = (tmp_path / f'a.{suffix}').stat()
    assert (tmp_path / 'b').stat().st_size == about.st_size
    os.utime(tmp_path / 'b', ns=(about.st_atime_ns, about.st_mtime_ns))
    (tmp_path / 'b').replace(tmp_path / f'a.{suffix}')
    fresh = replace(some, step=replace(some.step, store=replace(some.step.store, _archives={})))  # as in another process
    after = fresh.facts()
    assert {name for name in before if before[name] != after[name]} == {'s/4.png'}


def test_a_picture_replaced_while_half_of_the_table_is_made_is_found(tmp_path):
    some = source(tmp_path)
    step = some.settle()
    table = some.engine.table(step)
    some.engine.run(step)
    (table.path / '_DONE.json').unlink()
    overwrite(some.folder / '1.png', smaller((some.folder / '1.png').read_bytes()))
    assert some.engine.table(some.settle()).key != table.key


def test_a_reference_that_leads_out_is_looked_at_again_once_its_folder_is_named(tmp_path):
    some = source(tmp_path, refs=['s/0.png', 's/link.png'])
    (tmp_path / 'blobs').mkdir()
    (some.folder / '1.png').rename(tmp_path / 'blobs/x')
    os.symlink(tmp_path / 'blobs/x', some.folder / 'link.png')
    assert list(some.facts()) == ['s/0.png']
    store = replace(some.step.store, roots={**some.step.store.roots, 't': (str(tmp_path / 'blobs'),)})
    assert list(replace(some, step=replace(some.step, store=store)).facts()) == ['s/0.png', 's/link.png']


def test_after_the_message_that_a_picture_changed_a_rerun_seals(tmp_path, monkeypatch):
    from pipelines.mix import rows as write_mix

    changing = write_project(tmp_path / 'project')
    process = write_mix.WriteMix.process
    path = next((changing.root / 'shapes').rglob('*.png'))

    def spoil(self, shard, writer):
        for one in sorted(one for one in path.parent.glob('*.png') if b'IEND' in one.read_bytes()):
            data = bytearray(one.read_bytes())
            at = data.index(b'IEND') + 4
            data[at:at + 4] = bytes(4)  # another check sum of an empty chunk: other bytes, the picture as before
            overwrite(one, bytes(data))
        process(self, shard, writer)

    with monkeypatch.context() as patched:
        patched.setattr(write_mix.WriteMix, 'process', spoil)
        with pytest.raises(UserError, match='build again'):
            build(changing, tmp_path / 'out', tmp_path / 'work')
    mix, _ = build(changing, tmp_path / 'out', tmp_path / 'work')
    assert mix.manifest['snapshot_id']


def test_the_status_of_a_picture_is_that_of_the_file_behind_a_link(tmp_path):
    (tmp_path / 'in').mkdir()
    (tmp_path / 'in/a.png').write_bytes(picture('a'))
    os.symlink('a.png', tmp_path / 'in/b.png')
    store = ImageStore({'s': (str(tmp_path / 'in'),)}, '', 10**6)
    about = (tmp_path / 'in/a.png').stat()
    assert store.status('s/a.png') == store.status('s/b.png') == (about.st_size, about.st_mtime_ns, about.st_ino, about.st_ctime_ns)
    assert np.array(store.status('s/none.png')).any() == np.False_
