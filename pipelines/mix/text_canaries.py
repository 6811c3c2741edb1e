"""Questions planted as canaries: of the build's own samples of text alone and, for each script, of all samples and of the benchmarks themselves."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import pyarrow.parquet as pq

from curation.selection.select import lot
from curation.texts.leaks import LEAST_WORDS, n_words
from curation.texts.text_edits import BY_SCRIPT, edit_text, main_script
from curation.texts.textmatch import units
from pipelines.engine.tables import Table
from pipelines.mix.benchmark_texts import BenchmarkTexts
from pipelines.mix.questions import without_marks

_LETTER_OR_DIGIT = re.compile('[a-zA-Z0-9]')
ROWS_READ = 500  # of each of ...
PARTS_READ = 8  # parts of the samples, picked by lot, and at least one of each source: questions are drawn from these


@dataclass(frozen=True, slots=True, order=True)
class Drawn:
    """A question that was drawn, by its lot, and its answer."""

    lot: int
    of: str  # the sample, or bench/item
    question: str
    answer: str

    def edited(self, kind: str) -> list[str]:
        """Return question and answer as a source would have made them of the benchmark's."""
        return [edit_text(self.question, kind, self.lot), self.answer]


def draw_questions(kind: str, samples: tuple[Table, ...], benches: tuple[Table, ...], seed: str, most: int) -> Iterator[tuple[str, Drawn]]:
    """Yield (name of the kind, question): `most` of them, or `most` long ones of each script for the kinds that go by script."""
    if kind not in BY_SCRIPT:
        yield from ((kind, drawn) for drawn in sorted(_of_samples(samples, seed, of_text_alone=True))[:most])
        return
    by_script = defaultdict(list)
    for drawn in (*_of_samples(samples, seed, of_text_alone=False), *_of_benches(benches, seed)):
        if n_words(units(drawn.question)) >= LEAST_WORDS:
            by_script[main_script(drawn.question)].append(drawn)
    for name, of_script in sorted(by_script.items()):
        yield from ((f'{kind} {name}', drawn) for drawn in sorted(of_script)[:most] if name)


def _of_samples(samples: tuple[Table, ...], seed: str, *, of_text_alone: bool) -> Iterator[Drawn]:
    for path in _parts(samples, seed):
        for sample in islice(_samples(path), ROWS_READ):
            texts = [without_marks(turn['text']) for turn in sample['turns']]
            question, answer = ' '.join(texts[:-1]), texts[-1]
            if not (of_text_alone and sample['images']) and _has_units(question) and _has_units(answer):
                yield Drawn(lot(f'{seed}/canary/{sample["sample_id"]}'), sample['sample_id'], question, answer)


def _samples(path: Path) -> Iterator[dict]:
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(ROWS_READ, columns=['sample_id', 'turns', 'images'], use_threads=False):
            yield from batch.to_pylist()


def _has_units(text: str) -> bool:
    plain = text.isascii() and '&' not in text and '<' not in text  # nearly every text: nothing in it is read as something else
    return _LETTER_OR_DIGIT.search(text) is not None if plain else bool(units(text))


def _of_benches(benches: tuple[Table, ...], seed: str) -> Iterator[Drawn]:
    for table in benches:
        for path in table.parts():
            for item in pq.read_table(path).to_pylist():
                of = f'{item["bench"]}/{item["item_id"]}'
                yield Drawn(lot(f'{seed}/canary/{of}'), of, without_marks(item['question']), item['answers'][0])


def _parts(samples: tuple[Table, ...], seed: str) -> Iterable[Path]:
    """Return parts of all sources by lot: the first of each source before the second of any."""
    ranked = []
    for table in samples:
        lots = sorted((lot(f'{seed}/canary/{table.label}/{path.name}'), path) for path in table.parts())
        ranked += [(rank, number, path) for rank, (number, path) in enumerate(lots)]
    return [path for _, _, path in sorted(ranked)][: max(PARTS_READ, len(samples))]


def seen_again(planted: list[tuple[str, list[str]]], lookup: BenchmarkTexts) -> set[str]:
    """Return those (id, [question, answer]) that the benchmarks of a look-up contaminate, looked up as any sample of text alone is."""
    found = lookup.by_texts([texts for _, texts in planted])
    return {of for (of, _), hit in zip(planted, found, strict=True) if hit is not None}
