"""No picture is on both sides of a fold, whatever the order of the rows."""

from itertools import islice

import pytest

from model.rating.rows import Folds, all_groups, as_trained, endless_rows
from schemas.errors import UserError
from schemas.snapshot import open_snapshot
from tests.model.rating.mixes import mix_row, text_row, write_mix


def folds_of(rows, count=3):
    folds = Folds(count)
    trained = [as_trained(row) for row in rows]
    for row in trained:
        folds.add(row)
    return {row['sample_id']: folds.fold(row) for row in trained}


def test_stars_that_one_row_shows_together_lie_in_one_fold_with_all_that_shows_either():
    """A chain of pairs a-b, b-c, ... makes one group of all; single pictures are spread."""
    names = [f'{index:02}' for index in range(20)]
    chain = [mix_row(at, stars=[one, other]) for at, (one, other) in enumerate(zip(names, names[1:]))]
    singles = [mix_row(100 + at, stars=[f'single {at}']) for at in range(60)]
    found = folds_of(chain + singles)
    assert len({found[row['sample_id']] for row in chain}) == 1
    assert {found[row['sample_id']] for row in singles} == {0, 1, 2}
    assert folds_of((chain + singles)[::-1]) == found


def test_a_question_without_a_picture_goes_by_its_words():
    rows = [text_row(0, 'What is 1 + 1?', '2'), text_row(1, 'what is  1 + 1?', '3'), *(text_row(at, f'{at} + 1?', 'x') for at in range(2, 40))]
    found = folds_of(rows)
    assert found[rows[0]['sample_id']] == found[rows[1]['sample_id']]
    assert set(found.values()) == {0, 1, 2}


def test_an_epoch_holds_each_row_of_the_other_folds_once(tmp_path):
    mix = open_snapshot(write_mix(tmp_path / 'm', [mix_row(at) for at in range(30)], group=4), 'mix')
    groups, folds = all_groups(mix), Folds(3)
    of = folds_of([mix_row(at) for at in range(30)])
    others = {name for name, fold in of.items() if fold != 1}
    two = [row['sample_id'] for row in islice(endless_rows(groups, folds, 1, seed=0, window=2), 2 * len(others))]
    first, second = two[: len(others)], two[len(others) :]
    assert set(first) == set(second) == others
    assert first != second
    assert [row['sample_id'] for row in islice(endless_rows(groups, folds, None, seed=0, window=2), 30)] != list(of)


def test_no_row_to_train_on_is_told(tmp_path):
    mix = open_snapshot(write_mix(tmp_path / 'm', [mix_row(0)]), 'mix')
    with pytest.raises(UserError, match='expected rows to train on, found none'):
        next(endless_rows(all_groups(mix), Folds(1), 0, seed=0, window=8))
