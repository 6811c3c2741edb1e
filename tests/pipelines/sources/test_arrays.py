"""What was kept for the next build and did not survive, cut by a full disk or a machine that stopped, is made anew."""

import json

import numpy as np
import pytest

from pipelines.sources.archives import Archive
from pipelines.sources.containers import chunks, rows
from pipelines.sources.digests import Digests
from schemas.arrays import keep, kept
from tests.pipelines.sources.test_archives import plain, tarred

DAMAGED = {
    'empty': lambda whole: b'', 'cut in its head': lambda whole: whole[:20], 'cut at its rows': lambda whole: whole[:-5], 'none of ours': lambda whole: b'x' * 99,
    'a zip': lambda whole: b'PK\3\4' + whole, 'a head of nothing': lambda whole: whole[:10] + b'(((' + whole[13:],
}  # fmt: skip


@pytest.fixture(params=DAMAGED)
def damage(request):
    """Spoil the one file of a folder."""
    def spoil(folder):
        (path,) = folder.iterdir()
        path.write_bytes(DAMAGED[request.param](path.read_bytes()))
    return spoil


def test_digests_that_cannot_be_read_are_none_and_are_written_anew(tmp_path, damage):
    path = tmp_path / 'stamps/a.npy'
    known = Digests(path)
    for key in range(3):
        known.of(key, (1, 2, 3, 4), lambda: b'a' * 32)
    known.keep()
    damage(path.parent)
    again = Digests(path)
    assert again.of(1, (1, 2, 3, 4), lambda: b'b' * 32) == b'b' * 32
    again.keep()
    assert Digests(path).of(1, (1, 2, 3, 4), lambda: pytest.fail('it is known')) == b'b' * 32


def test_ranges_of_records_that_cannot_be_read_are_found_anew(tmp_path, damage):
    (tmp_path / 'a.json').write_text(json.dumps([{'n': n} for n in range(8)]), encoding='utf-8')
    before = list(chunks('s', tmp_path, 'a.json', tmp_path / 'index'))
    damage(tmp_path / 'index')
    assert list(chunks('s', tmp_path, 'a.json', tmp_path / 'index')) == before
    assert [row for chunk in before for _, row in rows(chunk, tmp_path)] == [{'n': n} for n in range(8)]


def test_places_in_an_archive_that_cannot_be_read_are_found_anew(tmp_path, damage):
    path = tarred(tmp_path / 'a.tar', plain('1.png', b'one'), plain('2.png', b'two'))
    assert Archive(path, str(tmp_path / 'index')).count() == 2
    damage(tmp_path / 'index')
    assert Archive(path, str(tmp_path / 'index')).read('2.png', 99) == b'two'


def test_an_array_of_another_type_or_of_other_columns_is_none(tmp_path):
    keep(tmp_path / 'a.npy', np.arange(6).reshape(3, 2))
    assert kept(tmp_path / 'a.npy', np.zeros((0, 2), np.int64)).tolist() == [[0, 1], [2, 3], [4, 5]]
    for other in (np.zeros((0, 3), np.int64), np.zeros(0, np.int64), np.zeros((0, 2), np.float32)):
        assert kept(tmp_path / 'a.npy', other) is None
