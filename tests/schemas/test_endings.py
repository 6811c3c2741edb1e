"""What a person or a batch system sees of an end: one line and a code; a bug keeps its traceback."""

import errno
import io
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import typer

from schemas.endings import log_errors_only, run_to_an_end
from schemas.errors import BudgetExceeded, UserError
from schemas.options import Door


def ended(capsys, programme):
    with pytest.raises(SystemExit) as end:
        run_to_an_end(programme, 'it')
    return end.value.code, capsys.readouterr().err


def raising(error):
    def programme():
        raise error

    return programme


def test_a_mistake_has_its_own_code(capsys):
    assert ended(capsys, raising(BudgetExceeded('spent'))) == (3, 'it: spent\n')


@pytest.mark.parametrize(('number', 'code', 'advice'), [
    (errno.EACCES, 2, 'get the permission'), (errno.ENOSPC, 2, 'free some space'), (errno.EROFS, 2, 'choose another'), (errno.EMFILE, 4, 'ulimit -n')])
def test_a_disk_that_refuses_is_one_line_with_the_path_and_its_code(capsys, number, code, advice):
    ended_with, told = ended(capsys, raising(OSError(number, os.strerror(number), '/data/x')))
    assert ended_with == code
    assert told.startswith('it: /data/x: expected a place to read or write, found: ')
    assert f'({errno.errorcode[number]}); ' in told
    assert advice in told
    assert told.count('\n') == 1


def test_a_write_that_fails_names_no_file_that_it_does_not_know(capsys):
    assert ended(capsys, raising(OSError(errno.ENOSPC, 'x')))[1].startswith('it: expected a place to read or write, found: the disk is full (ENOSPC); ')


@pytest.mark.skipif(not os.path.exists('/dev/full'), reason='no /dev/full here')
def test_a_log_on_the_full_disk_keeps_the_exit_code():
    code = "import errno; from schemas.endings import run_to_an_end; run_to_an_end(lambda: open('/dev/full', 'w').write('x' * 10**6), 'it')"
    with open('/dev/full', 'w', encoding='utf-8') as full:
        assert subprocess.run([sys.executable, '-c', code], stderr=full, check=False).returncode == 2


class Forgotten:
    """Something that is closed when it is forgotten, on a disk that is full."""

    def __del__(self):
        raise OSError(errno.ENOSPC, 'x')


def test_what_the_disk_refuses_when_it_is_forgotten_is_told_once_and_never_lost(capsys, monkeypatch):
    monkeypatch.setattr(sys, 'unraisablehook', sys.unraisablehook)

    def programme(error=None):
        forgotten = Forgotten()
        del forgotten
        if error:
            raise error

    code, told = ended(capsys, programme)
    assert (code, told.count('\n'), '(ENOSPC)' in told) == (2, 1, True)
    code, told = ended(capsys, lambda: programme(OSError(errno.EDQUOT, 'x')))
    assert (code, told.count('\n'), '(EDQUOT)' in told) == (2, 1, True)


def test_a_file_that_ends_too_early_is_an_error_and_no_question_that_nobody_answered(capsys):
    app = typer.Typer(cls=Door, pretty_exceptions_enable=False)

    @app.callback()
    def door() -> None:
        pass

    @app.command()
    def read() -> None:
        np.load(io.BytesIO())

    with pytest.raises(RuntimeError, match='ended before it was read: No data left in file') as end:
        run_to_an_end(lambda: app(['read']), 'it')
    assert isinstance(end.value.__cause__, EOFError)
    assert 'Aborted' not in capsys.readouterr().err


def test_a_level_of_logging_that_is_none_is_a_mistake(monkeypatch):
    monkeypatch.setenv('PHANTOM_LOG', 'loud')
    with pytest.raises(UserError, match='PHANTOM_LOG: expected a level such as INFO or DEBUG, found LOUD'):
        log_errors_only()


@pytest.mark.parametrize('bug', [KeyError('x'), FileNotFoundError(errno.ENOENT, 'No such file', '/x')])
def test_a_bug_keeps_its_traceback(bug):
    with pytest.raises(type(bug)):
        run_to_an_end(raising(bug), 'it')


def test_an_order_to_stop_is_told_whatever_it_became_on_its_way_up(capsys):
    def programme():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            signal.pause()
        except KeyboardInterrupt as e:
            raise RuntimeError('as Beam does') from e

    code, told = ended(capsys, programme)
    assert (code, told.count('\n')) == (143, 1)
    assert 'stopped by SIGTERM' in told


def test_a_server_that_ends_when_told_to_has_ended_well(capsys):
    def programme():
        try:
            os.kill(os.getpid(), signal.SIGINT)
            signal.pause()
        except KeyboardInterrupt:
            raise SystemExit(0) from None

    assert ended(capsys, programme) == (0, '')


def test_whoever_does_not_come_to_an_end_is_ended():
    code = '''
import os, signal, time
from schemas import endings

def programme():
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)
    except KeyboardInterrupt:
        time.sleep(60)

endings.PATIENCE_S = 0.1
endings.run_to_an_end(programme, 'it')
'''
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (143, 'it: stopped by SIGTERM; what is finished is kept, the same command goes on from there\n')


def test_a_signal_that_was_to_be_ignored_is(capsys):
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        run_to_an_end(lambda: os.kill(os.getpid(), signal.SIGINT), 'it')
    finally:
        assert signal.signal(signal.SIGINT, before) is signal.SIG_IGN
    assert capsys.readouterr().err == ''
