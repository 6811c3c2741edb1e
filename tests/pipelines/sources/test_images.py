import hashlib
import os
import pickle
import zipfile

import pytest

from pipelines.sources.images import ImageStore, ImageTooManyBytes, ImageUnavailable, pack, packed_path
from tests.promises import promise

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


@promise('Hostile files', 'A link that leads out of the folders of the recipe is not followed.')
def test_a_symlink_out_of_the_root_is_refused(root, tmp_path):
    os.symlink(tmp_path / 'secret', root / 'link.png')
    with pytest.raises(ImageUnavailable, match='leads out of its root'):
        store(root, tmp_path).read('s/link.png')


@pytest.mark.parametrize('name', ['deep/a.png', 'bomb.png'])
@promise('Hostile files', 'Of a picture never more bytes than the bound are read.')
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


def test_a_link_that_stays_in_its_root_is_followed_be_it_a_file_or_a_folder(root, tmp_path):
    os.symlink('deep/a.png', root / 'file.png')
    os.symlink('deep', root / 'folder')
    os.symlink(root / 'folder/a.png', root / 'deep/again.png')
    opened = store(root, tmp_path)
    assert [opened.read(f's/{name}') for name in ('file.png', 'folder/a.png', 'deep/again.png')] == [BYTES] * 3


@pytest.mark.parametrize('whose', ['s', 'another source'])
def test_a_link_into_another_folder_that_the_recipe_names_is_followed(root, tmp_path, whose):
    (tmp_path / 'blobs').mkdir()
    (tmp_path / 'blobs/0a1b').write_bytes(BYTES)
    os.symlink('../blobs/0a1b', root / 'file.png')
    os.symlink(tmp_path / 'blobs', root / 'folder')
    alone = ImageStore({'s': (str(root),)}, '', 1000)
    for name in ('file.png', 'folder/0a1b'):
        with pytest.raises(ImageUnavailable, match='is a link that leads out of its root; name the folder that it leads to under `images`') as told:
            alone.read(f's/{name}')
        assert str(tmp_path) not in str(told.value), 'a rejection is equal on every machine'
        assert alone.stamp(f's/{name}') == 'leads out'
    roots = {'s': (str(root),)}
    roots[whose] = (*roots.get(whose, ()), str(tmp_path / 'blobs'))
    named = ImageStore(roots, '', 1000)
    assert [named.read(f's/{name}') for name in ('file.png', 'folder/0a1b')] == [BYTES] * 2
    assert named.stamp('s/file.png') == f'{len(BYTES)}:{(tmp_path / "blobs/0a1b").stat().st_mtime_ns}'


def test_snapshots_of_the_hub_cache_lead_into_its_blobs(tmp_path):
    cache = tmp_path / 'hub/datasets--a--b'
    (cache / 'blobs').mkdir(parents=True)
    (cache / 'snapshots/0f/images').mkdir(parents=True)
    (cache / 'blobs/0a1b').write_bytes(BYTES)
    (tmp_path / 'hub/datasets--c--d/blobs').mkdir(parents=True)
    (tmp_path / 'hub/datasets--c--d/blobs/2c').write_bytes(b'of another data set')
    os.symlink('../../../blobs/0a1b', cache / 'snapshots/0f/images/1.png')
    os.symlink('../../../../datasets--c--d/blobs/2c', cache / 'snapshots/0f/images/2.png')
    for root in ('snapshots/0f/images', 'snapshots/0f', '.'):
        opened = ImageStore({'s': (str(cache / root),)}, '', 1000)
        inner = {'snapshots/0f/images': '', 'snapshots/0f': 'images/', '.': 'snapshots/0f/images/'}[root]
        assert opened.read(f's/{inner}1.png') == BYTES
        with pytest.raises(ImageUnavailable, match='is a link that leads out'):
            opened.read(f's/{inner}2.png')


def test_a_root_that_is_a_link_is_where_it_leads_to(root, tmp_path):
    os.symlink(root, tmp_path / 'linked')
    assert ImageStore({'s': (str(tmp_path / 'linked'),)}, '', 1000).read('s/deep/a.png') == BYTES


def test_a_link_that_leads_out_hides_no_picture_in_the_next_root(root, tmp_path):
    (tmp_path / 'second').mkdir()
    (tmp_path / 'second/link.png').write_bytes(BYTES)
    os.symlink(tmp_path / 'secret', root / 'link.png')
    opened = ImageStore({'s': (str(root), str(tmp_path / 'second'))}, '', 1000)
    assert opened.read('s/link.png') == BYTES
    assert opened.stamp('s/link.png').startswith(f'{len(BYTES)}:')


def test_links_in_a_circle_and_into_nothing_are_told(root, tmp_path):
    os.symlink('b.png', root / 'a.png')
    os.symlink('a.png', root / 'b.png')
    os.symlink('deep/none.png', root / 'c.png')
    for name in ('a.png', 'c.png'):
        with pytest.raises(ImageUnavailable, match='no file'):
            store(root, tmp_path).read(f's/{name}')
        assert store(root, tmp_path).stamp(f's/{name}') == ''
