from collections import Counter
from dataclasses import MISSING, fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.selection.select import KEPT, REASONS, MixRules, SampleKeys, select
from schemas.records import Reason

NO_RULES = MixRules(drop_contaminated=True, max_per_near_duplicate=None, quotas={})
# What every mix has; the rest is None or empty where a recipe does not ask for it.
ALWAYS = [field.name for field in fields(SampleKeys) if field.default is MISSING]


def keys(n, **changed):
    plain = {
        'source': np.zeros(n, np.int32),
        'category': np.zeros(n, np.int32),
        'licence_ok': np.ones(n, bool),
        'bad_image': np.zeros(n, bool),
        'contaminated': np.zeros(n, bool),
        'content': np.array([f'{i:016d}' for i in range(n)], 'S16'),
        'stars': np.empty(0, np.int64),
        'n_stars': np.zeros(n, np.int64),
        'lot': np.arange(n, dtype=np.uint64)[::-1].copy(),
    }
    return SampleKeys(**{**plain, **changed})


def showing(*stars):
    """The two arrays of rows that show these stars; -1 alone is a row of text."""
    of_row = [[] if row == -1 else row if isinstance(row, list) else [row] for row in stars]
    return {'stars': np.array([star for row in of_row for star in row], np.int64), 'n_stars': np.array([len(row) for row in of_row], np.int64)}


def some(made, places):
    """The rows of `made` at `places`, in that order."""
    starts = np.cumsum(made.n_stars) - made.n_stars
    ragged = [made.stars[starts[k] : starts[k] + made.n_stars[k]].tolist() for k in places]
    plain = {name: getattr(made, name)[places] for name in ALWAYS if name not in ('stars', 'n_stars')}
    return SampleKeys(**plain, **showing(*(row or -1 for row in ragged)))


def reasons(verdict):
    return [None if code == KEPT else REASONS[code] for code in verdict]


def test_the_first_rule_that_speaks_gives_the_reason():
    found = select(
        keys(3, licence_ok=np.array([False, True, True]), bad_image=np.array([True, True, False]), contaminated=np.array([True, True, True])),
        NO_RULES,
    )
    assert reasons(found) == [Reason.LICENCE_NOT_ALLOWED, Reason.BAD_IMAGE, Reason.CONTAMINATED]


def test_contamination_is_only_noted_when_the_recipe_flags():
    rules = MixRules(drop_contaminated=False, max_per_near_duplicate=None, quotas={})
    assert reasons(select(keys(2, contaminated=np.array([True, False])), rules)) == [None, None]


def test_of_equal_samples_the_first_clean_one_stays():
    content = np.array([b'a' * 16, b'a' * 16, b'b' * 16, b'a' * 16], 'S16')
    found = select(keys(4, content=content, bad_image=np.array([True, False, False, False])), NO_RULES)
    assert reasons(found) == [Reason.BAD_IMAGE, None, None, Reason.DUPLICATE_SAMPLE]


def test_a_star_keeps_the_lowest_lots_and_text_only_rows_have_no_star():
    rules = MixRules(drop_contaminated=True, max_per_near_duplicate=1, quotas={})
    found = select(keys(5, **showing(7, 7, 3, -1, -1)), rules)
    assert reasons(found) == [Reason.NEAR_DUPLICATE_CAP, None, None, None, None]


def test_a_row_of_several_pictures_counts_for_each_of_their_stars():
    """Lots fall from left to right, so the last row stays first. The first finds 7 full, the third 3; 9 has room, but not alone."""
    rules = MixRules(drop_contaminated=True, max_per_near_duplicate=1, quotas={})
    found = select(keys(6, **showing([7, 9], 5, [3, 9], [3, 7, 7], 5, -1)), rules)
    assert reasons(found) == [Reason.NEAR_DUPLICATE_CAP, Reason.NEAR_DUPLICATE_CAP, Reason.NEAR_DUPLICATE_CAP, None, None, None]


@given(st.lists(st.lists(st.integers(0, 6), max_size=3), max_size=30), st.integers(1, 3))
def test_the_cap_takes_samples_in_order_of_their_lots(rows, cap):
    found = select(keys(len(rows), **showing(*(row or -1 for row in rows))), MixRules(drop_contaminated=True, max_per_near_duplicate=cap, quotas={}))
    shown = Counter()
    for row, code in list(zip(rows, found, strict=True))[::-1]:  # lots fall
        room = all(shown[star] < cap for star in row)
        assert (code == KEPT) == room
        shown.update(set(row) if room else ())


def test_a_quota_counts_only_what_the_rules_before_it_kept():
    rules = MixRules(drop_contaminated=True, max_per_near_duplicate=None, quotas={0: 2})
    found = select(keys(4, bad_image=np.array([False, False, False, True]), source=np.array([0, 0, 0, 0], np.int32)), rules)
    assert reasons(found) == [Reason.OVER_QUOTA, None, None, Reason.BAD_IMAGE]


def test_weights_share_out_what_the_scarcest_source_allows():
    rules = MixRules(drop_contaminated=True, max_per_near_duplicate=None, quotas={}, weights={0: 1.0, 1: 3.0})
    found = select(keys(12, source=np.array([0] * 6 + [1] * 6, np.int32)), rules)
    assert [int((found[s] == KEPT).sum()) for s in (slice(0, 6), slice(6, 12))] == [2, 6]


def test_a_total_is_shared_out_by_weight():
    rules = MixRules(drop_contaminated=True, max_per_near_duplicate=None, quotas={}, weights={0: 1.0, 1: 1.0}, total=4)
    found = select(keys(12, source=np.array([0] * 6 + [1] * 6, np.int32)), rules)
    assert [int((found[s] == KEPT).sum()) for s in (slice(0, 6), slice(6, 12))] == [2, 2]


def test_a_category_is_bounded_over_its_sources():
    rules = MixRules(drop_contaminated=True, max_per_near_duplicate=None, quotas={0: 3}, category_quotas={1: 2})
    found = select(keys(6, source=np.array([0, 0, 0, 1, 1, 1], np.int32), category=np.array([1, 1, 1, 1, 0, 0], np.int32)), rules)
    assert reasons(found) == [Reason.OVER_QUOTA, Reason.OVER_QUOTA, None, None, None, None]


def test_an_empty_mix_is_an_empty_verdict():
    assert len(select(keys(0), MixRules(drop_contaminated=True, max_per_near_duplicate=2, quotas={0: 1}))) == 0


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3), st.lists(st.integers(0, 5), max_size=3), st.booleans()), min_size=1, max_size=40),
    st.integers(1, 4),
    st.integers(1, 3),
)
def test_caps_hold_and_selecting_again_removes_nothing(rows, quota, cap):
    n = len(rows)
    made = keys(
        n,
        source=np.array([r[0] for r in rows], np.int32),
        content=np.array([f'{r[1]}-{"".join(map(str, r[2])):>14}' for r in rows], 'S16'),
        **showing(*(r[2] or -1 for r in rows)),
        bad_image=np.array([r[3] for r in rows]),
    )
    rules = MixRules(drop_contaminated=True, max_per_near_duplicate=cap, quotas={0: quota, 1: quota, 2: quota})
    kept = select(made, rules) == KEPT
    assert all((kept & (made.source == s)).sum() <= quota for s in range(3))
    assert all(sum(star in row[2] for row, stays in zip(rows, kept, strict=True) if stays) <= cap for star in range(6))
    assert len(set(made.content[kept])) == kept.sum()
    again = select(some(made, np.flatnonzero(kept)), rules)
    assert (again == KEPT).all()


@pytest.mark.parametrize('seed', [0, 1])
def test_the_order_of_rows_decides_nothing_but_which_copy_stays(seed):
    rng = np.random.default_rng(seed)
    stars = showing(*(rng.integers(0, 8, n).tolist() if n else -1 for n in rng.integers(0, 4, 50)))
    made = keys(50, source=rng.integers(0, 3, 50).astype(np.int32), lot=rng.permutation(50).astype(np.uint64), **stars)
    rules = MixRules(drop_contaminated=True, max_per_near_duplicate=3, quotas={1: 4})
    shuffled = rng.permutation(50)
    moved = select(some(made, shuffled), rules)
    assert (moved == select(made, rules)[shuffled]).all()
