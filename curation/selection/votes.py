"""Which answers go because others contradict them, once others have gone for another reason: a label that was found to be wrong has no vote."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Votes:
    """Answers that are contradicted, one entry each; those to one question are a group, those of a group that say the same a class."""

    sample: np.ndarray  # int64[V], whose answer
    group: np.ndarray  # int64[V]
    of: np.ndarray  # int64[V], the class, from 0 on in each group
    against: np.ndarray  # int64[W], the classes of the group that cannot be right beside it, answer by answer
    n_against: np.ndarray  # int64[V], how many of them are each answer's
    computed: np.ndarray  # bool[V], by a source of exact answers: where there are such in a group, they alone have votes
    majority_stays: bool  # the answer that has more than half of the votes for what is contradicted


def outvoted(votes: Votes, out: np.ndarray) -> np.ndarray:
    """Return bool[V]: answers that go, as others that stay contradict them; out: bool[N], samples that go for another reason."""
    classes = int(max(votes.of.max(initial=0), votes.against.max(initial=0))) + 1
    here = ~out[votes.sample]
    key = votes.group * classes + votes.of
    opposed = np.isin(np.repeat(votes.group, votes.n_against) * classes + votes.against, key[here])
    contradicted = np.zeros(len(key), bool)
    contradicted[np.repeat(np.arange(len(key)), votes.n_against)[opposed]] = True
    contradicted &= here
    if not votes.majority_stays:
        return contradicted
    groups = int(votes.group.max(initial=-1)) + 1
    has_computed = np.bincount(votes.group[contradicted & votes.computed], minlength=groups) > 0
    counts = contradicted & (votes.computed | ~has_computed[votes.group])
    keys, which = np.unique(key, return_inverse=True)
    of_class, of_group = np.bincount(which[counts], minlength=len(keys)), np.bincount(votes.group[counts], minlength=groups)
    return contradicted & (2 * of_class[which] <= of_group[votes.group])
