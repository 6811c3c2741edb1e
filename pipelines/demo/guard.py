"""Runs a command and lets nothing of its process group outlive the process that asked for it. Standard library only.

Called as `python -I guard.py PARENT_PID STOP_S COMMAND...` in a session of its own, with a pipe as standard input.
"""

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys

PR_SET_PDEATHSIG = 1  # linux/prctl.h
POLL_S = 0.5


def guard(parent: int, stop_s: float, command: list[str]) -> None:
    """Run `command` until it ends, standard input closes, or `parent` is gone; then end the whole group, ourselves too."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the one sent below reaches us as well
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL, preexec_fn=_die_with_the_guard)
    while server.poll() is None and os.getppid() == parent:
        # both: a forked worker of the parent may hold the pipe open after the parent's death
        readable, _, _ = select.select([0], [], [], POLL_S)
        if readable and not os.read(0, 1):
            break
    os.killpg(0, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        server.wait(stop_s)
    server.kill()
    server.wait()
    os.killpg(0, signal.SIGKILL)


def _die_with_the_guard() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if sys.platform == 'linux':
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == '__main__':
    guard(int(sys.argv[1]), float(sys.argv[2]), sys.argv[3:])
