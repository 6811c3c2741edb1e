"""Jobs on Beam's runners, from the driver's side: one job server for all of a build, and no job that goes on unseen when the build is stopped."""

import logging
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.job_server import JobServer, StopOnExitJobServer
from apache_beam.runners.portability.portable_runner import PortableRunner
from apache_beam.runners.runner import PipelineRunner, PipelineState

from schemas.telling import tell_news

CANCEL_S = 8.0  # for the answer to an order to cancel a job; the build's own patience is 15 s


class OneServer:
    """The job server that a portable runner starts, the same for all jobs: Beam starts one for each, and keeps them all until the process ends."""

    def __init__(self) -> None:
        self._server: JobServer | None = None

    def for_all(self, runner: PipelineRunner) -> PipelineRunner:
        """Return the runner, which takes the server that is there where it would start one."""
        if isinstance(runner, PortableRunner):
            runner.default_job_server = _taking(self, runner.default_job_server)  # type: ignore[method-assign]
        return runner

    def of(self, server: JobServer) -> JobServer:
        """Return the server to take instead of one that was not started yet: another kind than a process of ours is taken itself."""
        if not isinstance(server, StopOnExitJobServer):
            return server
        if self._server is None:
            ours = signal.getsignal(signal.SIGINT)
            logging.getLogger(type(server._job_server).__name__).addFilter(_as_all_others)
            server.start()
            if threading.current_thread() is threading.main_thread():  # at Ctrl-C it would end first, and the job could not be cancelled any more
                signal.signal(signal.SIGINT, ours)
            self._server = server
        return self._server

    def stop(self) -> None:
        """End the server, if one was started."""
        server, self._server = self._server, None
        if server is not None:
            server.stop()


def _as_all_others(record: logging.LogRecord) -> bool:
    """Return whether a line of the server is logged: Beam hands all on that are more than debugging, whatever level is asked for."""
    return record.levelno >= logging.getLogger().level


def _taking(one: OneServer, make: Callable[[PipelineOptions], JobServer]) -> Callable[[PipelineOptions], JobServer]:
    def default_job_server(options: PipelineOptions) -> JobServer:
        return one.of(make(options))  # made each time: it completes the options

    return default_job_server


def waited_for(pipeline: beam.Pipeline, name: str) -> None:
    """Run a job and wait for its end; when we are stopped meanwhile it is cancelled, or it is said which job may go on."""
    result = pipeline.run()
    try:
        result.wait_until_finish()
    except BaseException as e:
        if not isinstance(e, Exception):
            cancel(result, name)
        raise


def cancel(result: Any, name: str) -> None:
    """Cancel a job; say so, or which one may go on and what to do."""
    job = getattr(result, '_job_id', None) or getattr(result, 'job_id', lambda: None)() or name
    done = threading.Event()

    def ask() -> None:
        with suppress(Exception):
            result.cancel()
            done.set()

    threading.Thread(target=ask, daemon=True).start()
    if done.wait(CANCEL_S) and _is_over(result):
        tell_news(f'{name}: the job {job} is cancelled')
    else:
        tell_news(f"{name}: the job {job} may still run: cancel it where the runner shows its jobs (Flink: its web page, or `flink cancel`); "
                  'what it still writes does not spoil another build')


def _is_over(result: Any) -> bool:
    try:
        return PipelineState.is_terminal(result.state) or result.state == PipelineState.CANCELLING
    except Exception:
        return True  # the server that was asked is gone with the job
