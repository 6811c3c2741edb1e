"""Intervals of figures: as wide as other items would move them, by the groups that belong together."""

import math
import random

import pytest

from model.evaluation.intervals import difference_intervals, figure_intervals, wilson
from model.evaluation.scores import Scored


def scored(name: str, right: bool, pictures: tuple[str, ...] = (), **meta) -> Scored:
    return Scored({'item_id': name, 'question': '?', 'options': [], 'answer': 'Yes', 'meta': meta, 'pictures': list(pictures)}, 'Yes', 'Yes', right)


def test_a_share_gets_the_interval_that_its_spread_has():
    """400 items, 300 right: 75 % and a standard error of sqrt(0.75 * 0.25 / 400) = 2.165 points."""
    items = [scored(str(number), number % 4 > 0) for number in range(400)]
    low, high = figure_intervals('mmstar', items)['score']
    assert low == pytest.approx(75 - 1.96 * 2.165, abs=0.6)
    assert high == pytest.approx(75 + 1.96 * 2.165, abs=0.6)
    assert figure_intervals('mmstar', items[:20]) == figure_intervals('mmstar', items[:20])


def test_questions_on_one_picture_count_as_one_another():
    """100 pictures, four questions each, all right or all wrong: as 100 questions, twice as wide as 400."""
    clustered = [scored(f'{picture}/{number}', picture % 2 == 0, (f'p{picture}',)) for picture in range(100) for number in range(4)]
    alone = [scored(f'{number}', number % 2 == 0) for number in range(400)]
    widths = [high - low for low, high in (figure_intervals('ai2d', items)['score'] for items in (clustered, alone))]
    assert widths[0] / widths[1] == pytest.approx(2, rel=0.15)


def test_groups_that_are_scored_together_are_not_merged_when_drawn_twice():
    """MME: 40 pictures of which half have both answers right, the others none: accuracy and accuracy+ are 50 each, in all 100."""
    items = [scored(f'count/{picture}/{side}', picture % 2 == 0, category='count') for picture in range(40) for side in (1, 2)]
    low, high = figure_intervals('mme', items)['score']
    assert low + high == pytest.approx(200, abs=8)
    assert high - low == pytest.approx(2 * 2 * 1.96 * 50 / math.sqrt(40), rel=0.2)
    circular = [scored(f'dev/{turn * 1_000_000 + number}', number % 2 == 0) for number in range(100) for turn in range(4)]
    found = figure_intervals('mmbench', circular)['score']
    assert found[1] - found[0] == pytest.approx(2 * 1.96 * 5, rel=0.2)


def test_parts_keep_their_size_in_every_draw():
    items = [*(scored(f'a{number}', True, category='popular') for number in range(50)), scored('b', True, category='random')]
    assert set(figure_intervals('pope', items)) >= {'f1/popular', 'f1/random', 'score'}


def test_where_all_or_nothing_is_right_the_interval_is_wilsons():
    """10 of 10: the lower end is 1 / (1 + z^2 / 10) = 0.7225."""
    for right, wanted in ((True, (72.25, 100)), (False, (0, 27.75))):
        assert figure_intervals('mmstar', [scored(str(number), right) for number in range(10)])['score'] == pytest.approx(wanted, abs=0.01)
    assert wilson(0.5, 4) == pytest.approx((0.15, 0.85), abs=0.001)


def test_one_part_of_a_benchmark_counts_its_own_groups():
    items = [*(scored(f'a{number}', True, category='math') for number in range(10)), *(scored(f'b{number}', number % 2 > 0, category='x') for number in range(90))]
    assert figure_intervals('mmstar', items)['accuracy/math'] == pytest.approx((72.25, 100), abs=0.01)


def test_a_difference_is_drawn_in_pairs():
    """Two models that err on the same hard items: each is uncertain by 4 points, their difference by a quarter of that."""
    dice = random.Random(1)
    hard = [dice.random() < 0.5 for _ in range(400)]
    ours = [scored(str(number), not bad) for number, bad in enumerate(hard)]
    theirs = [scored(str(number), not bad and number % 40 > 0) for number, bad in enumerate(hard)]
    low, high = difference_intervals('mmstar', ours, theirs)['score']
    own = figure_intervals('mmstar', ours)['score']
    assert 0 <= low < 100 * sum(a.right - b.right for a, b in zip(ours, theirs, strict=True)) / 400 < high
    assert high - low < (own[1] - own[0]) / 3
    assert difference_intervals('mmstar', ours, ours)['score'] == (0, 0)


def test_a_single_group_says_little():
    """Four questions on one picture, two right: Wilson's interval of one half of a single group."""
    found = figure_intervals('ai2d', [scored(str(number), number % 2 == 0, ('p',)) for number in range(4)])['score']
    assert found == pytest.approx([100 * end for end in wilson(0.5, 1)])
    assert found[1] - found[0] > 80


@pytest.mark.parametrize('n', [1, 2])
def test_a_few_items_have_an_interval_too(n):
    low, high = figure_intervals('mmstar', [scored(str(number), number > 0) for number in range(n)])['score']
    assert 0 <= low <= high <= 100
