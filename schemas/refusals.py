"""What a disk or a machine refuses, as one message: known by its errno (errno(3)), not by the words of whoever ran into it."""

import errno
import os
import re
from dataclasses import dataclass

from schemas.errors import PendingWork, UserError

AGAIN = 'run the same command again'
PATIENCE = f'what is finished is kept: {AGAIN} when that is over'
NUMPYS_SHORT_WRITE = re.compile(r'\d+ requested and \d+ written')  # numpy's tofile passes no errno on (numpy/_core/src/multiarray/convert.c)
NO_THREAD = "can't start new thread"  # nor does Python's threading
NO_TEMPORARY = 'No usable temporary directory found'  # tempfile tries to write in each, and says that there is none
RUSTS = re.compile(r'\(os error (\d+)\)')  # how Rust's standard library ends its messages: safetensors, tokenizers
UNMAPPED = 'failed to map segment from shared object'  # glibc's dlopen, when there is no memory for a library
DUCKDB = ('duckdb', '_duckdb')  # its exceptions end with the system's words for the errno


@dataclass(frozen=True, slots=True)
class Refusal:
    """What is said of an errno: what was found, what to do, and whether that must be done first or the same command may simply go on."""

    advice: str
    error: type[UserError] = UserError
    found: str = ''  # in place of the system's words


def _moment(advice: str, found: str = '') -> Refusal:
    return Refusal(advice, PendingWork, found)


ROOM = 'free some space, finished work is kept, and run the same command again'
ELSEWHERE = 'choose another folder, or get the permission'
PATH = 'correct the path'
SLOW_DISK = f'look after the disk or its connection (dmesg, mount); {PATIENCE}'
REFUSALS = {
    errno.EACCES: Refusal(ELSEWHERE),
    errno.EPERM: Refusal(ELSEWHERE),
    errno.EROFS: Refusal(f'{ELSEWHERE}; a disk that became read-only by itself has had an error (dmesg)'),
    errno.ENOSPC: Refusal(f'{ROOM} (df -h; df -i counts files)', found='the disk is full'),
    errno.EDQUOT: Refusal(f'{ROOM} (quota -s), or choose a folder on another disk', found='the quota on this disk is used up'),
    errno.EFBIG: Refusal('raise the limit (ulimit -f), or choose a file system that holds larger files; then run the same command again',
                         found='a file may not become that large here'),
    errno.ENAMETOOLONG: Refusal('shorten it: a name has at most 255 bytes on the usual file systems, a path 4,095',
                                found='a name or path that is too long'),
    errno.ENOTDIR: Refusal(PATH),
    errno.EISDIR: Refusal(PATH),
    errno.EEXIST: Refusal(PATH),
    errno.ELOOP: Refusal(PATH, found='links that lead in a circle'),
    errno.EMFILE: _moment(f'raise the limit (ulimit -n) or use fewer workers, and {AGAIN}: what is finished is kept',
                          'too many open files in one process'),
    errno.ENFILE: _moment(PATIENCE, 'too many open files on this machine'),
    errno.ENOMEM: _moment(f'use fewer workers or a machine with more memory, and {AGAIN}: what is finished is kept', 'no memory is left'),
    errno.EAGAIN: _moment(f'raise the limit of processes and threads (ulimit -u) or end some; {PATIENCE}', 'no room for another process or thread'),
    errno.EIO: _moment(SLOW_DISK, 'the disk fails to read or write'),
    errno.ESTALE: _moment(SLOW_DISK, 'the network file system has lost this file or folder'),
    **dict.fromkeys((errno.ETIMEDOUT, errno.EREMOTEIO, errno.ENOTCONN, errno.EHOSTDOWN, errno.ENODEV, errno.ENXIO, errno.EBUSY), _moment(SLOW_DISK)),
}  # fmt: skip


def refusal_of(error: BaseException, place: object = '') -> UserError | None:
    """Return what to tell people when `error` is the disk's or the machine's refusal, None for any other: a UserError where somebody must mend
    it first (exit code 2), PendingWork where the same command may go on (4). `place` is told where the error itself names no file.
    """
    number = number_of(error)
    if number not in REFUSALS:
        return None
    refusal = REFUSALS[number]
    at = getattr(error, 'filename', None) or place or ('the folder for temporary files ($TMPDIR)' if NO_TEMPORARY in str(error) else '')
    where = f'{_shown(at)}: ' if at else ''
    found = refusal.found or os.strerror(number)
    return refusal.error(f'{where}expected a place to read or write, found: {found} ({errno.errorcode[number]}); {refusal.advice}')


def refused(error: BaseException, place: object) -> UserError:
    """Return what to tell people when a write failed: what refusal_of says; of any other error its own words."""
    return refusal_of(error, place) or UserError(f'{_shown(place)}: expected to write there, found: {error}; {ELSEWHERE}')


def number_of(error: BaseException) -> int | None:
    """Return the errno of an error; of those that lost theirs on the way the one that it must have been."""
    said = str(error)
    if isinstance(error, MemoryError) or (isinstance(error, ImportError) and UNMAPPED in said):
        return errno.ENOMEM
    if isinstance(error, OSError):
        short = type(error) is OSError and NUMPYS_SHORT_WRITE.fullmatch(said)
        return errno.ENOSPC if short or NO_TEMPORARY in said else error.errno
    if isinstance(error, RuntimeError) and said.startswith(NO_THREAD):
        return errno.EAGAIN
    if type(error).__module__ in DUCKDB:
        out = errno.ENOMEM if 'OutOfMemory' in type(error).__name__ else None
        return next((number for number in REFUSALS if said.endswith(os.strerror(number))), out)
    rusts = RUSTS.search(said)
    return int(rusts[1]) if rusts else None


def _shown(place: object) -> str:
    """Return a path for a message, shortened in its middle where it is longer than anybody reads."""
    said = os.fsdecode(place) if isinstance(place, bytes) else str(place)
    return said if len(said) <= 1000 else f'{said[:300]}...{said[-300:]}'
