"""Progress of a build, told while it lasts: bars on a terminal, a line a minute elsewhere, and a note for `phantom status`.

`WORK/progress/BUILD-i.json` holds how the step goes that is being made (`now`), what calls cost by then (`spent`), what the build says `about`
itself, and of each step how long it took when it was made last (`took`), with the keys of the tables that it is `making`.
"""

import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from pipelines.engine.going import Going, Looking, Spent, going_of
from pipelines.engine.place import name_of
from pipelines.engine.shards import Job
from pipelines.engine.under_way import UnderWay
from schemas.publish import publish_checked, read_checked
from schemas.telling import is_hushed, is_json, tell_news

console = Console(stderr=True)
FOLDER = 'progress'  # in a working folder
LOOK_S = 0.5  # between two looks at a folder, at least ...
LOOKS = 50  # ... and as many times as long as a look takes
NOTE_S = 5.0  # between two notes for who looks from outside
TELL_S = 60.0  # between two lines where there is no terminal
Show = Callable[[Going], None]


def note_of(work: Path, out: Path, share: int) -> Path:
    """Return the file in which a process of the build of OUT says how it goes."""
    return work / FOLDER / f'{name_of(work, out)}-{share}.json'


def read_progress(path: Path) -> dict[str, Any]:
    """Return what a process said of how it goes, {} where it said nothing that is whole."""
    said = read_checked(path) or {}
    return said if all(isinstance(said.get(name), dict) for name in ('took', 'about')) else {}


def _told(spent: Spent | None) -> dict[str, Any] | None:
    return None if spent is None else {name: getattr(spent, name) for name in ('requests', 'tries', 'tokens', 'money')}


def _nothing_spent() -> None:
    return None


@dataclass
class Watching:
    """Who tells of the steps of one build. Without a `path` nothing is noted; `spent` says what its calls cost so far."""

    work: Path
    path: Path | None = None
    spent: Callable[[], Spent | None] = _nothing_spent
    about: dict[str, Any] = field(default_factory=dict)
    _note: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        said = read_progress(self.path) if self.path else {}
        self._note = {'now': None, 'spent': None, 'took': said.get('took', {}), 'about': self.about, 'making': said.get('making', [])}
        if (left := going_of(said.get('now'))) is not None:  # killed, or ended with an error: what was made then counts
            self._add(left)

    @contextmanager
    def over(self, jobs: Sequence[Job]) -> Iterator[None]:
        """Tell how some jobs go until the block ends, whoever makes them."""
        looking = Looking(jobs, self.spent, UnderWay(self.work), time.monotonic)
        over = threading.Event()
        with _shown(looking.step, sum(job.n_shards for job in jobs)) as show:
            self._say(now=asdict(looking.begun()), spent=_told(self.spent()), making=[job.table.key for job in jobs])
            thread = threading.Thread(target=self._follow, args=(looking, show, over), daemon=True, name='progress')
            thread.start()
            try:
                yield
            except BaseException:
                self._stop(thread, over)
                with suppress(OSError):
                    self._say(now=asdict(looking.look()), spent=_told(self.spent()))
                raise
            self._stop(thread, over)
            last = looking.look()
            show(last)
        self._tell_done(last)
        self._add(last)
        self._say(now=None, spent=_told(self.spent()))

    def _add(self, last: Going) -> None:
        """Add what a step took to what earlier runs took for the same tables; of others nothing counts any more."""
        before = self._note['took'].get(last.step, {})
        now = {'seconds': last.seconds, 'rows': round((last.rows_per_s or 0) * last.seconds), 'calls': last.calls}
        if before.get('tables') == self._note['making']:
            now = {name: n + before[name] for name, n in now.items()}
        self._note['took'] = {**self._note['took'], last.step: {**now, 'tables': self._note['making']}}

    def _stop(self, thread: threading.Thread, over: threading.Event) -> None:
        over.set()
        thread.join()

    def _follow(self, looking: Looking, show: Show, over: threading.Event) -> None:
        told = noted = time.monotonic()
        took = 0.0
        looking.count_calls()
        while not over.wait(max(LOOK_S, took * LOOKS)):
            with suppress(OSError):  # a disk that does not answer is told by who makes the shards
                began = time.monotonic()
                going = looking.look()
                show(going)
                if began - noted >= NOTE_S:
                    noted = began
                    self._say(now=asdict(going), spent=_told(self.spent()))
                if began - told >= TELL_S and not _is_live():
                    told = began
                    tell_news(going.line(), 'progress', **asdict(going))
                took = time.monotonic() - began

    def _tell_done(self, last: Going) -> None:
        if not _is_live():
            tell_news(f'{last.step}: done in {last.seconds:.1f} s', 'done', **asdict(last))

    def _say(self, **change: Any) -> None:
        self._note = {**self._note, **change}
        if self.path is not None:
            with suppress(OSError):  # what it is for can do without
                self.path.parent.mkdir(parents=True, exist_ok=True)
                publish_checked(self.path, self._note, flush=False)


def _is_live() -> bool:
    """Return whether bars are shown."""
    return sys.stderr.isatty() and not (is_hushed() or is_json())


@contextmanager
def _shown(step: str, n_shards: int) -> Iterator[Show]:
    """Give what shows how a step goes: bars over shards, and over its calls or rows; nothing where there is no terminal."""
    if not _is_live():
        tell_news(f'{step}: {n_shards} shard(s) ...', 'begun', step=step, of_shards=n_shards)
        yield lambda going: None
        return
    columns = (SpinnerColumn(), TextColumn('{task.description:<22}'), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bars:
        shards = bars.add_task(f'{step} shards', total=n_shards)
        second = bars.add_task(f'{step} rows', total=None)

        def show(going: Going) -> None:
            bars.update(shards, completed=going.shards)
            if going.calls or going.under_way:
                bars.update(second, description=f'{step} calls', completed=going.calls, total=going.of_calls or None)
            else:
                rows = round(going.rows * going.of_shards / going.shards) if going.shards else None
                bars.update(second, completed=going.rows, total=rows)

        yield show
