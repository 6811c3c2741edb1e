"""What a disk or a machine refuses: one message for each errno, whoever ran into it."""

import errno
import os
import tempfile
import threading

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import safetensors

from schemas.errors import PendingWork, UserError
from schemas.refusals import REFUSALS, number_of, refusal_of, refused
from tests.promises import promise

MENDED_FIRST = {'EACCES', 'EPERM', 'EROFS', 'ENOSPC', 'EDQUOT', 'EFBIG', 'ENAMETOOLONG', 'ENOTDIR', 'EISDIR', 'EEXIST', 'ELOOP'}
FULL = '/dev/full'  # Linux: every write to it finds the disk full


@promise('Disks', 'What a disk or a machine refuses (full, quota, file size, open files, memory, I/O error, ...) is one message that says what to do.',
         errnos=len(REFUSALS))
@pytest.mark.parametrize('number', REFUSALS)
def test_each_refusal_is_one_line_with_its_place_and_what_to_do(number):
    told = refusal_of(OSError(number, 'whatever', '/data/x'))
    name = errno.errorcode[number]
    assert type(told) is (UserError if name in MENDED_FIRST else PendingWork)
    assert str(told).startswith('/data/x: expected a place to read or write, found: ')
    assert f' ({name}); ' in str(told)
    assert '\n' not in str(told)


def test_bugs_and_what_is_not_there_are_no_refusals():
    for error in (KeyError('x'), FileNotFoundError(errno.ENOENT, 'no', '/x'), OSError('image file is truncated'), RuntimeError('x'), ValueError(28)):
        assert refusal_of(error) is None


def test_a_write_that_failed_is_told_by_its_number_else_in_its_own_words():
    assert isinstance(refused(OSError(errno.EIO, 'x'), '/out'), PendingWork)
    assert 'free some space' in str(refused(OSError(errno.ENOSPC, 'x'), '/out'))
    assert str(refused(OSError('strange'), '/out')) == '/out: expected to write there, found: strange; choose another folder, or get the permission'


def test_memory_is_told_whoever_asked_for_it():
    for error in (MemoryError(), pa.ArrowMemoryError('realloc of size 64 failed'), np._core._exceptions._ArrayMemoryError((1,), np.dtype('u1')),
                  ImportError('/x.so: failed to map segment from shared object')):
        assert 'no memory is left (ENOMEM)' in str(refusal_of(error))


def write_array() -> None:
    with open(FULL, 'wb') as file:
        np.save(file, np.zeros(100_000))


def write_parquet() -> None:
    with pa.OSFile(FULL, 'wb') as file, pq.ParquetWriter(file, pa.schema([('x', pa.int64())])) as writer:  # opened, never named: nobody may replace it
        writer.write_table(pa.table({'x': range(100_000)}))


def write_text() -> None:
    with open(FULL, 'w', encoding='utf-8') as file:
        file.write('x')


@pytest.mark.skipif(not os.path.exists(FULL), reason='no /dev/full here')
@pytest.mark.parametrize('write', [write_array, write_parquet, write_text])
def test_a_full_disk_is_told_whoever_wrote(write):
    with pytest.raises(OSError) as failed:
        write()
    assert 'the disk is full (ENOSPC)' in str(refusal_of(failed.value, '/out'))


def test_a_thread_that_cannot_be_started_is_a_limit_that_was_reached(monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("can't start new thread")

    for name in ('_start_new_thread', '_start_joinable_thread'):
        monkeypatch.setattr(threading, name, refuse, raising=False)
    with pytest.raises(RuntimeError) as failed:
        threading.Thread(target=print).start()
    assert number_of(failed.value) == errno.EAGAIN
    assert 'ulimit -u' in str(refusal_of(failed.value))


def test_a_full_folder_for_temporary_files_is_named(monkeypatch):
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(tempfile._os, 'open', full)
    monkeypatch.setattr(tempfile, 'tempdir', None)
    with pytest.raises(OSError) as failed:
        tempfile.mkdtemp()
    assert str(refusal_of(failed.value)).startswith('the folder for temporary files ($TMPDIR): expected a place to read or write, found: the disk is full')


def test_what_a_library_in_rust_met_is_known_by_its_number():
    """The words are safetensors 0.6's, seen under a limit of file size; it replaces its target by a rename, so it must never be given a device."""
    told = refusal_of(safetensors.SafetensorError('Error while serializing: I/O error: File too large (os error 27)'))
    assert '(EFBIG)' in str(told)


@pytest.mark.parametrize('number', [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_what_duckdb_met_is_known_by_the_systems_words_for_it(number):
    told = refusal_of(duckdb.IOException(f'TransactionContext Error: Failed to commit: Could not write file "/tmp/x.wal": {os.strerror(number)}'))
    assert f'({errno.errorcode[number]})' in str(told)
    assert refusal_of(duckdb.BinderException('column "Input/output" not found')) is None


def test_a_path_that_nobody_reads_is_shortened():
    told = str(refusal_of(OSError(errno.ENAMETOOLONG, 'x', '/d/' + 'n' * 5000)))
    assert len(told) < 1000
    assert 'a name has at most 255 bytes' in told
