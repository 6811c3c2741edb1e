"""What else could have been the answer: answers that other rows of the source give to questions that begin alike, and of the same kind."""

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from model.training.data import shuffle_key

BEGINNING = 2  # words of a question that say what sort of thing is asked for (question types of VQA, arXiv 1505.00468, section 4)
COMMON, RARE = 8, 7  # alternatives: the commonest of the pool, and others drawn by the row's id. A short list of answers is all there
MOST = 4096  # answers that a pool keeps
KindOf = Callable[[str, str], str]  # answer, question -> kind of answer: yes or no, a number, a name, ...


def one_kind(answer: str, question: str) -> str:
    """No kinds of answers; the command line takes curation's."""
    return ''


def plain_form(text: str) -> str:
    """What two texts have in common that are the same answer: case, blanks and the end mark do not count."""
    return ' '.join(text.split()).casefold().rstrip('.')


@dataclass(frozen=True, slots=True)
class Alternatives:
    """Answers beside a row's own, and how often each stands in the pool they are from."""

    answers: tuple[str, ...]
    counts: tuple[int, ...]

    def planted(self, name: str) -> int:
        """The place of the answer that a wrong label would be: drawn by a row's name, as often as each stands in the pool."""
        shares = np.array(self.counts) / sum(self.counts)
        return int(np.random.default_rng(seed_of('planted', name)).choice(len(shares), p=shares))


class Pools:
    """Counts of the answers in a mix, by source, kind of answer and how the question begins; then by less, where that holds no other answer."""

    def __init__(self, kind_of: KindOf = one_kind):
        self._kind_of = kind_of
        self._counts: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
        self._sorted: dict[tuple[str, ...], dict[str, tuple[str, int]]] = {}

    def add(self, source: str, question: str, answer: str) -> None:
        """Counts one row."""
        for key in self._keys(source, question, answer):
            self._counts[key][answer] += 1
            if len(self._counts[key]) > 2 * MOST:
                self._counts[key] = Counter(dict(ranked(self._counts[key])[:MOST]))

    def of(self, name: str, source: str, question: str, answer: str) -> Alternatives:
        """Up to COMMON + RARE answers that are not the row's; none where the whole source gives one answer only. Depends on names alone."""
        own, others = plain_form(answer), list[tuple[str, int]]()
        for key in self._keys(source, question, answer):
            others = [(text, count) for form, (text, count) in self._pool(key).items() if form != own]
            if others:
                break
        rest = others[COMMON:]
        drawn = np.random.default_rng(seed_of('rare', name)).choice(len(rest), min(RARE, len(rest)), replace=False) if rest else []
        taken = others[:COMMON] + [rest[place] for place in sorted(drawn)]
        return Alternatives(tuple(text for text, _ in taken), tuple(count for _, count in taken))

    def _pool(self, key: tuple[str, ...]) -> dict[str, tuple[str, int]]:
        """The answers of a pool by their form, the commonest first; of several that have one form the commonest."""
        if key not in self._sorted:
            self._sorted[key] = {}
            for text, count in ranked(self._counts[key])[:MOST]:
                self._sorted[key].setdefault(plain_form(text), (text, count))
        return self._sorted[key]

    def _keys(self, source: str, question: str, answer: str) -> list[tuple[str, ...]]:
        kind, begins = self._kind_of(answer, question), ' '.join(question.casefold().split()[:BEGINNING])
        return [(source, kind, begins), (source, kind), (source,)]


def ranked(counts: Counter[str]) -> list[tuple[str, int]]:
    """Answers with their counts, the commonest first, equals by their hash."""
    return sorted(counts.items(), key=lambda item: (-item[1], shuffle_key('pool', item[0])))


def seed_of(*names: str) -> int:
    """A seed that depends on the names alone."""
    return int.from_bytes(shuffle_key(*names)[:8])
