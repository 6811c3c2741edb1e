"""Workers that Beam's FnApiRunner was given (--environment_type) and that die: Beam 2.77 waits for what they were to do without end.

Its end of the connection is replaced by one that hears of the other's end. A worker that never came is not heard of, here neither.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import grpc
from apache_beam.portability.api import beam_fn_api_pb2
from apache_beam.runners.portability.fn_api_runner import worker_handlers

from schemas.errors import PendingWork

GONE = 'a worker of the environment that --environment_type names is gone'


@contextmanager
def told_of_the_gone(name: str) -> Iterator[None]:
    """Raise PendingWork where a worker is lost that makes the table `name`."""
    try:
        yield
    except RuntimeError as e:  # as text: runners turn what happened into it
        if GONE in str(e):
            raise PendingWork(f'{name}: {GONE}: look into its log; finished shards are kept, run the same command again to go on') from e
        raise


class Watched(worker_handlers.ControlConnection):
    """The connection with one worker: once it has ended, whatever the worker was to do, or is told to do, has failed."""

    def __init__(self) -> None:
        super().__init__()
        self._ended = False

    def _read(self) -> None:
        with suppress(grpc.RpcError):
            super()._read()
        self._ended = True
        for future in list(self._futures_by_id.values()):
            _fail(future)

    def push(self, req: Any) -> Any:
        """Give the worker something to do; return what will be its answer."""
        future = super().push(req)
        if self._ended and future is not None:
            _fail(future)
        return future


def _fail(future: worker_handlers.ControlFuture) -> None:
    if not future.is_done():
        future.set(beam_fn_api_pb2.InstructionResponse(instruction_id=future.instruction_id, error=GONE))


worker_handlers.ControlConnection = Watched  # type: ignore[misc]
