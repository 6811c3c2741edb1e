"""Builds whose machine loses power, in the model of tests.faults.disk: the same snapshots, and nothing whose reply was stored is asked again."""

import random
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipelines.look.verify import verify_snapshot
from tests.faults.disk import LOSSES, Disk
from tests.programmes.project import Project, environment, ids, knowing_server, write_project
from tests.programmes.test_kills import asked
from tests.promises import promise

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group('power')]
CUTS = 5  # in one build: two in the mix, two while models are asked, one behind
ROUNDS = 6  # of as many cuts, in `make long`
SENTENCE = 'After a power cut the same command ends with the same snapshots; no reply that was stored is asked for again, no sealed snapshot has a fault.'


@dataclass
class Whole:
    """A build that met no fault: the ids of its snapshots, and how many moments it had."""

    ids: tuple[str, ...]
    moments: int


@pytest.fixture(scope='module')
def project(tmp_path_factory) -> Project:
    return write_project(tmp_path_factory.mktemp('project'))


@pytest.fixture(scope='module')
def whole(project, tmp_path_factory) -> Whole:
    disk = new_disk(tmp_path_factory.mktemp('whole'))
    with knowing_server() as server:
        told = on(disk, 0, project.words(disk.top / 'out', url=server.url))
    assert told.returncode == 0, told.stderr
    return Whole(ids(disk.top / 'out'), (disk.memory / 'moments').stat().st_size)


def new_disk(folder: Path) -> Disk:
    disk = Disk(folder / 'disk', folder / 'memory')
    disk.top.mkdir()
    disk.settle()
    return disk


def on(disk: Disk, at: int | str, words: list[str]) -> subprocess.CompletedProcess:
    """Run `phantom` on the disk until its moment `at`."""
    command = [sys.executable, '-m', 'tests.faults.cut', str(disk.top), str(disk.memory), str(at), *words, '--workers', '0']  # one process, which is cut
    return subprocess.run(command, cwd='/', env=environment(), capture_output=True, text=True, start_new_session=True)


def cut_again_and_again(project: Project, whole: Whole, folder: Path, seed: int) -> None:
    """Cut one build CUTS times, each time later and with another loss, and let it end: in the mix, while models are asked, and behind that."""
    rng, disk = random.Random(seed), new_disk(folder)
    out, kept = disk.top / 'out', set()
    early, last = (int(whole.moments * rng.uniform(0.05, 0.3)) for _ in range(2)), int(whole.moments * rng.uniform(0.02, 0.1))
    moments = [*early, f'+{rng.randint(1, 6)}', f'+{rng.randint(2, 12)}', last]
    with knowing_server() as server:
        for number, at in enumerate(moments):
            loss = LOSSES[(seed + number) % len(LOSSES)]
            before = asked(server)
            told = on(disk, at, project.words(out, url=server.url))
            assert told.returncode == -signal.SIGKILL, f'not cut at {at} ({loss}): {told.returncode}\n{told.stdout}{told.stderr}'
            check_nothing_is_asked_again(before, asked(server), kept)
            kept |= promised(disk)
            disk.cut(loss, rng)
            for sealed in out.glob('*/manifest.json'):
                assert verify_snapshot(sealed.parent) == 0, f'{sealed.parent.name} has a fault after a cut at {at} ({loss})'
        before = asked(server)
        told = on(disk, 0, project.words(out, url=server.url))
        assert told.returncode == 0, told.stdout + told.stderr
        check_nothing_is_asked_again(before, asked(server), kept)
    assert ids(out) == whole.ids
    assert verify_snapshot(out) == 0
    assert len(moments) == CUTS
    assert kept, 'no cut came after a stored reply: it shows nothing'


def check_nothing_is_asked_again(before: dict[str, int], after: dict[str, int], kept: set[str]) -> None:
    again = {question for question in before if after[question] > before[question]} & kept
    assert not again, f'{len(again)} of {len(kept)} stored replies were asked for again'


def promised(disk: Disk) -> set[str]:
    noted = disk.memory / 'promised'
    return {line.removeprefix('fake-') for line in noted.read_text('utf-8').split()} if noted.exists() else set()


@promise('Power cuts and kills', SENTENCE, cuts=CUTS)
def test_a_build_goes_on_after_power_cuts(project, whole, tmp_path):
    cut_again_and_again(project, whole, tmp_path, seed=0)


@pytest.mark.long
@promise('Power cuts and kills', SENTENCE, cuts=CUTS * ROUNDS)
@pytest.mark.parametrize('seed', range(1, ROUNDS + 1))
def test_a_build_goes_on_after_power_cuts_at_many_moments(project, whole, tmp_path, seed):
    cut_again_and_again(project, whole, tmp_path, seed)
