import errno
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.chat.manners import UNSEEN, Manners, read_manners, write_manners
from pipelines.engine import tables, written
from pipelines.engine.clean import prune
from pipelines.engine.damage import mended
from pipelines.engine.engine import Engine
from pipelines.engine.step import Place, Step, make_here
from pipelines.engine.tables import Table
from pipelines.engine.uses import Uses, all_uses
from schemas.errors import DamagedTable, UserError
from schemas.publish import read_checked
from tests.damage import DAMAGE
from tests.promises import promise

ROWS = 2000  # random numbers, so that no compression makes a shard smaller than what is looked at of its ends


@dataclass(frozen=True)
class Draw(Step):
    """Writes random numbers as rows and as an array; notes every call in a file."""

    TABLE = 'draws'
    VERSION = 1

    n: int
    log: Place[str]

    def shards(self):
        return range(self.n)

    def process(self, shard, writer):
        note(self.log, f'draw {shard}')
        drawn = np.random.default_rng(shard).integers(0, 2**62, ROWS)
        writer.write('part', pa.table({'x': drawn}))
        np.save(writer.folder / f'_X-{shard:05d}.npy', drawn)


@dataclass(frozen=True)
class Add(Step):
    """Writes the sum of what was drawn."""

    TABLE = 'sums'
    VERSION = 1

    draws: Table
    log: Place[str]

    def process(self, shard, writer):
        note(self.log, 'add')
        total = sum(sum(pq.read_table(path)['x'].to_pylist()) for path in self.draws.parts())
        writer.write('part', pa.table({'sum': [str(total)]}))


def note(log, line):
    with open(log, 'a', encoding='utf-8') as handle:
        handle.write(f'{line}\n')


def build(work, log) -> str:
    engine = Engine(work)
    draws = engine.run(Draw(2, str(log)))
    return engine.run(Add(draws, str(log))).read()['sum'].to_pylist()[0]


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
    work = tmp_path_factory.mktemp('finished') / 'work'
    return work, build(work, work.parent / 'log')


FILES = {  # what is damaged, how -> how often the shard of it is drawn again, and whether a line says so: a record that is gone was never there
    ('draws/*/part-00001.parquet', 'cut in half'): (1, True),
    ('draws/*/part-00001.parquet', 'removed'): (1, True),
    ('draws/*/_X-00001.npy', 'zeroed at its end'): (1, True),
    ('draws/*/shard-00001.json', 'emptied'): (1, True),
    ('draws/*/shard-00001.json', 'removed'): (1, False),
    ('draws/*/_DONE.json', 'with a flipped bit'): (0, True),
    ('draws/*/_STEP.json', 'zeroed'): (0, False),
    ('sums/*/part-00000.parquet', 'something else'): (0, True),
    ('sums/*/_DONE.json', 'cut in half'): (0, True),
}


@promise('Damaged files', 'A table of which a file was lost, emptied, cut, zeroed or changed is made again as far as it is damaged, and one line says so',
         cases=len(FILES))  # fmt: skip
@pytest.mark.parametrize(('file', 'damage'), FILES)
def test_what_is_damaged_is_made_again_and_said(finished, tmp_path, capfd, file, damage):
    (work, total), log = finished, tmp_path / 'log'
    shutil.copytree(work, tmp_path / 'work')
    [path] = (tmp_path / 'work').glob(file)
    DAMAGE[damage](path)
    log.touch()
    assert build(tmp_path / 'work', log) == total
    made, (again, said) = log.read_text().splitlines(), FILES[file, damage]
    assert (made.count('draw 0'), made.count('draw 1')) == (0, again), 'the other shard lay whole'
    assert len([line for line in capfd.readouterr().err.splitlines() if 'damaged' in line]) == said
    assert all(Table(step.parent).done() and Table(step.parent).described() for step in (tmp_path / 'work').glob('*/*/_STEP.json'))


@pytest.mark.parametrize('damage', DAMAGE)
@pytest.mark.parametrize('file', ['part-00001.parquet', '_X-00001.npy', 'shard-00001.json', '_DONE.json'])
def test_no_damage_of_any_file_goes_unnoticed(tmp_path, file, damage):
    table = make_here(Draw(2, str(tmp_path / 'log')), tmp_path)
    table.finish(2)
    assert table.done()
    DAMAGE[damage](table.path / file)
    assert not table.done()


def test_a_bit_in_the_middle_of_a_large_file_costs_nothing_until_the_table_is_read(finished, tmp_path, monkeypatch):
    monkeypatch.setattr(written, 'ENDS_BYTES', 1024)
    work, log = tmp_path / 'work', tmp_path / 'log'
    total = build(work, log)
    [path] = work.glob('draws/*/part-00000.parquet')
    DAMAGE['with a flipped bit'](path)
    log.write_text('')
    assert build(work, log) == total
    assert log.read_text() == '', 'nothing is made, so that only the ends are compared'
    [sums] = work.glob('sums/*/_DONE.json')
    sums.unlink()
    next(work.glob('sums/*/shard-00000.json')).unlink()
    assert build(work, log) == total
    assert log.read_text().splitlines() == ['draw 0', 'add']


def test_rows_that_are_read_here_are_compared_and_what_is_damaged_is_dropped(tmp_path, monkeypatch):
    monkeypatch.setattr(written, 'ENDS_BYTES', 1024)
    draws = Engine(tmp_path / 'work').run(Draw(2, str(tmp_path / 'log')))
    DAMAGE['with a flipped bit'](draws.parts()[1])
    with pytest.raises(DamagedTable, match=r'part-00001.parquet holds other bytes than were written.* run phantom build again') as raised:
        draws.read()
    assert raised.value.code == 4
    assert draws.done() is None
    assert [path.name for path in sorted(draws.path.glob('shard-*'))] == ['shard-00000.json']


def of_before(work: Path) -> None:
    """Make the records of a working folder those of an earlier version: counts alone, without check sums."""
    for path in work.glob('*/*/*.json'):
        said = read_checked(path)
        path.write_text(json.dumps(said['counts'] if 'files' in said else said))


@promise('Damaged files', 'A working folder of an earlier version, without check sums, is used as it is; what does not open in it is made again')
@pytest.mark.parametrize(('file', 'damage'), [
    ('part-00001.parquet', 'none'), ('part-00001.parquet', 'zeroed'), ('_X-00001.npy', 'emptied'), ('shard-00001.json', 'cut in half')])
def test_tables_of_an_earlier_version_are_used_as_far_as_they_open(finished, tmp_path, file, damage):
    (work, total), log = finished, tmp_path / 'log'
    shutil.copytree(work, tmp_path / 'work')
    of_before(tmp_path / 'work')
    [path] = (tmp_path / 'work').glob(f'draws/*/{file}')
    if damage != 'none':
        DAMAGE[damage](path)
    log.touch()
    assert build(tmp_path / 'work', log) == total
    assert bool(log.read_text()) == (damage != 'none')


def test_a_damaged_note_of_a_build_removes_nothing_and_is_written_anew_by_that_build(tmp_path):
    work, out = tmp_path / 'work', tmp_path / 'out'
    out.mkdir()
    engine = Engine(work, uses=Uses(work, out, 'mix'))
    engine.run(Draw(1, str(tmp_path / 'log')))
    (work / '.lock-x').touch()
    [note_of_build] = (work / 'builds').iterdir()
    DAMAGE['cut in half'](note_of_build)
    with pytest.raises(UserError, match=f'{note_of_build}: expected the note .* found a file that is damaged; run that build again'):
        list(prune(work))
    assert engine.table(Draw(1, '')).done()
    Engine(work, uses=Uses(work, out, 'mix')).run(Draw(1, str(tmp_path / 'log')))
    assert [uses.keys for uses in all_uses(work)] == [{engine.table(Draw(1, '')).key}]


def test_manners_that_a_disk_damaged_take_nothing_for_granted(tmp_path):
    write_manners(tmp_path, 'm', Manners('vLLM', usage=False))
    assert read_manners(tmp_path, 'm') == Manners('vLLM', usage=False)
    for damage in ('with a flipped bit', 'emptied', 'removed'):
        DAMAGE[damage](tmp_path / 'm.json')
        assert read_manners(tmp_path, 'm') == UNSEEN


def test_an_error_that_a_damaged_table_explains_is_mended_and_others_are_not(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(written, 'ENDS_BYTES', 1024)
    work, out = tmp_path / 'work', tmp_path / 'out'
    table = Engine(work, uses=Uses(work, out, 'mix')).run(Draw(2, str(tmp_path / 'log')))
    assert not mended(ValueError('a bug'), work, out)
    DAMAGE['with a flipped bit'](table.parts()[1])
    stopped = RuntimeError('of Beam')
    stopped.__cause__ = KeyboardInterrupt()
    for other in (UserError('a mistake'), MemoryError(), OSError(errno.ENOSPC, 'full'), stopped):
        assert not mended(other, work, out)
    assert table.done()
    assert mended(ValueError('Corrupt snappy compressed data'), work, out)
    assert capsys.readouterr().err.endswith(f'{table.path}: part-00001.parquet holds other bytes than were written: made again\n')
    assert not table.done()


def test_an_array_that_an_earlier_version_did_not_note_and_that_is_gone_is_made_again(tmp_path):
    work, out = tmp_path / 'work', tmp_path / 'out'
    table = Engine(work, uses=Uses(work, out, 'mix')).run(Draw(2, str(tmp_path / 'log')))
    of_before(work)
    (table.path / '_X-00001.npy').unlink()
    assert table.done(), 'nothing says that there was one'
    with pytest.raises(FileNotFoundError) as raised:
        np.load(table.path / '_X-00001.npy')
    assert mended(raised.value, work, out)
    assert not table.done()


@promise('Power cuts and kills', 'All files of a table are flushed to the disk before anything vouches for the table; a shard that took long is flushed at once')
@pytest.mark.parametrize('took_long', [False, True])
def test_the_files_of_a_table_are_flushed_before_it_is_done(tmp_path, monkeypatch, took_long):
    flushed = []

    def flush(paths):
        flushed.append(({path.name for path in paths}, {path.name for path in paths[0].parent.glob('*.json')}))
        return False

    monkeypatch.setattr(tables, 'sync_files', flush)
    monkeypatch.setattr(tables, 'FLUSHED_AFTER_S', 0.0 if took_long else 3600.0)
    table = make_here(Draw(2, str(tmp_path / 'log')), tmp_path)
    table.finish(2)
    shards = [({f'part-0000{n}.parquet', f'_X-0000{n}.npy'}, set()) for n in range(2)]
    whole = {f'{kind}-0000{n}.{form}' for n in range(2) for kind, form in (('part', 'parquet'), ('_X', 'npy'), ('shard', 'json'))}
    assert flushed == [*(shards if took_long else []), (whole, {'shard-00000.json', 'shard-00001.json'})], 'before _DONE.json is there'


def test_of_a_table_that_was_never_finished_every_byte_is_compared(tmp_path, monkeypatch):
    monkeypatch.setattr(written, 'ENDS_BYTES', 1024)
    work, log = tmp_path / 'work', tmp_path / 'log'
    table = Engine(work).run(Draw(2, str(log)))
    (table.path / '_DONE.json').unlink()
    DAMAGE['with a flipped bit'](table.parts()[1])
    log.write_text('')
    Engine(work).run(Draw(2, str(log)))
    assert log.read_text() == 'draw 1\n'
