"""What a working folder must do: each check returns what it found, and raises Fault with what is wrong and what to do about it.

What a build relies on: a file appears by rename, replaces another at once, and is seen whole by every process; locks hold between processes and end
with them; files are mapped, linked, and flushed with their names. Object stores behind a mount (s3fs, gcsfuse) lack most of it.
"""

import mmap
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from pipelines.engine.locks import lock_of
from pipelines.look.doctor.talk import Asker
from schemas.publish import publish_bytes

SMALL_FILES = 200
BIG_BYTES = 64_000_000
SLOW_FILE_S, SLOW_BYTES_S = 0.05, 50e6  # a build of 3 M records publishes some 10,000 files and writes some 50 GB: half an hour and a quarter of one
LEAST_FREE, LEAST_FREE_FILES = 1_000_000_000, 100_000
SKEW_S = 5.0
HOLD = 'import fcntl, os, sys, time; d = os.open(sys.argv[1], os.O_RDWR); fcntl.flock(d, fcntl.LOCK_EX); print("held", flush=True); time.sleep(600)'


class Fault(Exception):
    """What a folder does not do, and the remedy."""


def names(folder: Path, ask: Asker) -> str:
    """Names of 255 bytes, and names that differ in case only."""
    try:
        publish_bytes(folder / ('n' * 255), b'x')
    except OSError as e:
        raise Fault(f'names of 255 bytes are refused ({e.strerror}); use a file system that has them (not eCryptfs)') from e
    publish_bytes(folder / 'Case', b'upper')
    publish_bytes(folder / 'case', b'lower')
    if (folder / 'Case').read_bytes() != b'upper':
        raise Fault('Case and case are one name; use a file system that tells them apart')
    return 'up to 255 bytes, case counts'


def renames(folder: Path, ask: Asker) -> str:
    """A file that replaces another is never missing and never half there."""
    path, seen, ended = folder / 'replaced', set[str](), threading.Event()
    publish_bytes(path, b'0' * 9999)

    def look() -> None:
        while not ended.is_set():
            try:
                data = path.read_bytes()
            except OSError as e:
                seen.add(f'gone ({e.strerror})')
                continue
            if len(data) != 9999 or len(set(data)) != 1:
                seen.add(f'{len(data)} of 9999 bytes')

    looking = threading.Thread(target=look)
    looking.start()
    try:
        for number in range(100):
            publish_bytes(path, bytes([number]) * 9999)
    finally:
        ended.set()
        looking.join()
    if seen:
        raise Fault(f'while it was replaced, a file was {", ".join(sorted(seen))}: rename is not atomic; use a POSIX file system')
    return '100 of 100 atomic'


def links(folder: Path, ask: Asker) -> str:
    """Hard links, by which snapshots take no room beside the working folder."""
    publish_bytes(folder / 'one', b'x')
    try:
        os.link(folder / 'one', folder / 'other')
    except OSError as e:
        return f'none ({e.strerror}): snapshots are copied, which takes their room twice'
    return 'hard links'


def maps(folder: Path, ask: Asker) -> str:
    """Files as memory, here and in the other process."""
    data = os.urandom(100_000)
    publish_bytes(folder / 'mapped', data)
    try:
        with open(folder / 'mapped', 'rb') as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            here = bytes(mapped)
    except OSError as e:
        raise Fault(f'files cannot be mapped ({e.strerror}); mount it so that they can (FUSE: without direct_io)') from e
    if here != data or ask('map', 'mapped') != data.hex():
        raise Fault('a mapped file holds other bytes than were written; use another file system')
    return 'files as memory'


def sees(folder: Path, ask: Asker) -> str:
    """The other process sees at once what is new, what was replaced, and that something is gone."""
    for number in range(20):
        name, data = f'seen-{number % 4}', os.urandom(5000)
        publish_bytes(folder / name, data)
        if (found := ask('read', name)) != data.hex():
            was = found if str(found).startswith('error') else 'older bytes'
            raise Fault(f'a file that was closed and renamed here was, to the other process, {was}: mount it so that nothing is cached '
                        '(NFS: noac, or actimeo=0 and lookupcache=none; FUSE: attr_timeout=0, entry_timeout=0)')
    (folder / 'new').mkdir()
    for number in range(20):
        publish_bytes(folder / 'new' / f'{number:02}', b'x')
        if ask('list', 'new') != sorted(os.listdir(folder / 'new')):
            raise Fault('a folder that got a new file here had none, to the other process; mount it so that folders are not cached (NFS: acdirmax=0)')
    shutil.rmtree(folder / 'new')
    if not str(ask('list', 'new')).startswith('error: ENOENT'):
        raise Fault('a folder that was removed here was still there to the other process; mount it so that names are not cached')
    return 'new, replaced and removed files at once'


def locks(folder: Path, ask: Asker) -> str:
    """A lock held here is held for the other process, and the other way round; it ends with who holds it."""
    path = folder / 'locked'
    path.touch()
    lock = lock_of(path)
    try:
        lock.acquire(blocking=False)
    except OSError as e:
        raise Fault(f'files cannot be locked ({e.strerror}); mount it with locks (NFS: its lock service; Lustre: -o flock)') from e
    there = ask('lock', 'locked')
    lock.release()
    if there != 'held':
        raise Fault(f'a lock held here was {there} for the other process: two builds would write at once; mount it with locks for the whole '
                    'cluster (Lustre: -o flock, not localflock; NFS: without local_lock or nolock)')
    if (there := ask('lock', 'locked')) != 'free':
        raise Fault(f'a lock released here was {there} for the other process; see to the lock service')
    with suppress(OSError):
        lock.acquire(timeout=0.2)
    if lock.is_locked:
        raise Fault('a lock held by the other process was free here; see to the lock service')
    ask('unlock', 'locked')
    _refuse_surviving(path)
    return 'hold between processes, end with them'


def _refuse_surviving(path: Path) -> None:
    with subprocess.Popen([sys.executable, '-c', HOLD, str(path)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        holder.kill()
        holder.wait()
    with suppress(OSError), lock_of(path).acquire(timeout=5):
        return
    raise Fault('the lock of a killed process was still held after 5 s; see to the lock service')


def clock(folder: Path, ask: Asker) -> str:
    """The clock of the other node, and that of the file server."""
    publish_bytes(folder / 'now', b'x')
    there = ask('who')[1] - time.time()
    server = (folder / 'now').stat().st_mtime - time.time()
    if max(abs(there), abs(server)) > SKEW_S:
        raise Fault(f'the clocks are apart: other process {there:+.1f} s, file server {server:+.1f} s; set them (NTP)')
    return f'apart by {max(abs(there), abs(server)):.1f} s at most'


def room(folder: Path, ask: Asker) -> str:
    """Free bytes and files."""
    free, about = shutil.disk_usage(folder).free, os.statvfs(folder)
    if free < LEAST_FREE:
        raise Fault(f'{free / 1e9:.1f} GB are free; make room: a record takes some 20 KB with its picture (docs/scale.md)')
    if about.f_files and about.f_favail < LEAST_FREE_FILES:
        raise Fault(f'{about.f_favail:,} more files fit (inodes); make room for {LEAST_FREE_FILES:,}')
    return f'{free / 1e9:,.0f} GB free'


def speed(folder: Path, ask: Asker) -> str:
    """Small files published with their flushes, and bytes written and flushed."""
    started = time.perf_counter()
    for number in range(SMALL_FILES):
        publish_bytes(folder / f'small-{number}', b'x' * 300)
    each = (time.perf_counter() - started) / SMALL_FILES
    started, data = time.perf_counter(), os.urandom(1_000_000) * (BIG_BYTES // 1_000_000)
    publish_bytes(folder / 'big', data)
    rate = BIG_BYTES / (time.perf_counter() - started)
    told = f'{each * 1e3:.1f} ms a published file, {rate / 1e6:,.0f} MB/s written and flushed'
    if each > SLOW_FILE_S or rate < SLOW_BYTES_S:
        return f'{told}: SLOW (wanted: {SLOW_FILE_S * 1e3:.0f} ms, {SLOW_BYTES_S / 1e6:.0f} MB/s), it may set the pace of a build; quicker disks help'
    return told


CHECKS: tuple[Callable[[Path, Asker], str], ...] = (names, renames, links, maps, sees, locks, clock, room, speed)


def findings(folder: Path, ask: Asker) -> Iterator[tuple[str, str, str]]:
    """Yield (check, what was found, what is wrong) of each; one of the last two is ''."""
    for check in CHECKS:
        try:
            yield check.__name__, check(folder, ask), ''
        except Fault as e:
            yield check.__name__, '', str(e)
        except OSError as e:
            yield check.__name__, '', f'{e.strerror or e}: {e.filename or folder}; see to the disk'
