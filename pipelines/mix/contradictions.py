"""Questions that the mix asks twice about the same picture and answers in ways that cannot both be right: one of the labels is wrong.

Every sample whose pictures are usable has a vote, copies and those that are left out for another reason too: a label is evidence wherever it stands.
What becomes of them is decided where samples are selected.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from curation.answers.conflicts import Class, classes
from pipelines.engine.step import Step
from pipelines.engine.tables import ShardWriter, Table
from pipelines.mix.asked_turns import ASKED, questions_of

# A row for each turn of a sample whose answer is contradicted. Of each group `class`: which answers say the same, `against`: the classes that cannot
# be right beside it, `computed`: by a source of exact answers. `told`: JSON {question, answers: [{answer, votes, by, first}], more}, side by side.
CONTRADICTIONS = pa.schema([
    ('part', pa.int32()), ('row', pa.int32()), ('sample_id', pa.string()), ('source', pa.string()), ('turn', pa.int32()), ('group', pa.int64()),
    ('class', pa.int32()), ('against', pa.list_(pa.int32())), ('computed', pa.bool_()), ('answer', pa.string()), ('wins', pa.bool_()),
    ('told', pa.string()),
])  # fmt: skip
SHOWN_CHARS = 300  # of a question or an answer
ANSWERS_SHOWN = 8


@dataclass(frozen=True, slots=True)
class _Answer:
    """An answer of a sample to a question that others answer otherwise."""

    part: int
    row: int
    turn: int
    sample_id: str
    source: str
    question: str
    text: str


@dataclass(frozen=True)
class FindContradictions(Step):
    """Writes `part` (CONTRADICTIONS); counts groups, and per source samples and groups. One shard: digests, and texts of questions asked twice."""

    TABLE = 'contradictions'
    VERSION = 2

    asked: Table
    samples: tuple[Table, ...]
    exact: tuple[str, ...]  # sources whose answers are computed

    def process(self, shard: int, writer: ShardWriter) -> None:
        writer.write('part', CONTRADICTIONS.empty_table())
        rows: list[dict] = []
        samples, groups = defaultdict[str, set[str]](set), defaultdict[str, set[int]](set)
        n_groups = 0
        for answers in self._groups():
            question, exact = answers[0].question.rpartition('\0')[2], [one.source in self.exact for one in answers]
            found, of = classes(question, [one.text for one in answers], exact=exact)
            if not any(one.contradicted for one in found):
                continue
            told = _told(answers, found, of)
            for one, number, computed in zip(answers, of, exact, strict=True):
                if found[number].contradicted:
                    rows.append({'part': one.part, 'row': one.row, 'sample_id': one.sample_id, 'source': one.source, 'turn': one.turn,
                                 'group': n_groups, 'class': number, 'against': found[number].against, 'computed': computed,
                                 'answer': _cut(one.text), 'wins': found[number].wins, 'told': told})  # fmt: skip
                    samples[one.source].add(one.sample_id)
                    groups[one.source].add(n_groups)
            n_groups += 1
        writer.write('part', pa.Table.from_pylist(rows, CONTRADICTIONS))
        writer.counts['groups'] = n_groups
        for source in samples:
            writer.counts[f'samples/{source}'] = len(samples[source])
            writer.counts[f'groups/{source}'] = len(groups[source])

    def _groups(self) -> Iterator[list[_Answer]]:
        """Yield the answers to each question that is answered in more than one form, in order of the samples."""
        groups: dict[tuple[int, str], list[_Answer]] = defaultdict(list)
        for key, answer in self._answers():
            groups[key, answer.question].append(answer)
        yield from (answers for answers in groups.values() if len({one.text for one in answers}) > 1)

    def _answers(self) -> Iterator[tuple[int, _Answer]]:
        """Yield (digest of the question, answer) where a question is answered in more than one form."""
        paths = [path for table in self.samples for path in table.parts()]
        for part, asked in enumerate(self._answered_twice()):
            if not asked.num_rows:
                continue
            wanted = np.unique(asked['row'].to_numpy())
            held = dict(rows_of_part(paths[part], wanted, ['sample_id', 'source', 'turns']))
            for row, turn, key in zip(*(asked[name].to_pylist() for name in ('row', 'turn', 'asked')), strict=True):
                sample = held[row]
                question = dict(questions_of(sample['turns']))[turn]
                yield key, _Answer(part, row, turn, sample['sample_id'], sample['source'], question, sample['turns'][turn]['text'])

    def _answered_twice(self) -> list[pa.Table]:
        """Return, part by part, the ASKED rows whose question has more than one answer."""
        parts = [pq.ParquetFile(path).read(use_threads=False) for path in self.asked.parts()]
        whole = pa.concat_tables([ASKED.empty_table(), *parts])
        asked, answer = whole['asked'].to_numpy(), whole['answer'].to_numpy()
        if not len(asked):
            return parts
        order = np.lexsort((answer, asked))
        starts = np.flatnonzero(np.append(True, asked[order][1:] != asked[order][:-1]))
        lasts = np.append(starts[1:], len(order)) - 1
        several = answer[order[starts]] != answer[order[lasts]]  # ascending in each run
        keep = np.zeros(len(order), bool)
        keep[order] = np.repeat(several, lasts - starts + 1)
        cuts = np.cumsum([0, *(part.num_rows for part in parts)]).tolist()
        return [part.filter(pa.array(keep[a:b])) for part, a, b in zip(parts, cuts, cuts[1:], strict=False)]


def rows_of_part(path: Path, wanted: np.ndarray, columns: list[str]) -> Iterator[tuple[int, dict]]:
    """Yield (row, its columns) of some rows of a part, ascending; a row group at a time, since texts may be more than one Arrow array holds."""
    with pq.ParquetFile(path) as file:
        first = 0
        for group in range(file.num_row_groups):
            stop = first + file.metadata.row_group(group).num_rows
            mine = wanted[(wanted >= first) & (wanted < stop)]
            if len(mine):
                rows = file.read_row_group(group, columns=columns, use_threads=False).take(pa.array(mine - first))
                yield from zip(mine.tolist(), rows.to_pylist(), strict=True)
            first = stop


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN_CHARS else f'{text[:SHOWN_CHARS]}…'


def _told(answers: list[_Answer], found: list[Class], of: list[int]) -> str:
    """Return the JSON that shows a group side by side: its question, and the answers with their votes, of which sources, and a sample of each."""
    by = [Counter(answers[at].source for at, number in enumerate(of) if number == which) for which in range(len(found))]
    first = {number: answers[at].sample_id for at, number in reversed(list(enumerate(of)))}
    listed = [(number, one) for number, one in enumerate(found) if one.contradicted]
    listed.sort(key=lambda item: -item[1].votes)
    shown = [{'answer': _cut(one.answer), 'votes': one.votes, 'by': by[number], 'first': first[number]} for number, one in listed[:ANSWERS_SHOWN]]
    question = _cut(answers[0].question.rpartition('\0')[2])
    return json.dumps({'question': question, 'answers': shown, 'more': max(0, len(listed) - ANSWERS_SHOWN)}, ensure_ascii=False, sort_keys=True)
