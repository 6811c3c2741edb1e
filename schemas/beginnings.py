"""How a programme begins that a person or a batch system started: in UTF-8 whatever the locale, and in a Python that Beam can run in."""

import os
import sys

from schemas.errors import UserError


def begin_in_utf8() -> None:
    """Start this process again in Python's UTF-8 mode where the locale has another encoding; its children inherit the mode.

    Names of files, messages and whatever a library opens without naming an encoding would else be read in the locale's: cron and old
    clusters have `C` or a Latin-1 one. The arguments are given on byte by byte.
    """
    if sys.getfilesystemencoding() == 'utf-8':
        return
    os.environ['PYTHONUTF8'] = '1'  # workers and servers that we start
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, '-X', 'utf8', *sys.orig_argv[1:]])  # the option counts under -E too: this happens once


def refuse_no_docstrings() -> None:
    """Raise UserError under `python -OO`: Beam 2.77 reads its own docstrings when it is imported."""
    if sys.flags.optimize > 1:
        raise UserError('expected docstrings, which Beam reads when it is imported, found a Python that drops them (-OO, or PYTHONOPTIMIZE=2); '
                        'unset PYTHONOPTIMIZE, or set it to 1')
