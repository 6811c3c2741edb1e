"""Damaged copies of every kind of file a source may have: rows, rejections or a message with the file's name; never a signal, a traceback or all memory."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pipelines.sources.seeds import KINDS
from tests.promises import promise

SOME, MANY = 40, 400
MOST_MB = 700  # of our process and its readers
ROOT = Path(__file__).parents[3]


def ends_of(n: int, folder: Path, kinds: tuple[str, ...] = KINDS) -> dict:
    done = subprocess.run([sys.executable, '-P', '-m', 'tests.pipelines.sources.mutants', str(n), str(folder), *kinds], cwd=ROOT,
                          env={'PYTHONPATH': str(ROOT), 'PATH': '/usr/bin:/bin'}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout)
    assert found['peak_mb'] < MOST_MB
    assert {kind: sum(ends.values()) for kind, ends in found['ends'].items()} == dict.fromkeys(kinds, n)
    return found['ends']


@pytest.mark.integration
@promise('Damaged files', 'A damaged file of any kind gives rows, rejections or a stop that names the file; never a signal, a traceback or memory without end',
         kinds=len(KINDS), mutated_files_per_kind=SOME)
def test_a_damaged_file_gives_rows_rejections_or_a_message(tmp_path):
    ends = ends_of(SOME, tmp_path)
    assert all(ends[kind].get('refused') for kind in KINDS if 'arrow' in kind or 'parquet' in kind)


@pytest.mark.integration
@pytest.mark.long
@promise('Damaged files', 'The same for many more (make long)', kinds=len(KINDS), mutated_files_per_kind=MANY)
def test_many_damaged_files_give_rows_rejections_or_a_message(tmp_path):
    ends_of(MANY, tmp_path)
