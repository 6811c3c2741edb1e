"""`phantom doctor`: a folder that does what a build relies on, and folders that do not."""

import errno
import os
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from pipelines.look.doctor import checks, doctor, talk
from pipelines.look.doctor.checks import Fault
from schemas.errors import UserError
from schemas.publish import publish_checked
from tests.promises import promise


@pytest.fixture
def ask(tmp_path):
    """Give the way to ask a second process, which is a thread here; flock tells descriptors apart, not processes."""
    folder = tmp_path / 'talk'
    folder.mkdir()
    other = threading.Thread(target=talk.answer, args=(folder, 30.0))
    other.start()
    asker = talk.Asker(folder)
    yield asker
    asker(talk.END)
    other.join()


@promise('Disks', '`phantom doctor` finds a usual disk fit, from two processes')
def test_a_usual_folder_is_fit_and_left_as_it_was(tmp_path):
    done = subprocess.run([sys.executable, '-m', 'phantom', 'doctor', '--work', str(tmp_path / 'work')], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, '')
    assert [line.split()[0] for line in done.stdout.splitlines()[:-1]] == ['ok'] * len(checks.CHECKS)
    assert 'fit for a working folder, seen from two processes' in done.stdout
    assert list((tmp_path / 'work').iterdir()) == []


def test_who_answers_one_that_was_killed_answers_the_next_that_makes_the_folder_anew(tmp_path):
    folder = tmp_path / 'talk'
    folder.mkdir()
    for number in (1, 2):  # of one that was killed
        publish_checked(folder / f'ask-{number}.json', {'do': 'who', 'name': ''})
    other = threading.Thread(target=talk.answer, args=(folder, 30.0), daemon=True)
    other.start()
    assert talk.awaited(folder / 'answer-2.json', 10.0)
    shutil.rmtree(folder)
    folder.mkdir()
    asker = talk.Asker(folder, 10.0)
    assert asker('who')[0] == socket.gethostname()
    assert asker(talk.END) == 'end'
    other.join(10)
    assert not other.is_alive()


def test_two_nodes_meet_in_the_folder(tmp_path, capsys):
    answering = threading.Thread(target=doctor.answer_another, args=(tmp_path,))
    answering.start()
    assert doctor.examine(tmp_path, with_node=True, as_json=True)
    answering.join()
    assert '"fit": true' in capsys.readouterr().out


def test_two_doctors_do_not_spoil_each_other(tmp_path):
    with doctor._own_folder(tmp_path) as folder:
        with pytest.raises(UserError, match='another phantom doctor examines this folder'):
            doctor.examine(tmp_path, with_node=False, as_json=False)
        assert folder.is_dir()


def test_what_a_killed_doctor_left_is_removed(tmp_path):
    (tmp_path / doctor.FOLDER / 'new').mkdir(parents=True)
    (tmp_path / doctor.FOLDER / 'ask-1.json').write_text('{}')
    with doctor._own_folder(tmp_path) as folder:
        assert list(folder.iterdir()) == []
    assert not folder.exists()


def test_whoever_waits_for_the_first_node_in_vain_says_what_to_start(tmp_path, monkeypatch):
    monkeypatch.setattr(doctor, 'ANSWER_S', 0.05)
    with pytest.raises(UserError, match='start that first, and see that this path is the same folder on both nodes'):
        doctor.answer_another(tmp_path)


def test_a_second_process_that_does_not_answer_is_told(tmp_path):
    with pytest.raises(UserError, match='sees another folder under this path'):
        talk.Asker(tmp_path, 0.05)('who')


class Cached:
    """A second process that answers from what it saw before."""

    def __init__(self, ask, do: str, says: str):
        self._ask, self._do, self._says = ask, do, says

    def __call__(self, do: str, name: str = ''):
        return self._says if do == self._do else self._ask(do, name)


@promise('Disks', 'A folder on which locks do not hold between nodes, or whose files are seen late or replaced bit by bit, is told with the mount option that helps', faults=4)
@pytest.mark.parametrize(('check', 'do', 'says', 'told'), [
    (checks.sees, 'read', 'error: ENOENT No such file or directory', 'was, to the other process, error: ENOENT.*lookupcache=none'),
    (checks.sees, 'read', b'older'.hex(), 'older bytes'),
    (checks.sees, 'list', 'error: ENOENT', 'acdirmax=0'),
    (checks.locks, 'lock', 'free', 'two builds would write at once.*localflock'),
    (checks.maps, 'map', b'zeros'.hex(), 'other bytes'),
])  # fmt: skip
def test_what_the_other_process_sees_late_is_a_fault(ask, check, do, says, told):
    with pytest.raises(Fault, match=told):
        check(ask.folder, Cached(ask, do, says))


def test_a_file_that_is_written_in_place_is_no_atomic_rename(tmp_path, monkeypatch):
    def in_place(path: Path, data: bytes) -> None:
        with open(path, 'wb') as file:
            for at in range(0, len(data), 100):
                file.write(data[at : at + 100])
                file.flush()

    monkeypatch.setattr(checks, 'publish_bytes', in_place)
    with pytest.raises(Fault, match='rename is not atomic'):
        checks.renames(tmp_path, None)


def test_a_folder_without_links_is_fit(tmp_path, monkeypatch):
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, 'link', refuse)
    assert 'copied' in checks.links(tmp_path, None)


def test_clocks_that_are_apart_are_told(ask):
    with pytest.raises(Fault, match='set them'):
        checks.clock(ask.folder, Cached(ask, 'who', ['node', 0.0]))


def test_locks_that_are_refused_are_told(monkeypatch, ask):
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr('filelock.FileLock.acquire', refuse)
    with pytest.raises(Fault, match='mount it with locks'):
        checks.locks(ask.folder, ask)
