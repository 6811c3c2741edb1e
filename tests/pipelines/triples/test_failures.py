"""Calls that failed for good: how they are counted, and how many are too many."""

import json
from collections import Counter
from pathlib import Path

import pytest

from pipelines.chat.failures import allowed, count_calls, generator, refuse_failed
from pipelines.engine.tables import Table
from pipelines.triples.candidates import proposing
from pipelines.triples.verdicts import judging
from schemas.errors import PendingWork
from schemas.recipe import Generator, Judge, SecondJudge
from schemas.replies import Failure, Reply

LONG = 'HTTP 400: {"error": {"message": "maximum context length is 64 tokens, you requested %d"}}'


def outcomes(answered: int, *kinds: str) -> list:
    found = [Reply(f'r{n}', 'm', 'r', 'text', 'stop', 1, 1) for n in range(answered)]
    return found + [Failure(f'f{n}', kind, LONG % n, kind == 'transport', status=400) for n, kind in enumerate(kinds)]


def made(folder: Path, counts: Counter) -> Table:
    path = folder / 'work/candidates/0'
    path.mkdir(parents=True)
    (path / '_DONE.json').write_text(json.dumps({'shards': 1, 'counts': counts}))
    return Table(path, 'candidates')


def test_a_call_is_counted_once_and_a_failure_of_the_server_by_its_way():
    counts: Counter[str] = Counter()
    count_calls(counts, generator(0), outcomes(5, 'too_long', 'too_long', 'length', 'refused', 'transport') * 2)
    assert counts == {'calls/generate[0]': 10, 'failed/generate[0]/HTTP 400: maximum context length is 64 tokens, you requested 0': 2}


@pytest.mark.parametrize(('answered', 'failed', 'share', 'is_refused'), [
    (23, 1, 0.02, False), (1, 1, 0.02, False),  # one of 24 is more than 2 % of them, which says nothing
    (22, 2, 0.02, True), (79, 1, 0.02, False), (78, 2, 0.02, True),
    (98, 2, 0.02, False), (147, 3, 0.02, False), (146, 3, 0.02, True), (980, 20, 0.02, False), (979, 21, 0.02, True),
    (23, 1, 0.0, True), (24, 0, 0.0, False), (0, 24, 1.0, False), (0, 0, 0.02, False),
])  # fmt: skip
def test_more_than_the_share_are_too_many_and_a_single_one_never_is(tmp_path, answered, failed, share, is_refused):
    counts: Counter[str] = Counter()
    count_calls(counts, 'judge', outcomes(answered, *['too_long'] * failed))
    table = made(tmp_path, counts)
    if not is_refused:
        return refuse_failed(table, {'judge': share})
    with pytest.raises(PendingWork) as e:
        refuse_failed(table, {'judge': share})
    said = str(e.value)
    assert said.startswith(f'candidates: {failed} of {answered + failed} call(s) of judge failed for good, expected at most {share:g} of them')
    assert f'{failed} x HTTP 400: maximum context length is 64 tokens' in said
    assert f'`phantom replies forget {tmp_path}/work/replies --failures`' in said
    assert '--give-up' in said
    return None


def test_each_who_has_a_share_of_its_own(tmp_path):
    counts: Counter[str] = Counter()
    count_calls(counts, generator(0), outcomes(0, *['too_long'] * 9))
    count_calls(counts, generator(1), outcomes(1, *['bad_picture'] * 9))
    table = made(tmp_path, counts)
    refuse_failed(table, {generator(0): 1.0, generator(1): 0.9})
    with pytest.raises(PendingWork, match=r'9 of 10 call\(s\) of generate\[1\]'):
        refuse_failed(table, {generator(0): 1.0, generator(1): 0.8, 'judge': 0.0})


def test_how_many_may_fail_changes_no_step():
    one, other = (Generator(prompt='paper', model='m', max_failed=share) for share in (0.0, 0.5))
    assert proposing(one) == proposing(other)
    judges = [Judge(model='m', max_failed=share, second=SecondJudge(model='n', max_failed=share)) for share in (0.0, 0.5)]
    assert judging(judges[0]) == judging(judges[1])


def test_the_recipe_says_what_each_may():
    class Given:
        generate = [Generator(prompt='rules'), Generator(prompt='paper', model='m', max_failed=0.5)]
        judge = Judge(model='m', second=SecondJudge(model='n', max_failed=0.25))

    assert allowed(Given) == {'generate[0]': 0.02, 'generate[1]': 0.5, 'judge': 0.02, 'judge.second': 0.25}
