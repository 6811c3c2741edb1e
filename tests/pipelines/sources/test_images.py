import hashlib
import os
import pickle
import zipfile

import pytest

from pipelines.sources.images import ImageStore, ImageTooManyBytes, ImageUnavailable, pack, packed_path

BYTES = b'not a picture, but bytes'


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / 'root'
    (folder / 'deep').mkdir(parents=True)
    (folder / 'deep/a.png').write_bytes(BYTES)
    (tmp_path / 'secret').write_bytes(b'secret')
    with zipfile.ZipFile(tmp_path / 'z.zip', 'w', zipfile.ZIP_DEFLATED) as archive:
        archive.writestr('in/b.png', BYTES)
        archive.writestr('bomb.png', b'\0' * 1_000_000)
    return folder


def store(root, tmp_path, max_bytes=1000):
    return ImageStore({'s': (str(root), str(tmp_path / 'z.zip'))}, str(tmp_path / 'packed'), max_bytes)


def test_reads_folders_zip_members_and_packed_bytes_unchanged(root, tmp_path):
    opened = store(root, tmp_path)
    name = pack(tmp_path / 'packed', BYTES)
    assert name == 'sha256:' + hashlib.sha256(BYTES).hexdigest()
    assert [opened.read(f's/{ref}') for ref in ('deep/a.png', 'in/b.png', name)] == [BYTES] * 3


def test_travels_to_a_worker_with_its_archives_closed(root, tmp_path):
    opened = store(root, tmp_path)
    opened.read('s/in/b.png')
    assert pickle.loads(pickle.dumps(opened)).read('s/in/b.png') == BYTES


@pytest.mark.parametrize('name', ['no.png', 'deep', 'in/none.png', ''])
def test_what_is_not_there_is_told_without_naming_a_folder_of_this_machine(root, tmp_path, name):
    with pytest.raises(ImageUnavailable) as told:
        store(root, tmp_path).read(f's/{name}')
    assert str(tmp_path) not in str(told.value)


@pytest.mark.parametrize('name', ['../secret', 'deep/../../secret', '/etc/passwd'])
def test_a_path_out_of_the_root_is_refused(root, tmp_path, name):
    with pytest.raises(ImageUnavailable, match='leads out of its root'):
        store(root, tmp_path).read(f's/{name}')


def test_a_symlink_out_of_the_root_is_refused(root, tmp_path):
    os.symlink(tmp_path / 'secret', root / 'link.png')
    with pytest.raises(ImageUnavailable, match='leads out of its root'):
        store(root, tmp_path).read('s/link.png')


@pytest.mark.parametrize('name', ['deep/a.png', 'bomb.png'])
def test_more_bytes_than_the_bound_are_never_read(root, tmp_path, name):
    with pytest.raises(ImageTooManyBytes, match='more than 10'):
        store(root, tmp_path, max_bytes=10).read(f's/{name}')


def test_packing_twice_writes_once(tmp_path):
    name = pack(tmp_path, BYTES).removeprefix('sha256:')
    before = packed_path(tmp_path, name).stat().st_mtime_ns
    pack(tmp_path, BYTES)
    assert packed_path(tmp_path, name).stat().st_mtime_ns == before
    assert len(list(tmp_path.rglob('*'))) == 2


def test_a_changed_file_changes_its_stamp(root, tmp_path):
    opened = store(root, tmp_path)
    before = opened.stamp('s/deep/a.png')
    os.utime(root / 'deep/a.png', ns=(1, 1))
    assert before != opened.stamp('s/deep/a.png') == f'{len(BYTES)}:1'
    assert opened.stamp('s/sha256:00') == opened.stamp('other/a.png') == ''
