"""Texts looked up among the items of benchmarks: a sample of text alone needs question and answer, one that shows a picture the picture.

A sample of text alone is compared in full with the ITEMS_COMPARED items whose questions share most word runs with its own, equal questions
counted once; an item that does not publish its answer is matched by its question alone, if that has at least `ngram_words` words (a shorter
one is a template).
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

import pyarrow as pa
import pyarrow.parquet as pq

from curation.formats import IMAGE
from curation.textmatch import contaminated, loose, ngrams, overlap
from pipelines.engine.tables import Table
from schemas.recipe import Contamination
from schemas.records import STRINGS

ITEMS_COMPARED = 16  # different questions of benchmarks
ITEM_TEXTS = pa.schema([('bench', pa.string()), ('item_id', pa.string()), ('question', pa.string()), ('answers', STRINGS)])


@dataclass(frozen=True, slots=True)
class TextRules:
    """What of the recipe's contamination rules decides on texts."""

    ngram_words: int
    min_overlap: float


def text_rules(rules: Contamination) -> TextRules:
    """Return the rules on texts."""
    return TextRules(rules.ngram_words, rules.min_overlap)


class BenchmarkTexts:
    """Looks texts up among the items of benchmarks. Their questions are indexed by word runs when a text is looked up by itself."""

    def __init__(self, items: list[dict], rules: TextRules) -> None:
        self._items = items  # rows of ITEM_TEXTS
        self._rules = rules
        self._at = {(item['bench'], item['item_id']): at for at, item in enumerate(items)}

    @cached_property
    def _asking(self) -> dict[str, list[int]]:
        """Return the items by their question in the loose form."""
        asking = defaultdict(list)
        for at, item in enumerate(self._items):
            asking[loose(item['question'])].append(at)
        return asking

    @cached_property
    def _having(self) -> dict[int, list[str]]:
        """Return the questions by their word runs."""
        having: defaultdict[int, list[str]] = defaultdict(list)
        for question in self._asking:
            for gram in ngrams(question, self._rules.ngram_words):
                having[gram].append(question)
        return having

    def by_text(self, texts: list[str]) -> dict | None:
        """Return what was found of a sample without pictures if that contaminates it, else None. `texts` are its turns, the last one the answer."""
        question, answer = _exchange(texts)
        found = [hit for at in self._likely(question) if (hit := self._joint(self._items[at], question, answer, None))]
        return max(found, key=_overlaps) if found else None

    def by_picture(self, texts: list[str], hits: list[tuple[int, str, str]]) -> dict | None:
        """Return the same of a sample whose pictures are those of some items: each hit is (distance, bench, item id)."""
        distance, bench, item_id = min(hits)
        return self._joint(self._items[self._at[bench, item_id]], *_exchange(texts), distance)

    def _likely(self, question: str) -> Iterator[int]:
        """Yield the items whose questions share most word runs with `question`; of those with equal question and answers the first."""
        shared = Counter(other for gram in ngrams(question, self._rules.ngram_words) for other in self._having.get(gram, ()))
        for _, other in sorted((-n, other) for other, n in shared.items())[:ITEMS_COMPARED]:
            by_answers = {tuple(self._items[at]['answers']): at for at in reversed(self._asking[other])}
            yield from sorted(by_answers.values())

    def _joint(self, item: dict, question: str, answer: str, distance: int | None) -> dict | None:
        """Return the evidence that a sample repeats `item`; `distance` of their pictures, None for a sample of text alone."""
        n, least = self._rules.ngram_words, self._rules.min_overlap
        question_overlap = overlap(item['question'], question, n)
        answer_overlap = max(overlap(accepted, answer, n) for accepted in item['answers'])
        published = any(loose(accepted) for accepted in item['answers'])
        if not published and distance is None and len(loose(item['question']).split()) < n:
            return None
        evidence = contaminated(
            image_hit=distance is not None,
            question_hit=question_overlap >= least,
            answer_hit=answer_overlap >= least if published else None,
            has_image=distance is not None,
        )
        if not evidence:
            return None
        return {
            'bench': item['bench'],
            'item_id': item['item_id'],
            'evidence': evidence,
            'image_distance': distance,
            'question_overlap': round(question_overlap, 3),
            'answer_overlap': round(answer_overlap, 3),
        }


def _overlaps(hit: dict) -> float:
    return hit['question_overlap'] + hit['answer_overlap']


def _exchange(texts: list[str]) -> tuple[str, str]:
    return ' '.join(texts[:-1]).replace(IMAGE, ' '), texts[-1]


@lru_cache(maxsize=1)  # 37 MB for 10,000 items: every source of a worker looks into the same
def texts_of(benches: tuple[Table, ...], rules: TextRules) -> BenchmarkTexts:
    """Return the look-up of texts among the items of some benchmarks."""
    return BenchmarkTexts(item_texts(benches), rules)


def item_texts(benches: Iterable[Table]) -> list[dict]:
    """Return what is compared of the texts of some benchmarks, rows of ITEM_TEXTS."""
    return [row for table in benches for path in table.parts() for row in pq.read_table(path).to_pylist()]
