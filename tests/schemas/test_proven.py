"""Bytes are proven before one is handed on, and once for as long as nobody touches the file."""

import errno
import hashlib
import os
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from schemas import proven as proving
from schemas.errors import PendingWork, UserError
from schemas.inside import Closed, InsideFile, open_file, unreadable
from schemas.proven import prove, proven
from tests.promises import promise


@pytest.fixture
def shard(tmp_path):
    path = tmp_path / 'x.parquet'
    pq.write_table(pa.table({'a': list(range(1000))}), path)
    long_ago(path)
    return path


def long_ago(path):
    os.utime(path, (1_000_000_000, 1_000_000_000))


def of(path):
    return path, hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_size


@promise('Snapshots', 'A flipped bit, a cut or a swapped shard is refused before its first row is handed on')
def test_other_bytes_and_other_sizes_are_refused(shard):
    about, data = of(shard), shard.read_bytes()
    for bad, told in ((data[:-1], 'expected [0-9,]+ bytes, found'), (bytes([data[0] ^ 1]) + data[1:], 'expected sha256 .* changed since it was sealed')):
        shard.write_bytes(bad)
        with pytest.raises(UserError, match=told), proven(*about):
            raise AssertionError('it was handed on')
    shard.write_bytes(b'version https://git-lfs.github.com/spec/v1\noid sha256:1\n')
    with pytest.raises(UserError, match='git lfs pull'):
        prove(*about)


def test_a_file_is_hashed_once_until_it_is_touched(shard, monkeypatch):
    about, hashed, now = of(shard), [], time.time_ns()
    monkeypatch.setattr(proving, 'sha256_of', lambda file, real=proving.sha256_of: hashed.append(file.path) or real(file))
    monkeypatch.setattr(time, 'time_ns', lambda: now + 10**9)  # the file was made long ago
    for _ in range(3):
        with proven(*about) as file:
            assert pq.read_table(file).num_rows == 1000
    assert len(hashed) == 1
    long_ago(shard)
    prove(*about)
    assert len(hashed) == 2


def test_a_file_from_a_machine_whose_clock_was_ahead_is_hashed_once(shard, monkeypatch):
    a_month_ahead, hashed, now = time.time() + 30 * 86400, [], time.time_ns()
    os.utime(shard, (a_month_ahead, a_month_ahead))
    monkeypatch.setattr(proving, 'sha256_of', lambda file, real=proving.sha256_of: hashed.append(file.path) or real(file))
    monkeypatch.setattr(time, 'time_ns', lambda: now + 10**9)
    for _ in range(3):
        prove(*of(shard))
    assert len(hashed) == 1


def test_a_file_put_in_its_place_while_it_is_read_is_not_believed(shard):
    about = of(shard)
    with proven(*about) as file:
        other = shard.with_name('other')
        pq.write_table(pa.table({'a': [0] * 1000}), other)
        os.replace(other, shard)
        assert pq.read_table(file)['a'].to_pylist() == list(range(1000))
    with pytest.raises(UserError, match='expected'):
        prove(*about)


def test_a_file_written_to_while_it_is_read_is_refused_at_the_end(shard):
    about, other = of(shard), shard.read_bytes()[::-1]
    with pytest.raises(UserError, match='changed since it was sealed'), proven(*about):
        shard.write_bytes(other)


@pytest.mark.parametrize(('number', 'kind', 'told'), [
    (errno.EIO, PendingWork, 'look after the disk'), (errno.ESTALE, PendingWork, 'look after the disk'), (errno.EMFILE, PendingWork, 'run the same command again'),
    (errno.EACCES, Closed, 'ask its owner'), (errno.ENAMETOOLONG, UserError, 'copy it again'),
])  # fmt: skip
@promise('Disks', 'A shard that cannot be read is named, with what to do; what may pass ends with exit code 4')
def test_a_file_that_cannot_be_read_is_named(shard, monkeypatch, number, kind, told):
    def refuse(*_, **__):
        raise OSError(number, os.strerror(number))

    assert type(unreadable(shard, OSError(number, 'x'))) is kind
    about = of(shard)
    with monkeypatch.context() as patch:
        patch.setattr(os, 'open', refuse)
        with pytest.raises(kind, match=rf'x\.parquet: expected to read this file, found: .*{told}'):
            prove(*about)


def test_a_read_that_fails_in_the_middle_is_told_through_arrow(shard):
    class Failing(InsideFile):
        def read(self, size=-1):
            raise unreadable(self.path, OSError(errno.EIO, os.strerror(errno.EIO)))

    with open_file(shard) as file:
        failing = Failing(shard, os.dup(file.fileno()))
    with failing, pytest.raises(PendingWork, match='Input/output error'):
        pq.read_table(failing)
