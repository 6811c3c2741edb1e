"""What a programme of its own does with damaged copies of a file: `python -m tests.pipelines.sources.mutants N FOLDER KIND ...` reads N of each kind,
prints how they ended, and fails where one did otherwise than with rows or a UserError that has its name."""

import json
import random
import resource
import struct
import sys
from collections import Counter
from pathlib import Path

from curation.rows.formats import Fault, read_record, split_turns
from curation.texts.checks import TextBounds, check_text
from pipelines.sources import apart
from pipelines.sources.containers import chunks, rows
from pipelines.sources.images import ImageStore, ImageTooManyBytes, ImageUnavailable
from pipelines.sources.malformed import Malformed
from pipelines.sources.peek import peek
from pipelines.sources.reading import reading_of
from schemas.errors import UserError
from schemas.recipe import Source, TextRules
from schemas.records import as_content
from tests.pipelines.sources.seeds import write_seed

BOUNDS = TextBounds(**TextRules().model_dump())
SOURCE = Source.model_validate({'format': 'columns', 'annotations': ['a'], 'licence': 'MIT', 'columns': {
    'question': 'question', 'answer': 'meta.answer', 'image': 'image', 'options': 'options'}})
SAMPLES = Source.model_validate({'format': 'webdataset', 'annotations': ['a'], 'licence': 'MIT', 'columns': {'question': 'question', 'answer': 'meta.answer'}})
WORDS = [0, 1, -1, 2**31 - 1, -2**31, 2**30, 500_000_000, 255]


def mutant(data: bytes, rng: random.Random) -> bytes:
    """Return a copy with one to four faults: bytes flipped, numbers overwritten, pieces lost, doubled, blanked; more often near the ends."""
    found = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 4])):
        if len(found) < 16:
            break
        at = rng.choice([rng.randrange(len(found)), rng.randrange(min(len(found), 400)), len(found) - 1 - rng.randrange(min(len(found), 2000))])
        how = rng.randrange(7)
        if how == 0:
            found[at] ^= 1 << rng.randrange(8)
        elif how == 1:
            found[at] = rng.choice([0, 1, 127, 128, 255])
        elif how == 2:
            found[at:at + 4] = struct.pack('<i', rng.choice(WORDS))
        elif how == 3:
            found[at:at + 8] = struct.pack('<q', rng.choice([*WORDS, 2**60, -2**60]))
        elif how == 4:
            del found[at:at + rng.choice([1, 7, 64, 10_000])]
        elif how == 5:
            found[at:at] = found[at:at + rng.choice([1, 8, 100])]
        else:
            found[at:at + 32] = bytes(min(32, len(found) - at))
    return bytes(found)


def read(path: Path) -> str:
    """Return how reading a file ended, which a build does in the same way."""
    source = SAMPLES if path.suffix == '.tar' else SOURCE
    reading, ends = reading_of(source), Counter()
    try:
        for chunk in chunks('s', path.parent, path.name, None, reading):
            for _, row in rows(chunk, path.parent, reading.fields):
                ends[judged(row, source)] += 1
        peek('s', path.parent, [path.name], 8, reading)
    except UserError as e:
        said = str(e)
        if path.name not in said or not said.startswith('source s: ') or len(said) > 1500:
            raise AssertionError(said[:3000]) from e
        return 'refused' if 'ended the process' not in said else 'killed'
    return 'rejections' if ends['rejected'] or not ends else 'rows'


def judged(row: dict | Malformed, source: Source) -> str:
    if isinstance(row, Malformed):
        assert len(row.found) < 1000, row
        return 'rejected'
    found = read_record(row, source)
    as_content(row)
    if isinstance(found, Fault):
        return 'rejected'
    for _, part in split_turns(found, 'all'):
        check_text(part.turns, BOUNDS, None)
    return 'kept'


def read_pictures(path: Path) -> str:
    store = ImageStore({'s': (str(path),)}, '', 50_000_000)
    ends = Counter(['refused' for _ in store.faults()])
    for i in range(8):
        try:
            store.read(f's/{i}.png')
            ends['rows'] += 1
        except (ImageUnavailable, ImageTooManyBytes):
            ends['rejections'] += 1
        except UserError:
            ends['refused'] += 1
    return max(ends, key=ends.get)


def ends_of(kind: str, n: int, folder: Path) -> Counter:
    whole = write_seed(kind, folder)
    look = read_pictures if kind in ('zip', 'pictures.tar') else read
    assert look(whole) == 'rows', look(whole)
    data, ends = whole.read_bytes(), Counter()
    for number in range(n):
        path = folder / f'{number}.{kind}'
        path.write_bytes(mutant(data, random.Random(f'{kind}{number}')))
        try:
            ends[look(path)] += 1
        except BaseException:
            print(f'mutant {number} of {kind}', file=sys.stderr)
            raise
        path.unlink()
    return ends


def main(n: int, folder: Path, kinds: list[str]) -> None:
    ends = {kind: ends_of(kind, n, folder) for kind in kinds}
    while apart._idle:
        apart._idle.pop().end()  # so that its memory is known
    # of ourselves from /proc: getrusage counts what the process that started us once held
    own = next(int(line.split()[1]) for line in Path('/proc/self/status').read_text('utf-8').splitlines() if line.startswith('VmHWM'))
    peak = max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) // 1024
    print(json.dumps({'ends': ends, 'peak_mb': peak}))


if __name__ == '__main__':
    main(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
