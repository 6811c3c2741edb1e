"""Right answers to questions like one question: what a distractor is drawn from."""

from collections.abc import Sequence
from functools import lru_cache

from curation.answers.kinds import tokens
from curation.negatives.numbers import pick

LIKE = 24  # answers offered at least: enough that several fit in type and length, few enough that they answer the same sort of question
SHARE = 400  # entries of the pool that one sample looks at


def like_answers(question: str, pool: Sequence[Sequence[str]], sample_id: str = '') -> list[str]:
    """Return the answers of the LIKE pool entries [question, answer] whose questions are most like `question`, and of all as near as the last.

    To cut among equals would offer the same few answers to every sample that is asked alike, and they would give the triple away; so would a
    small pool. Of a large one each sample looks at a share drawn by its id.
    """
    shares = max(1, len(pool) // SHARE)
    seen = pool[pick(sample_id, 'pool', shares)::shares]
    own = frozenset(tokens(question))
    likeness = [_shared(own, asked) for asked, _ in seen]
    least = min(sorted(likeness, reverse=True)[:LIKE], default=0.0)
    return [answer for (_, answer), like in zip(seen, likeness, strict=True) if like >= least]


@lru_cache(maxsize=16_384)  # a pool's questions are compared with every sample's
def _words(question: str) -> frozenset[str]:
    return frozenset(tokens(question))


def _shared(own: frozenset[str], other: str) -> float:
    words = _words(other)
    both = len(own & words)
    return both / max(1, len(own) + len(words) - both)
