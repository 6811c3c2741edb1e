"""A working folder that a disk damaged: the build makes again what it lost, asks nothing twice, and seals the same snapshot."""

import shutil

import pytest

from tests.damage import DAMAGE
from tests.programmes.project import ids, run
from tests.promises import promise

pytestmark = pytest.mark.integration
SPOILED = {  # what is damaged -> how: one of each kind of file
    'samples/*/part-00000.parquet': 'cut in half', 'samples/*/shard-00000.json': 'emptied', 'image_facts/*/_SEEN-00000.npy': 'with a flipped bit',
    'refs/*/_DONE.json': 'zeroed', 'index/*/phash64.npy': 'emptied', 'hashes/*/starts0.npy': 'with a flipped bit', 'features/*/_STEP.json': 'emptied',
    'mix_rows/*/part-00000.parquet': 'with a flipped bit', 'digests/*/info-00000.json': 'zeroed', 'images/*/*': 'cut in half',
    'offsets/*.npy': 'zeroed at its end', 'builds/*.json': 'cut in half', 'servers/*.json': 'emptied', 'stamps/*.npy': 'something else',
    'replies/packs/*.heads.npy': 'emptied', 'replies/packs/*.footer': 'zeroed', 'candidates/*/part-00000.parquet': 'removed',
    'verdicts/*/shard-00000.json': 'with a flipped bit', 'ledger/*.jsonl': 'zeroed at its end',
}  # fmt: skip


@promise('Damaged files', 'A build whose working folder lost or damaged one file of each kind seals the same snapshot and asks nothing twice',
         kinds_of_files=len(SPOILED))  # fmt: skip
def test_a_build_goes_on_from_what_a_disk_left_of_its_working_folder(built, project, server, tmp_path):
    out = tmp_path / 'out'
    shutil.copytree(built.out, out)
    for kind in ('mix', 'triples'):
        shutil.rmtree(out / kind)
    for place, damage in SPOILED.items():
        found = sorted(path for path in (out / 'work').glob(place) if path.is_file())
        assert found, place
        DAMAGE[damage](found[0])
    asked = len(server.asked_twice)
    done = run(project.command(out, url=built.url))
    assert done.returncode == 0, done.stderr
    assert ids(out) == ids(built.out)
    assert 'made again' in done.stderr
    assert len(server.asked_twice) - asked <= 3, 'only what tries the server'
