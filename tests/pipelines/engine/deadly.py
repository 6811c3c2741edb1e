"""A step whose shards do what kills, stops or troubles a worker, each once: what has happened is noted in a folder."""

import errno
import os
import signal
import sys
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pyarrow as pa

from pipelines.engine.notes import noted
from pipelines.engine.step import Place, Step
from schemas.errors import BudgetExceeded, PendingWork, UserError
from schemas.telling import tell_news


class Odd(Exception):
    """An exception that cannot be sent."""

    def __init__(self, one, two):
        super().__init__(f'{one} and {two}')


@dataclass(frozen=True)
class Deadly(Step):
    """Writes each word's length; a word such as `die:SIGKILL` is deadly the first time, `always:SIGKILL` always."""

    TABLE = 'deadly'
    VERSION = 1
    RISKY = True

    words: tuple[str, ...]
    home: Place[str]

    def shards(self):
        return self.words

    @cached_property
    def heavy(self):
        self.note('opened')
        return len

    def teardown(self):
        if 'heavy' in vars(self):
            self.note('closed')

    def process(self, shard, writer):
        noted(self.act)(shard)
        writer.write('part', pa.table({'n': [self.heavy(shard)]}))

    def act(self, word):
        self.note(f'begun {word} {os.getpid()}')
        what, _, how = word.partition(':')
        done = Path(self.home, f'{word.replace("/", "_")}.done')
        if what == 'always' or what == 'die' and not done.exists():
            done.touch()
            end(how)
        elif what == 'wait':  # until a file appears, as a call to a server is waited for; what came back is stored
            try:
                while not Path(self.home, how).exists():
                    time.sleep(0.01)
            finally:
                self.note(f'stored {word}')
        elif what == 'deaf':  # to the order to stop
            while True:
                try:
                    time.sleep(0.01)
                except KeyboardInterrupt:
                    self.note('heard')
        elif what == 'see':  # which device is given
            self.note(f'saw {word} {os.environ.get("CUDA_VISIBLE_DEVICES")}')
        elif what == 'raise':
            raise ERRORS[how]
        elif what == 'write':
            print(how, file=sys.stderr)
        elif what == 'news':
            tell_news(f'{how}: 3 of 7 calls answered')

    def note(self, text):
        with open(Path(self.home, 'notes'), 'a', encoding='utf-8') as file:
            file.write(f'{text}\n')


@dataclass(frozen=True)
class Light(Deadly):
    """The same without anything that is opened."""

    TABLE = 'light'

    heavy = len
    teardown = Step.teardown


@dataclass(frozen=True)
class Harmless(Deadly):
    """The same, whatever its words say made in any process."""

    TABLE = 'harmless'
    RISKY = False


@dataclass(frozen=True)
class Placed(Deadly):
    """The same, made by so many processes at the most, each with a device."""

    TABLE = 'placed'

    num_gpus: Place[float] = 0.0
    most: Place[int | None] = None

    def needs(self):
        return {'num_gpus': self.num_gpus} if self.num_gpus else {}

    def at_once(self):
        return self.most


def end(how):
    if how.startswith('SIG'):
        os.kill(os.getpid(), getattr(signal, how))
        time.sleep(60)
    os._exit(int(how))


ERRORS = {
    'disk': OSError(errno.EDQUOT, 'Disk quota exceeded', '/data/x'),
    'user': UserError('recipe: expected a, found b'),
    'budget': BudgetExceeded('budget: expected at most 3, found 4'),
    'pending': PendingWork('HTTP 503'),
    'bug': KeyError('nobody'),
    'odd': Odd('one', 'two'),
    'memory': MemoryError(),
}
