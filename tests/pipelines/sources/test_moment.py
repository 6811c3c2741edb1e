"""What a disk says of a picture or a file: there, not there, or nothing for the moment, which is no verdict."""

import errno
import io
import json
import os
import pickle
import shutil
import tarfile
import zipfile
from pathlib import Path

import pytest
from PIL import Image, ImageFile

from curation.pictures.images import ImageFault, ImageLimits, inspect_image
from pipelines.sources import apart, archives, containers
from pipelines.sources.files import resolve_source
from pipelines.sources.images import NOTHING, UNREADABLE, ImageStore, ImageUnavailable, LeadsOut, filled
from pipelines.sources.usable import look_at_source
from schemas import disk
from schemas.disk import globbed, of_the_moment, real_path
from schemas.errors import PendingWork, Unreadable, UserError
from schemas.pixels import BadImage, read_rgb
from schemas.recipe import Source
from schemas.records import Reason
from tests.failing_disk import MOMENTS, NEVER_THERE, Broken, failing, refusal
from tests.programmes.project import picture
from tests.promises import promise


@pytest.fixture
def root(tmp_path) -> Path:
    folder = tmp_path / 'in'
    (folder / 'deep').mkdir(parents=True)
    for name in ('a.png', 'b.png', 'deep/c.png'):
        (folder / name).write_bytes(picture(name))
    return folder


def store(*roots: Path, **more: object) -> ImageStore:
    paths = tuple(map(str, roots))
    return ImageStore({'s': paths}, '', 10**6, filled=filled(paths), **more)


@promise('Disks', 'A picture that the disk refuses for the moment, by whatever error, is no missing picture', errors=len(MOMENTS))
@pytest.mark.parametrize('at', ['open', 'read', 'stat'])
@pytest.mark.parametrize('name', MOMENTS)
def test_what_may_pass_is_told_by_name_and_is_no_missing_picture(root, name, at):
    opened = store(root)
    with failing(name, 'a.png', at=at), pytest.raises(Unreadable, match=f's/a.png .{os.strerror(getattr(errno, name))}') as told:
        opened.read('s/a.png')
    assert told.value.code == 4
    assert opened.read('s/a.png') == picture('a.png'), 'nothing of it is remembered'


@pytest.mark.parametrize('name', NEVER_THERE)
def test_what_says_that_no_file_is_there_is_a_missing_picture(root, name):
    with failing(name, 'a.png', at='open'), pytest.raises(ImageUnavailable, match='no file'):
        store(root).read('s/a.png')


def test_names_that_no_disk_has_are_missing_pictures(root):
    (root / 'loop').symlink_to(root / 'loop')
    for name in ('x' * 300, 'a.png/b.png', 'loop', 'loop/a.png', 'deep', 'deep/../deep', 'no\ud83d.png'):
        with pytest.raises(ImageUnavailable, match='no file'):
            store(root).read(f's/{name}')
        assert store(root).status(f's/{name}') in (NOTHING, archives.stamp_of((root / 'deep').stat())), name


def test_a_pipe_is_no_picture_and_nobody_waits_for_it(root):
    os.mkfifo(root / 'pipe.png')
    with pytest.raises(ImageUnavailable, match='no file'):
        store(root).read('s/pipe.png')


def test_a_picture_of_which_the_disk_says_nothing_has_a_status_of_its_own(root):
    opened = store(root)
    with failing('EIO', 'a.png', at='stat'):
        assert [opened.status(f's/{name}') for name in ('a.png', 'none.png')] == [UNREADABLE, NOTHING]
    assert opened.status('s/a.png') == archives.stamp_of((root / 'a.png').stat())


def test_a_root_that_fails_is_not_passed_over_for_the_next_one(root, tmp_path):
    (tmp_path / 'other').mkdir()
    (tmp_path / 'other/a.png').write_bytes(picture('another'))
    with failing('ESTALE', 'in/a.png', at='stat'), pytest.raises(Unreadable):
        store(root, tmp_path / 'other').read('s/a.png')


@promise('Disks', 'A folder of pictures whose disk is unmounted during a build makes no picture missing')
@pytest.mark.parametrize('how', ['gone', 'empty', 'another thing'])
def test_a_root_that_was_there_when_the_build_began_and_is_not_is_no_verdict_on_its_pictures(root, how):
    opened = store(root)
    with pytest.raises(ImageUnavailable, match='no file'):
        opened.read('s/none.png')
    opened = pickle.loads(pickle.dumps(opened))  # a worker that starts now
    shutil.rmtree(root)
    if how == 'empty':  # where a disk was mounted
        root.mkdir()
    elif how == 'another thing':
        root.write_text('')
    for name in ('a.png', 'none.png'):
        with pytest.raises(Unreadable, match=f's/{name} .*was there when the build began'):
            opened.read(f's/{name}')
        assert opened.status(f's/{name}') == UNREADABLE


def test_one_file_that_vanishes_is_missing_and_an_empty_root_may_be_meant(root, tmp_path):
    (tmp_path / 'empty').mkdir()
    opened = store(root, tmp_path / 'empty')
    (root / 'a.png').unlink()
    with pytest.raises(ImageUnavailable, match="no file 'a.png' in 2 image root"):
        opened.read('s/a.png')


def test_a_link_that_cannot_be_followed_now_leads_nowhere(root, tmp_path):
    """Taken for a plain folder it would be followed out of its root by the next to ask."""
    (tmp_path / 'secret').mkdir()
    (tmp_path / 'secret/a.png').write_bytes(b'secret')
    (root / 'out').symlink_to(tmp_path / 'secret')
    opened, real = store(root), os.path.realpath

    def realpath(path: str, **options: bool) -> str:
        if str(path).endswith('out') and options.get('strict'):
            raise refusal('EIO', path)
        return str(path) if str(path).endswith('out') else real(path, **options)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os.path, 'realpath', realpath)
        with pytest.raises(Unreadable):
            opened.read('s/out/a.png')
    with pytest.raises(LeadsOut):
        opened.read('s/out/a.png')


def archive(path: Path) -> Path:
    if path.suffix == '.zip':
        with zipfile.ZipFile(path, 'w') as packed:
            packed.writestr('a.png', picture('a'))
    else:
        with tarfile.open(path, 'w', format=tarfile.USTAR_FORMAT) as packed:
            about = tarfile.TarInfo('a.png')
            about.size = len(picture('a'))
            packed.addfile(about, io.BytesIO(picture('a')))
    return path


@pytest.mark.parametrize('name', ['i.zip', 'i.tar'])
@pytest.mark.parametrize('moment', ['EIO', 'ESTALE'])
def test_an_archive_that_cannot_be_read_now_is_not_damaged(tmp_path, monkeypatch, name, moment):
    path = archive(tmp_path / name)
    opened, real = store(path), os.pread
    monkeypatch.setattr(os, 'pread', lambda *_: (_ for _ in ()).throw(refusal(moment)))
    with pytest.raises(Unreadable, match=f's/a.png .{os.strerror(getattr(errno, moment))}'):
        opened.read('s/a.png')
    monkeypatch.setattr(os, 'pread', real)
    assert opened.read('s/a.png') == picture('a')
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ImageUnavailable, match='is the archive whole'):
        opened.read('s/a.png')


@pytest.mark.parametrize('name', ['i.zip', 'i.tar'])
def test_an_archive_whose_members_cannot_be_listed_now_is_no_fault_of_it(tmp_path, monkeypatch, name):
    path = archive(tmp_path / name)
    monkeypatch.setattr(archives, '_scan', lambda _: (_ for _ in ()).throw(refusal('EMFILE', str(path))))
    with pytest.raises(Unreadable, match='Too many open files'):
        list(store(path).faults())
    monkeypatch.undo()
    path.write_bytes(b'no archive')
    assert list(store(path).faults())


@pytest.mark.parametrize('name', ['i.zip', 'i.tar'])
def test_an_archive_that_is_gone_is_no_verdict_on_its_members(tmp_path, name):
    opened = store(archive(tmp_path / name))
    assert opened.status('s/a.png') != NOTHING
    opened = pickle.loads(pickle.dumps(opened))
    (tmp_path / name).unlink()
    with pytest.raises(Unreadable, match='is gone'):
        opened.read('s/a.png')
    assert opened.status('s/a.png') == UNREADABLE


def test_an_archive_that_names_places_which_no_file_has_is_damaged(tmp_path):
    assert isinstance(archives._damage('i.zip', refusal('EINVAL')), archives.BadArchive)
    assert isinstance(archives._damage('i.zip', refusal('EIO')), OSError)


@pytest.mark.parametrize('error', [refusal('EMFILE'), refusal('ENOMEM'), MemoryError()])
def test_what_a_decoder_meets_of_the_system_is_no_verdict_on_a_picture(monkeypatch, error):
    monkeypatch.setattr(ImageFile.ImageFile, 'load', lambda *_: (_ for _ in ()).throw(error))
    for look in (lambda: inspect_image(picture('a'), ImageLimits()), lambda: read_rgb(picture('a'))):
        with pytest.raises(type(error)):
            look()


def test_a_decoder_without_memory_says_so_in_an_error_without_a_number(monkeypatch):
    monkeypatch.setattr(ImageFile.ImageFile, 'load', lambda *_: (_ for _ in ()).throw(ImageFile._get_oserror(-9, encoder=False)))
    found = inspect_image(picture('a'), ImageLimits())
    assert isinstance(found, ImageFault), 'there is memory: the sizes that it says are at fault'
    assert found.reason == Reason.IMAGE_UNDECODABLE
    monkeypatch.setattr('schemas.pixels._ROOM', 1 << 62)
    with pytest.raises(MemoryError):
        inspect_image(picture('a'), ImageLimits())
    with pytest.raises(MemoryError):
        read_rgb(picture('a'))


def test_what_pillow_says_of_damaged_bytes_stays_a_verdict():
    for error in (OSError('broken data stream when reading image file'), Image.UnidentifiedImageError('x'), io.UnsupportedOperation('fileno')):
        assert not of_the_moment(error)
    with pytest.raises(BadImage):
        read_rgb(picture('a')[:100])


@promise('Disks', 'A folder that cannot be listed stops a build; its files are not passed over')
def test_a_folder_that_cannot_be_listed_stops_the_build_and_is_not_passed_over(tmp_path, monkeypatch):
    for name in ('s/a/x.json', 's/b/y.json'):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text('[{"instruction": "What is it?", "output": "a thing"}]')
    real = os.scandir
    monkeypatch.setattr(disk.os, 'scandir', lambda path: (_ for _ in ()).throw(refusal('EACCES', path)) if str(path).endswith('/b') else real(path))
    for entry in ('s', 's/*/*.json', '**/*.json'):
        with pytest.raises(PendingWork, match='Permission denied'):
            resolve_source('s', Source(format='instruction', annotations=[entry], licence='MIT'), tmp_path)
    monkeypatch.undo()
    assert resolve_source('s', Source(format='instruction', annotations=['s'], licence='MIT'), tmp_path).annotations == ['s/a/x.json', 's/b/y.json']


def test_a_pattern_finds_what_pathlib_finds(tmp_path):
    for name in ('a/x.json', 'a/b/x.json', 'a/b/y.txt', '.h/x.json', 'x.json', 'a/b.json/z.json'):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text('')
    (tmp_path / 'link').symlink_to('a')
    for pattern in ('*.json', '**/*.json', 'a/*', '*/x.json', '**/*', '**', 'a/**/*.json', 'a/[bx]*', 'no/*', '*/*/*', 'link/*', 'a/b/x.json', 'a/?.json'):
        assert globbed(tmp_path, pattern) == sorted(set(tmp_path.glob(pattern))), pattern
    with pytest.raises(ValueError, match='stand alone'):
        globbed(tmp_path, 'a**')


def test_a_closed_lost_and_found_stops_nobody(tmp_path, monkeypatch):
    (tmp_path / 'lost+found').mkdir()
    (tmp_path / 'x.json').write_text('')
    real = os.scandir
    monkeypatch.setattr(disk.os, 'scandir', lambda path: (_ for _ in ()).throw(refusal('EACCES', path)) if path.name == 'lost+found' else real(path))
    assert [path.name for path in globbed(tmp_path, '**/*.json')] == ['x.json']


def test_the_real_path_of_what_is_not_there_is_as_far_as_it_is(tmp_path):
    (tmp_path / 'link').symlink_to(tmp_path / 'nowhere')
    assert real_path(str(tmp_path / 'link/x')) == str(tmp_path / 'nowhere/x')


@promise('Disks', 'An annotation file that fails while it is read stops the build with its name; no record of it is called malformed')
@pytest.mark.parametrize('name', ['a.json', 'a.jsonl', 'a.csv', 'a.tar'])
def test_an_annotation_file_that_fails_while_it_is_read_is_named(tmp_path, monkeypatch, name):
    if name == 'a.tar':
        archive(tmp_path / name)
    else:
        (tmp_path / name).write_text({'a.json': '[{"a": 1}, {"a": 2}]', 'a.jsonl': '{"a": 1}\n{"a": 2}\n', 'a.csv': 'a\n1\n2\n'}[name])
    (chunk,) = containers.chunks('s', tmp_path, name)
    rows = list(containers.rows(chunk, tmp_path))

    def opened(path: Path, how: str) -> Broken:
        return Broken(open(path, how), 'EIO')

    monkeypatch.setattr(containers, 'open', opened, raising=False)
    with pytest.raises(Unreadable, match=rf'/{name} .Input/output error.') as told:
        list(containers.rows(chunk, tmp_path))
    assert told.value.code == 4
    monkeypatch.undo()
    assert list(containers.rows(chunk, tmp_path)) == rows


@pytest.mark.parametrize(('error', 'told'), [
    *((refusal(name, 'a.parquet'), PendingWork) for name in ('EIO', 'ESTALE', 'EMFILE')), (OSError('Corrupt snappy compressed data.'), UserError)])
def test_rows_that_arrow_cannot_read_now_are_not_damaged(monkeypatch, error, told):
    """What the process that reads them says, and what is made of it in ours."""
    monkeypatch.setattr(apart.arrow_rows, 'read_runs', lambda *_: (_ for _ in ()).throw(error))
    (failed,) = apart._replies('read_runs', (), n_bytes=1)
    said = apart._told('expected rows', failed)
    assert type(said) is told
    assert ('fetch it again' in str(said)) == (told is UserError)


def test_a_full_disk_is_not_taken_for_one_that_cannot_be_read():
    with pytest.raises(OSError, match='No space left'), disk.readable('a.json'):
        raise refusal('ENOSPC')


def test_pictures_that_cannot_be_read_now_do_not_make_a_source_useless(tmp_path, root):
    (tmp_path / 'a.json').write_text(json.dumps([{'image': f'{name}.png', 'conversations': [{'from': 'human', 'value': '<image>What?'},
                                                {'from': 'gpt', 'value': 'A thing.'}]} for name in ('a', 'b', 'deep/c')]))
    about = Source(format='llava', annotations=['a.json'], images=['in'], licence='MIT')
    with failing('ESTALE', '.png'):
        finding = look_at_source('s', about, tmp_path, ImageLimits())
    assert (finding.useless, finding.faults) == (False, [])
    words = ('3 of 3 pictures looked at cannot be read at the moment', 'see that the network disk is mounted')
    assert any(all(word in remark for word in words) for remark in finding.remarks)
