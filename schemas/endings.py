"""How a programme ends that a person or a batch system started: one message and an exit code for what is no bug of ours.

2 and its neighbours: a UserError's own code. 128 + n: signal n told it to stop. A bug keeps its traceback.
"""

import errno
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from schemas.errors import UserError

PATIENCE_S = 15.0  # from an order to stop to the end: Slurm and Kubernetes kill after 30 s
REFUSED = {  # what a disk says, and what to do about it
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), 'choose another folder, or get the permission'),
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), 'free some space and run the same command again'),
    **dict.fromkeys((errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG), 'correct the path'),
}


def log_errors_only() -> None:
    """Log what PHANTOM_LOG says (a level), else errors; of Beam nothing then: what it logs with a traceback it raises as well."""
    told = os.environ.get('PHANTOM_LOG', '').upper()
    if told and told not in logging.getLevelNamesMapping():
        raise UserError(f'$PHANTOM_LOG: expected a level such as INFO or DEBUG, found {told}')
    logging.getLogger().setLevel(told or 'ERROR')
    if not told:
        logging.getLogger('apache_beam').setLevel(logging.CRITICAL)


def run_to_an_end(programme: Callable[[], object], name: str) -> None:
    """Run the programme; a mistake, a disk's refusal and an order to stop are each one line on standard error and an exit code."""
    with _told_to_stop(name) as stopped:
        try:
            programme()
        except UserError as e:
            _end(f'{name}: {e}', e.code)
        except (Exception, SystemExit) as e:
            if stopped and not (isinstance(e, SystemExit) and not e.code):  # what an interrupt becomes on its way up through Beam and typer
                _end(_stopped(name, stopped[0]), 128 + stopped[0])
            if isinstance(e, OSError) and e.errno in REFUSED:
                where = f'{e.filename}: ' if e.filename else ''  # a write names no file
                _end(f'{name}: {where}expected a place to read or write, found: {e.strerror}; {REFUSED[e.errno]}', UserError.code)
            raise


def _stopped(name: str, order: signal.Signals) -> str:
    return f'{name}: stopped by {order.name}; what is finished is kept, the same command goes on from there'


def _end(message: str, code: int) -> None:
    print(message, file=sys.stderr)
    sys.exit(code)


@contextmanager
def _told_to_stop(name: str) -> Iterator[list[signal.Signals]]:
    """Give a list that gets the signal when SIGINT or SIGTERM interrupts the block.

    A second signal ends the process at once, and so does PATIENCE_S: Beam may wait for its worker processes without end. These, and the
    demo's server, end by themselves when we are gone.
    """
    stopped: list[signal.Signals] = []

    def leave() -> None:
        print(_stopped(name, stopped[0]), file=sys.stderr, flush=True)
        os._exit(128 + stopped[0])

    patience = threading.Timer(PATIENCE_S, leave)
    patience.daemon = True

    def stop(number: int, frame: FrameType | None) -> None:
        stopped.append(signal.Signals(number))
        for each in before:
            signal.signal(each, signal.SIG_DFL)
        patience.start()
        logging.disable()  # Beam logs what it interrupts with a traceback
        raise KeyboardInterrupt

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:  # nohup, and jobs in the background, ask to be left alone
            signal.signal(number, stop)
    try:
        yield stopped
    finally:
        patience.cancel()
        for number, handler in before.items():
            signal.signal(number, handler)
        logging.disable(logging.NOTSET)
