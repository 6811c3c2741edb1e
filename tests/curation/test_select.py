import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.select import KEPT, REASONS, MixRules, SampleKeys, select
from schemas.records import Reason

NO_RULES = MixRules(drop_contaminated=True, max_per_near_duplicate=None, quotas={})


def keys(n, **changed):
    plain = {
        'source': np.zeros(n, np.int32),
        'category': np.zeros(n, np.int32),
        'licence_ok': np.ones(n, bool),
        'bad_image': np.zeros(n, bool),
        'contaminated': np.zeros(n, bool),
        'content': np.array([f'{i:016d}' for i in range(n)], 'S16'),
        'cluster': np.full(n, -1, np.int64),
        'lot': np.arange(n, dtype=np.uint64)[::-1].copy(),
    }
    return SampleKeys(**{**plain, **changed})


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
    found = select(keys(5, cluster=np.array([7, 7, 3, -1, -1])), rules)
    assert reasons(found) == [Reason.NEAR_DUPLICATE_CAP, None, None, None, None]


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
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3), st.integers(-1, 3), st.booleans()), min_size=1, max_size=40),
    st.integers(1, 4),
    st.integers(1, 3),
)
def test_caps_hold_and_selecting_again_removes_nothing(rows, quota, cap):
    n = len(rows)
    made = keys(
        n,
        source=np.array([r[0] for r in rows], np.int32),
        content=np.array([f'{r[1]}-{r[2]:>14}' for r in rows], 'S16'),
        cluster=np.array([r[2] for r in rows], np.int64),
        bad_image=np.array([r[3] for r in rows]),
    )
    rules = MixRules(drop_contaminated=True, max_per_near_duplicate=cap, quotas={0: quota, 1: quota, 2: quota})
    kept = select(made, rules) == KEPT
    assert all((kept & (made.source == s)).sum() <= quota for s in range(3))
    assert all((kept & (made.cluster == c)).sum() <= cap for c in range(4))
    assert len(set(made.content[kept])) == kept.sum()
    again = select(SampleKeys(*(getattr(made, name)[kept] for name in SampleKeys.__slots__)), rules)
    assert (again == KEPT).all()


@pytest.mark.parametrize('seed', [0, 1])
def test_the_order_of_rows_decides_nothing_but_which_copy_stays(seed):
    rng = np.random.default_rng(seed)
    made = keys(50, source=rng.integers(0, 3, 50).astype(np.int32), cluster=rng.integers(-1, 5, 50), lot=rng.permutation(50).astype(np.uint64))
    rules = MixRules(drop_contaminated=True, max_per_near_duplicate=3, quotas={1: 4})
    shuffled = rng.permutation(50)
    moved = select(SampleKeys(*(getattr(made, name)[shuffled] for name in SampleKeys.__slots__)), rules)
    assert (moved == select(made, rules)[shuffled]).all()
