"""How a programme ends that a person or a batch system started: one message and an exit code for what is no bug of ours.

2 and its neighbours: a UserError's own code, and that of what a disk or a machine refuses (schemas/refusals.py). 128 + n: signal n told it to
stop. A bug keeps its traceback.
"""

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from schemas.errors import UserError
from schemas.refusals import refusal_of
from schemas.telling import tell_end

PATIENCE_S = 15.0  # from an order to stop to the end: Slurm and Kubernetes kill after 30 s


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
    with _told_to_stop(name) as stopped, _late_refusals() as late:
        try:
            programme()
            if late:
                _end(f'{name}: {late[0]}', late[0].code)
        except UserError as e:
            _end(f'{name}: {e}', e.code)
        except (Exception, SystemExit) as e:
            if stopped and not (isinstance(e, SystemExit) and not e.code):  # what an interrupt becomes on its way up through Beam and typer
                _end(_stopped(name, stopped[0]), 128 + stopped[0])
            if (refused := refusal_of(e)) is not None:
                _end(f'{name}: {refused}', refused.code)
            raise


def is_order_to_stop(error: BaseException | None) -> bool:
    """Return whether an error is an order to stop, or what that became on its way up through Beam."""
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__cause__ or error.__context__
    return False


@contextmanager
def _late_refusals() -> Iterator[list[UserError]]:
    """Give a list of what the disk refused objects that closed while they were forgotten, which Python would print with a traceback.

    The hook stays: they may be forgotten after the end, when the first refusal is told already.
    """
    late: list[UserError] = []
    before = sys.unraisablehook

    def note(args: 'sys.UnraisableHookArgs') -> None:
        refused = refusal_of(args.exc_value) if args.exc_value else None
        late.append(refused) if refused else before(args)

    sys.unraisablehook = note
    yield late


def _stopped(name: str, order: signal.Signals) -> str:
    return f'{name}: stopped by {order.name}; what is finished is kept, the same command goes on from there'


def _end(message: str, code: int) -> None:
    with suppress(OSError):  # what it is printed to may lie on the full disk: then the code alone says it
        tell_end(message, code)
    sys.exit(code)


@contextmanager
def _told_to_stop(name: str) -> Iterator[list[signal.Signals]]:
    """Give a list that gets the signal when SIGINT or SIGTERM interrupts the block.

    A second signal ends the process at once, and so does PATIENCE_S: Beam may wait for its worker processes without end. These, and the
    demo's server, end by themselves when we are gone.
    """
    stopped: list[signal.Signals] = []

    def leave() -> None:
        tell_end(_stopped(name, stopped[0]), 128 + stopped[0])
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
