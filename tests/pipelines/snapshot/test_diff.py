"""What changed between two snapshots is counted, named and explained by reason."""

import errno
import json
import os

import pytest

from pipelines.snapshot import diff
from pipelines.snapshot.diff import Moves, diff_snapshots, print_diff
from schemas.errors import PendingWork, UserError
from tests.pipelines.snapshot.sealed import picture, rejection, sample, says, seal_rows, triple


def test_a_snapshot_does_not_differ_from_itself(tmp_path):
    a = seal_rows(tmp_path / 'a', 'triples', [triple(0), triple(1)], [rejection(5)])
    b = seal_rows(tmp_path / 'b', 'triples', {'train': [[triple(1)], [triple(0)]]}, [rejection(5)])
    diff = diff_snapshots(a, b)
    assert (diff.same, diff.added, diff.removed, diff.changed, diff.moves) == (2, 0, 0, 0, ())


def test_every_kind_of_change_is_counted_with_its_reason(tmp_path):
    """0 stays, 1 changes its answer and its score, 2 falls to the margin, 3 loses its sample, 4 comes back, 5 is new, 6 changes its reason."""
    changed = triple(1, rejected=[says('assistant', 'other')], score=0.7)
    a = seal_rows(tmp_path / 'a', 'triples', [triple(0), triple(1), triple(2), triple(3)], [rejection(4, 'LOW_MARGIN'), rejection(6, 'EQUAL_ANSWER')])
    b = seal_rows(tmp_path / 'b', 'triples', [triple(0), changed, triple(4), triple(5)],
                  [rejection(2, 'LOW_MARGIN'), rejection(3, 'OVER_QUOTA', unit='sample'), rejection(6, 'LENGTH_RATIO')])
    diff = diff_snapshots(a, b)
    assert (diff.same, diff.added, diff.removed, diff.changed) == (1, 2, 2, 1)
    assert dict(diff.columns) == {'rejected': 1, 'score': 1}
    assert diff.changed_examples[0]['score'] == [0.1, 0.7]
    assert diff.changed_examples[0]['rejected'][1][0]['content'][0]['text'] == 'other'
    ids = [triple(i)['triple_id'] for i in range(7)]
    assert set(diff.moves) == {
        Moves('kept', 'LOW_MARGIN', 1, (ids[2],)), Moves('kept', 'sample OVER_QUOTA', 1, (ids[3],)), Moves('LOW_MARGIN', 'kept', 1, (ids[4],)),
        Moves('not there', 'kept', 1, (ids[5],)), Moves('EQUAL_ANSWER', 'LENGTH_RATIO', 1, (ids[6],)),
    }


def test_a_disk_that_fails_while_rows_are_compared_is_no_verdict_on_them(tmp_path, monkeypatch):
    a = seal_rows(tmp_path / 'a', 'triples', [triple(0)])

    def fail(*_):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(diff, '_compare', fail)
    with pytest.raises(PendingWork, match='EIO'):
        diff_snapshots(a, a)


def test_other_pictures_change_a_mix_row(tmp_path):
    a = seal_rows(tmp_path / 'a', 'mix', [sample(0, images=[picture('red')])])
    b = seal_rows(tmp_path / 'b', 'mix', [sample(0, images=[picture('blue')])])
    diff = diff_snapshots(a, b)
    assert (diff.changed, [name for name, _ in diff.columns]) == (1, ['cluster_ids', 'image_ids'])


def test_it_prints_for_people_and_as_json(tmp_path, capsys):
    a = seal_rows(tmp_path / 'a', 'triples', [triple(0), triple(1)])
    b = seal_rows(tmp_path / 'b', 'triples', [triple(0, rejected=[says('assistant', '[bold]x[/bold]')])], [rejection(1)])
    diff = diff_snapshots(a, b)
    print_diff(diff, as_json=False)
    said = capsys.readouterr().out
    assert '0 row(s) added, 1 removed, 1 changed, 0 the same' in said
    assert '[bold]x[/bold]' in said
    print_diff(diff, as_json=True)
    assert json.loads(capsys.readouterr().out)['removed'] == 1


def test_a_mix_and_triples_are_not_compared(tmp_path):
    a = seal_rows(tmp_path / 'a', 'mix', [sample(0)])
    b = seal_rows(tmp_path / 'b', 'triples', [triple(0)])
    with pytest.raises(UserError, match='two snapshots of one kind'):
        diff_snapshots(a, b)


def test_what_changed_in_the_recipe_is_told_key_by_key(tmp_path, front):
    before = {'name': 'r', 'judge': {'margin': 0.0, 'mode': 'likelihood'}, 'generate': [{'prompt': 'paper'}], 'sources': {'a': {'quota': None}}}
    after = {**before, 'judge': {'margin': 0.2, 'mode': 'likelihood'}, 'generate': [{'prompt': 'paper'}, {'prompt': 'rules'}], 'sources': {'a': {'quota': 9}}}
    a = seal_rows(tmp_path / 'a', 'triples', [triple(0)], recipe=before)
    b = seal_rows(tmp_path / 'b', 'triples', [triple(0)], recipe=after)
    assert diff_snapshots(a, a).recipe == ()
    told = ['judge.margin was 0.0, is 0.2', 'generate has {"prompt": "rules"}', 'sources.a.quota was null, is 9']
    assert [*diff_snapshots(a, b).recipe] == told
    assert [line for line in front('diff', a, b)[1].splitlines() if line.startswith('recipe: ')] == [f'recipe: {line}' for line in told]


def test_of_many_changes_of_the_recipe_the_first_are_shown(tmp_path, front):
    a = seal_rows(tmp_path / 'a', 'triples', [triple(0)], recipe={f'k{n}': 0 for n in range(25)})
    b = seal_rows(tmp_path / 'b', 'triples', [triple(0)], recipe={f'k{n}': 1 for n in range(25)})
    told = [line for line in front('diff', a, b)[1].splitlines() if line.startswith('recipe: ')]
    assert (len(told), told[-1]) == (21, 'recipe: 5 more changes; --json lists them all')
