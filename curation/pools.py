"""Right answers to questions like one question: what a distractor is drawn from."""

from collections.abc import Sequence
from functools import lru_cache

from curation.answers import tokens

LIKE = 24  # answers offered: enough that several fit in type and length, few enough that they answer the same sort of question


def like_answers(question: str, pool: Sequence[Sequence[str]]) -> list[str]:
    """Return the answers of the LIKE pool entries [question, answer] whose questions share most words with `question`."""
    own = frozenset(tokens(question))
    ranked = sorted(pool, key=lambda entry: (-_shared(own, entry[0]), entry[0], entry[1]))
    return [answer for _, answer in ranked[:LIKE]]


@lru_cache(maxsize=16_384)  # a pool's questions are compared with every sample's
def _words(question: str) -> frozenset[str]:
    return frozenset(tokens(question))


def _shared(own: frozenset[str], other: str) -> float:
    words = _words(other)
    return len(own & words) / max(1, len(own | words))
