"""Right answers to questions like one question: what a distractor is drawn from."""

from collections import defaultdict
from collections.abc import Sequence
from functools import cached_property

import numpy as np

from curation.answers.kinds import tokens
from curation.negatives.numbers import pick

LIKE = 24  # answers offered at least: enough that several fit in type and length, few enough that they answer the same sort of question
SHARE = 400  # entries of the pool that one sample looks at


class Pool:
    """The right answers of a source, [question, answer] each, that all of its samples look at."""

    def __init__(self, exchanges: Sequence[Sequence[str]]):
        n_shares = max(1, len(exchanges) // SHARE)
        self._shares = [_Share(exchanges[number::n_shares]) for number in range(n_shares)]

    def like(self, question: str, sample_id: str = '') -> list[str]:
        """Return the answers of the LIKE entries whose questions are most like `question`, and of all as near as the last.

        To cut among equals would offer the same few answers to every sample that is asked alike, and they would give the triple away; so would
        a small pool. Of a large one each sample looks at a share drawn by its id.
        """
        return self._shares[pick(sample_id, 'pool', len(self._shares))].like(frozenset(tokens(question)))


class _Share:
    """Some entries, found by the words of their questions."""

    def __init__(self, exchanges: Sequence[Sequence[str]]):
        self._exchanges = exchanges

    def like(self, own: frozenset[str]) -> list[str]:
        """Return the answers to questions that share most words with `own`: by what both hold of what either holds."""
        if len(self._answers) <= LIKE:
            return list(self._answers)
        found = [places for word in own if (places := self._places.get(word)) is not None]
        both = np.bincount(np.concatenate(found), minlength=len(self._answers)) if found else np.zeros(len(self._answers), np.int64)
        likeness = both / np.maximum(1, self._n_words + (len(own) - both))
        least = np.partition(likeness, -LIKE)[-LIKE]
        return [self._answers[at] for at in np.flatnonzero(likeness >= least).tolist()]

    @cached_property
    def _answers(self) -> list[str]:
        return [answer for _, answer in self._exchanges]

    @cached_property
    def _words(self) -> list[frozenset[str]]:
        return [frozenset(tokens(question)) for question, _ in self._exchanges]

    @cached_property
    def _n_words(self) -> np.ndarray:
        return np.array([len(words) for words in self._words], np.int64)

    @cached_property
    def _places(self) -> dict[str, np.ndarray]:
        """Return the places of the entries whose questions hold a word, by word."""
        found: dict[str, list[int]] = defaultdict(list)
        for at, words in enumerate(self._words):
            for word in words:
                found[word].append(at)
        return {word: np.array(places, np.int64) for word, places in found.items()}
