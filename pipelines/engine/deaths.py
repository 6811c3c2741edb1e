"""What is said when worker processes died: of what, which shards they were making, and what may be the cause."""

import signal
from dataclasses import dataclass
from pathlib import Path

from pipelines.engine.cores import allowed_cores

VMSTAT = Path('/proc/vmstat')  # Linux; its `oom_kill` counts the processes of this machine that the kernel killed for want of memory
NATIVE = 'a library failed on what it was given: look for a damaged file in this shard; {log} holds the stack'
CAUSES = {
    'SIGSEGV': NATIVE,
    'SIGABRT': NATIVE,
    'SIGFPE': NATIVE,
    'SIGILL': NATIVE,
    'SIGBUS': 'a file in use became shorter, or its disk fails or is full; {log} holds the stack',
    'SIGTERM': 'it was told to stop from outside',
    'SIGXCPU': 'its limit of CPU time (ulimit -t) was reached',
    'SIGXFSZ': 'its limit of file size (ulimit -f) was reached',
}


@dataclass(frozen=True, slots=True)
class Death:
    """How a worker process ended, as subprocess tells it, and what it was making."""

    code: int  # negative: a signal
    making: str
    at: str = ''  # what of that it worked on


def explain_deaths(deaths: list[Death], log: Path, oom_kills_before: int | None) -> str:
    """Return one line: what died of what while making what, the probable cause, and what to do."""
    hows = list(dict.fromkeys(how_ended(death.code) for death in deaths))
    many = len(deaths) > 1
    causes = '; '.join(dict.fromkeys(_cause(death.code, log, oom_kills_before) for death in deaths))
    return (
        f'{"; ".join(death.making + (f", at {death.at}" if death.at else "") for death in deaths)}: '
        f'{f"the {len(deaths)} worker processes that made these were" if many else "the worker process that made it was"} '
        f'ended by {" and ".join(hows)}: {causes}; finished shards are kept, run the same command again to go on'
    )


def oom_kills() -> int | None:
    """Return how many processes this machine's kernel has killed for want of memory since it started, None where it does not say."""
    try:
        counts = dict(line.split() for line in VMSTAT.read_text('utf-8').splitlines())
        return int(counts['oom_kill'])
    except (OSError, KeyError, ValueError):
        return None


def how_ended(code: int) -> str:
    """Return the name of the signal that ended a process, or its own exit code."""
    if code >= 0:
        return f'itself (exit code {code})'
    try:
        return signal.Signals(-code).name
    except ValueError:  # a real-time signal
        return f'signal {-code}'


def _cause(code: int, log: Path, oom_kills_before: int | None) -> str:
    if code >= 0:
        return f'a library ended the process; the end of {log} may say why'
    if -code == signal.SIGKILL:
        return _killed(oom_kills_before)
    return CAUSES.get(how_ended(code), 'it was ended from outside').format(log=log)


def _killed(before: int | None) -> str:
    """Return what a SIGKILL may mean; the kernel's count is of the whole machine, so it says probably, never surely."""
    now = oom_kills()
    advice = f'use fewer worker processes (--workers; {allowed_cores()} cores for us here) or give it more memory'
    if now is None or before is None:
        seen = ''
    elif now > before:
        seen = f' (the kernel of this machine has killed {now - before} process(es) for want of it meanwhile)'
    else:
        seen = ' (not by the kernel, which has killed nothing for want of it; a batch system may have, or somebody)'
    return f'out of memory?{seen} Then {advice}'
