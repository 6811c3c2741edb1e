"""What each turn of each sample asks, as digests: equal for the same question about the same pictures, or near-duplicates of them.

A question is told by its strict form, by the system turn it is asked under, and by the stars of the pictures shown so far, in their order. Where
marks `<image>` stand around it does not count; between its words it does. A later turn is a question of its own unless its words lean on what was
said before ("And the other one?"): then all of that is part of it.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from curation.answers.conflicts import is_compared, said_at_last
from curation.answers.wording import said
from curation.rows.formats import IMAGE
from curation.texts.textmatch import strict
from pipelines.engine.step import Step
from pipelines.engine.tables import ShardWriter, Table

ASKED = pa.schema([('row', pa.int32()), ('turn', pa.int32()), ('asked', pa.uint64()), ('answer', pa.uint64())])
_LEANS = re.compile(
    r'^\W*(?:and|but|then|so|what about|how about|also|or|else|ok|okay|yes|no)\b|'
    r'\b(?:it|its|they|them|their|he|she|him|her|his|this one|that one|ones?|'
    r'other|others|another|else|same|previous|previously|above|earlier|again|first one|those|these|you said|your answer|mentioned|former|'
    r'latter|instead|continue|more)\b', re.IGNORECASE)  # fmt: skip


@dataclass(frozen=True)
class ListQuestions(Step):
    """Writes `part` (ASKED): of each turn of one part of the samples that is answered in few words, digests of what is asked and answered."""

    TABLE = 'asked'
    VERSION = 1

    samples: tuple[Table, ...]
    features: Table

    def shards(self) -> list[tuple[str, str]]:
        samples = (path for table in self.samples for path in table.parts())
        return [(str(rows), str(features)) for rows, features in zip(samples, self.features.parts(), strict=True)]

    def process(self, shard: tuple[str, str], writer: ShardWriter) -> None:
        features = pq.ParquetFile(shard[1]).read(['stars', 'bad_image'], use_threads=False)
        stars, bad = features['stars'].to_pylist(), features['bad_image'].to_pylist()
        found: list[tuple[int, int, int, int]] = []
        with pq.ParquetFile(shard[0]) as file:
            first = 0
            for batch in file.iter_batches(columns=['turns'], use_threads=False):
                for row, turns in enumerate(batch['turns'].to_pylist(), first):
                    if not bad[row]:  # whose pictures nobody knows
                        found += [(row, *asked) for asked in _asked(turns, stars[row])]
                first += batch.num_rows
        columns = zip(*found, strict=True) if found else ([] for _ in ASKED)
        writer.write('part', pa.table([pa.array(column, field.type) for column, field in zip(columns, ASKED, strict=True)], ASKED))


def _asked(turns: list[dict], stars: list[int]) -> Iterator[tuple[int, int, int]]:
    """Yield (turn, digest of the question, digest of the answer) of the answers of a sample that may be compared."""
    for turn, question in questions_of(turns):
        answer = turns[turn]['text']
        if is_compared(answer):
            shown = sum(one['text'].count(IMAGE) for one in turns[:turn])
            yield turn, digest(question, tuple(stars[:shown])), digest(said(said_at_last(answer)))


def questions_of(turns: list[dict]) -> Iterator[tuple[int, str]]:
    """Yield (turn of an answer, what it answers) of a sample: system turn and question, between them all that was said where it leans on that."""
    system = '\n'.join(strict(one['text']) for one in turns if one['role'] == 'system')
    for turn, one in enumerate(turns):
        if one['role'] == 'assistant' and turn and turns[turn - 1]['role'] == 'user':
            text = question_text(turns[turn - 1]['text'])
            earlier = [strict(other['text']) for other in turns[: turn - 1] if other['role'] != 'system']
            yield turn, '\0'.join([system, *(earlier if earlier and _LEANS.search(text) else []), text])


def question_text(text: str) -> str:
    """Return a question in strict form, without the marks of pictures around it."""
    text = strict(text)
    while text.startswith(IMAGE) or text.endswith(IMAGE):
        text = strict(text.removeprefix(IMAGE).removesuffix(IMAGE))
    return text


def digest(*parts: object) -> int:
    """Return 64 bits that stand for some values."""
    return int(np.frombuffer(hashlib.sha256(repr(parts).encode('utf-8', 'surrogatepass')).digest()[:8], '>u8')[0])
