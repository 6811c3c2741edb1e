"""A build watched from outside: processor time of its driver and its workers, and memory, stage by stage."""

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

LOOK_S = 0.5
BEGUN, DONE = re.compile(r'(\S+): (\d+) shard\(s\) \.\.\.'), re.compile(r'(\S+): done in ')
DRIVER = 'the driver alone'  # what is done between two stages
TOLD = 'DRIVER '
# What the driver does outside of any table, by function: each is timed in its process
ALONE = ('pipelines.mix.programme:inputs_of', 'pipelines.mix.programme:plan_chunks', 'pipelines.mix.programme:settled_all',
         'pipelines.mix.programme:refuse_useless', 'pipelines.mix.programme:seal', 'pipelines.triples.programme:seal')  # fmt: skip
WRAPPED = f"""
import atexit, importlib, json, sys, time
spent = {{}}
def timed(name, call):
    def timing(*args, **kwargs):
        start = time.process_time()
        try:
            return call(*args, **kwargs)
        finally:
            spent[name] = spent.get(name, 0.0) + time.process_time() - start
    return timing
for at in {ALONE!r}:
    module, _, path = at.partition(':')
    try:
        owner = importlib.import_module(module)
        *above, name = path.split('.')
        for part in above:
            owner = getattr(owner, part)
        setattr(owner, name, timed(path.split('.')[-1], getattr(owner, name)))
    except (ImportError, AttributeError):  # of another version
        pass
atexit.register(lambda: print({TOLD!r} + json.dumps(spent), file=sys.stderr))
import phantom
phantom.main()
"""


@dataclass
class Stage:
    """All tables of one name: shards, seconds of processor time (of all processes, and of the driver's), on the clock, and the peak in bytes."""

    shards: int = 0
    cpu_s: float = 0.0
    driver_s: float = 0.0
    clock_s: float = 0.0
    peak_bytes: int = 0


@dataclass
class Run:
    """What one command needed."""

    stages: dict[str, Stage] = field(default_factory=lambda: defaultdict(Stage))
    alone_s: dict[str, float] = field(default_factory=dict)  # of processor time, by function, see ALONE; some run inside a stage
    cpu_s: float = 0.0
    clock_s: float = 0.0
    peak_bytes: int = 0  # of all its processes together, shared pages counted once
    driver_peak_bytes: int = 0  # of the build's own process

    @property
    def driver_s(self) -> float:
        """Return the processor seconds of the driver where nothing else can run."""
        return self.stages[DRIVER].cpu_s


def watched(tree: Path, words: list[str], log: Path) -> Run:
    """Return what `phantom WORDS` of a checkout needed; it must succeed. What it says goes to `log`."""
    env = {**os.environ, 'PYTHONPATH': str(tree), 'HF_HUB_OFFLINE': '1'}
    found, started = Run(), time.monotonic()
    command = [sys.executable, '-P', '-c', WRAPPED, *words]
    pipes = {'stdout': subprocess.DEVNULL, 'stderr': subprocess.PIPE}
    with open(log, 'w', encoding='utf-8') as said, subprocess.Popen(command, cwd=tree, env=env, text=True, **pipes) as process:
        root, ended, peak = psutil.Process(process.pid), threading.Event(), [0]

        def look() -> None:
            while not ended.wait(LOOK_S):
                peak[0] = max(peak[0], _memory(root))
                with suppress(psutil.Error):
                    found.driver_peak_bytes = max(found.driver_peak_bytes, root.memory_info().rss)

        looker = threading.Thread(target=look, daemon=True)
        looker.start()
        name, shards, before = DRIVER, 0, (0.0, 0.0, time.monotonic())
        for line in process.stderr or ():
            said.write(line)
            if line.startswith(TOLD):
                found.alone_s = json.loads(line.removeprefix(TOLD))
            begun, done = BEGUN.match(line), DONE.match(line)
            if not (begun or done):
                continue
            now = (*_spent(root), time.monotonic())
            stage = found.stages[name]
            stage.shards += shards
            stage.cpu_s, stage.driver_s, stage.clock_s = (
                total + late - early for total, late, early in zip((stage.cpu_s, stage.driver_s, stage.clock_s), now, before, strict=True)
            )
            stage.peak_bytes, found.peak_bytes, peak[0] = max(stage.peak_bytes, peak[0]), max(found.peak_bytes, peak[0]), 0
            name, shards, before = (begun[1], int(begun[2]), now) if begun else (DRIVER, 0, now)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        ended.set()
        looker.join()
    if process.returncode:
        sys.exit(f'{tree}: phantom {" ".join(words)} ended with {process.returncode}:\n{log.read_text("utf-8")[-2000:]}')
    found.cpu_s, found.clock_s = usage.ru_utime + usage.ru_stime, time.monotonic() - started
    rest = found.cpu_s - sum(stage.cpu_s for stage in found.stages.values())
    found.stages[DRIVER].cpu_s += rest
    found.stages[DRIVER].driver_s += rest
    return found


def _spent(root: psutil.Process) -> tuple[float, float]:
    """Return processor seconds of a process with all its children, ended ones that were waited for included, and of itself alone."""
    total = own = 0.0
    with suppress(psutil.Error):
        for process in (root, *root.children(recursive=True)):
            with suppress(psutil.Error):
                times = process.cpu_times()
                total += sum(times[:4])  # user, system, and both of its ended children
                own = own or sum(times[:2])
    return total, own


def _memory(root: psutil.Process) -> int:
    found = 0
    with suppress(psutil.Error):
        for process in (root, *root.children(recursive=True)):
            with suppress(psutil.Error):
                found += process.memory_full_info().pss
    return found
