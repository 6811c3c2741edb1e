"""Lines of a ledger that a disk damaged: nothing is charged twice, and what a reply cost is charged again when it is used."""

import pytest

from pipelines.replies.ledger import Ledger, _line
from schemas.recipe import Budget
from schemas.replies import Failure
from tests.pipelines.replies.test_store import key, reply
from tests.promises import promise

N = 12
POST = Failure(key(50), 'transport', 'HTTP 500', True, 'm', 'r1', '', 5, 0, status=500)


def spent(folder):
    found = Ledger(folder, Budget()).spent()
    return found.requests, found.tokens


SPOILED = {  # what a disk left of the lines -> how many lines are lost
    'zeros behind the last': (lambda lines: [*lines, bytes(4096)], 0),
    'a torn last line': (lambda lines: [*lines[:-1], lines[-1][:-5]], 1),
    'zeros in the middle': (lambda lines: [*lines[:3], bytes(len(lines[3])), *lines[4:]], 1),
    'a line torn in the middle': (lambda lines: [*lines[:3], lines[3][:-8], *lines[4:]], 1),
    'another number': (lambda lines: [*lines[:3], lines[3].replace(b' 11, ', b' 91, '), *lines[4:]], 1),
    'no list': (lambda lines: [*lines[:3], b'{"a": 1}\n17\n[]\n["x"]\n\xff\n', *lines[4:]], 1),
    'nothing': (lambda lines: [], N),
}


@promise('Damaged files', 'Damaged lines of a ledger are passed over: no reply is charged twice, and one whose line was lost is charged when it is used',
         kinds=len(SPOILED))  # fmt: skip
@pytest.mark.parametrize('kind', SPOILED)
def test_damaged_lines_charge_nothing_twice_and_lose_nothing(tmp_path, kind):
    book = Ledger(tmp_path, Budget())
    book.charge('s', [reply(n) for n in range(N)])
    [path] = tmp_path.glob('*.jsonl')
    lines = path.read_bytes().splitlines(keepends=True)
    assert len(lines) == N
    spoil, lost = SPOILED[kind]
    path.write_bytes(b''.join(spoil(lines)))
    assert spent(tmp_path) == (N - lost, (N - lost) * 14)
    again = Ledger(tmp_path, Budget())
    again.charge('s', [reply(n) for n in range(N)])  # each is found in the store and used
    assert spent(tmp_path) == (N, N * 14)


def test_posts_that_brought_nothing_stay_counted_beside_a_damaged_line(tmp_path):
    book = Ledger(tmp_path, Budget())
    book.charge_tries('s', [POST, POST])
    [path] = tmp_path.glob('*.jsonl')
    first, second = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first[:-4] + b'\0\0\0\0' + second)
    assert spent(tmp_path) == (1, 5)


def test_lines_of_earlier_versions_are_counted_if_they_are_lines_of_ours(tmp_path):
    (tmp_path / 'a.jsonl').write_text(
        f'["{key(1)[:16]}", "s", "m", "r1", 11, 3]\n["{key(2)[:16]}", "s", "m", "r1", 11, 3, "", ""]\n'
        f'["{key(3)[:16]}", "s", "m", "r1", "11", 3, "", ""]\n["{key(4)[:16]}", "s", "m", "r1", 11, 3, "", "try-no number"]\n'
    )
    assert spent(tmp_path) == (2, 28)
    assert _line(['a', 'b']).startswith('["a", "b", "')
