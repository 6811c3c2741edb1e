"""Candidates for each picked sample, from rules or from a model's replies; what yields none becomes a rejection."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from operator import attrgetter, itemgetter

from curation.answers.wording import said
from curation.negatives.pools import Pool
from curation.negatives.propose import Negative, propose_negative
from curation.verdicts.lateness import differs_at
from curation.verdicts.prompts import without_images
from pipelines.chat.asker import Asker
from pipelines.chat.asking import generation_request, read_candidates
from pipelines.chat.blocks import Waits, in_blocks
from pipelines.chat.failures import count_calls
from pipelines.chat.failures import generator as name_of
from pipelines.chat.models import asking_at_once
from pipelines.chat.remedies import told
from pipelines.engine.step import Place, Step
from pipelines.engine.tables import ShardWriter, Table
from pipelines.snapshot.mix_rows import MixRow
from pipelines.triples.control_tokens import count_control_tokens
from pipelines.triples.picks import PickFile, read_pool
from pipelines.triples.rows_at import rows_at
from pipelines.triples.wrong_labels import WrongLabel, proposed, stored_wrong_labels
from schemas.models import WRONG_LABELS
from schemas.recipe import Generator, Model
from schemas.records import CANDIDATES, Reason, Rejection, Unit, as_content, rows_table
from schemas.replies import ChatRequest, Failure, Outcome

STEP = 'candidates'
SHOWN = ('sample_id', 'question', 'chosen', 'generator', 'image_ids', 'reply_key')


@dataclass(frozen=True, slots=True)
class Slot:
    """One place for a candidate: the prompt that fills it, which attempt it is, and what a model is asked."""

    number: int  # of the generator in the recipe
    attempt: int
    request: ChatRequest | None  # None where a rule fills it


@dataclass(frozen=True, slots=True)
class Sample:
    """A picked sample with its places for candidates; its pictures are in their requests only."""

    pick: dict
    row: MixRow
    slots: list[Slot]

    @property
    def requests(self) -> list[ChatRequest]:
        """Return what models are asked for it."""
        return [slot.request for slot in self.slots if slot.request]


def proposing(generator: Generator) -> Generator:
    """Return how a generator proposes, without which samples it takes (the picks say that), where its prompt lies and how many calls may fail."""
    return generator.placeless().model_copy(update={'sources': [], 'max_samples': None, 'max_failed': 1.0})


def _said(row: MixRow) -> tuple[str, str]:
    """Return a sample's source and all that it says; the marks of its pictures are ours."""
    return row.source, '\n'.join([*(without_images(turn.text) for turn in row.turns), row.answer])


@dataclass(frozen=True)
class ProposeCandidates(Step):
    """Writes `part` (CANDIDATES) for one row group of picks."""

    TABLE = 'candidates'
    VERSION = 8

    picks: Table
    groups: tuple[int, ...]
    generate: tuple[Generator, ...]  # as `proposing` says
    models: dict[str, Model]  # what each is, as `identity` says
    give_up: bool  # whether calls that keep failing end as rejections
    mix: Place[tuple[str, ...]]
    asker: Place[Asker]

    def shards(self) -> tuple[int, ...]:
        return self.groups

    def at_once(self) -> int | None:
        return asking_at_once(self.asker.models[generator.model] for generator in self.generate if generator.model)

    def most_calls(self, shards: Sequence[int]) -> int:
        each = [generator.per_sample if generator.model else 0 for generator in self.generate]
        picked = PickFile(self.picks)
        return sum(each[int(number)] for shard in shards for pick in picked.group(shard, ['prompts']) for number in pick['prompts'])

    @cached_property
    def _picked(self) -> PickFile:
        return PickFile(self.picks)

    @cached_property
    def _pool(self) -> dict[str, Pool]:
        return {source: Pool(exchanges) for source, exchanges in read_pool(self.picks).items()}

    @cached_property
    def _wrong_labels(self) -> dict[int, dict[str, WrongLabel]]:
        return stored_wrong_labels(self.picks)

    def teardown(self) -> None:
        self.asker.close()

    def process(self, shard: int, writer: ShardWriter) -> None:
        self.asker.begin(self.TABLE)
        rows: list[dict] = []
        waits = Waits()
        for block in in_blocks(self._samples(shard), attrgetter('requests')):
            with waits.noted():
                rows += self._proposed(block, writer)
            del block  # before the pictures of the next one are read
        waits.refuse()
        writer.counts.update(self.asker.served)
        writer.write('part', rows_table(rows, CANDIDATES))

    def _samples(self, shard: int) -> Iterator[Sample]:
        picks = sorted(self._picked.group(shard), key=itemgetter('file', 'row'))
        sees = any(g.sees and self.models[g.model or ''].images for g in self.generate)
        rows = rows_at(self.mix, map(itemgetter('file', 'row'), picks), pixels=sees)
        for pick, row in zip(picks, rows, strict=True):
            slots = [
                Slot(number, attempt, self._request(row, self.generate[number], attempt))
                for number in map(int, pick['prompts'])
                for attempt in range(self.generate[number].per_sample)
            ]
            yield Sample(pick, replace(row, images=()), slots)

    def _request(self, row: MixRow, generator: Generator, attempt: int) -> ChatRequest | None:
        if generator.model is None:
            return None
        model = self.models[generator.model]
        return generation_request(generator, model, row.turns, answer=row.answer, images=row.shown(model), attempt=attempt)

    def _proposed(self, block: list[Sample], writer: ShardWriter) -> list[dict]:
        """Return the rows of a block's candidates; what fills a place with none is rejected."""
        outcomes = self._asked(block, writer)
        for sample in block:
            writer.count_kept(Unit.SAMPLE, sample.pick['source'])
        writer.counts.update(count_control_tokens((_said(sample.row) for sample in block), self.models))
        return [row for sample in block for row in self._rows(sample, outcomes, writer)]

    def _asked(self, block: list[Sample], writer: ShardWriter) -> dict[str, Outcome]:
        """Return key -> outcome of a block's requests; each model is asked for all of them at once."""
        by_model: dict[str, dict[str, list[ChatRequest]]] = defaultdict(partial(defaultdict, list))
        by_number: dict[int, list[str]] = defaultdict(list)
        for sample in block:
            for slot in sample.slots:
                if slot.request:
                    by_model[self.generate[slot.number].model or ''][sample.row.source].append(slot.request)
                    by_number[slot.number].append(slot.request.key)
        outcomes: dict[str, Outcome] = {}
        for model, by_source in sorted(by_model.items()):
            outcomes.update(self.asker.ask(model, by_source, give_up=self.give_up))
        for number, keys in sorted(by_number.items()):
            count_calls(writer.counts, name_of(number), (outcomes[key] for key in keys))
        return outcomes

    def _rows(self, sample: Sample, outcomes: dict[str, Outcome], writer: ShardWriter) -> Iterator[dict]:
        """Yield the candidates of a sample, each once; reject the others."""
        seen: set[str] = set()
        for slot in sample.slots:
            found, key = self._filled(sample, slot, outcomes)
            for candidate_id, answer in self._answers(sample, slot, found):
                writer.count_in(Unit.CANDIDATE, sample.row.source)
                row = self._row(sample, slot, candidate_id, key)
                if len(answer) > 2:
                    row['chosen'] = answer[2]
                if not isinstance(answer[0], Reason) and (words := said(answer[0])) in seen:
                    answer = (Reason.DUPLICATE_CANDIDATE, f'proposed before: {answer[0][:300]}')
                if isinstance(answer[0], Reason):
                    content = as_content({name: row[name] for name in SHOWN})
                    reason, detail = answer
                    writer.reject(Rejection(Unit.CANDIDATE, candidate_id, sample.row.source, STEP, reason, detail, content))
                else:
                    seen.add(words)
                    yield {**row, 'rejected': answer[0], 'kind': answer[1], 'differs_at': differs_at(row['chosen'], answer[0])}

    def _filled(self, sample: Sample, slot: Slot, outcomes: dict[str, Outcome]) -> tuple[tuple, str]:
        """Return ((answer, kind), ...), with the right answer behind them where it is not the sample's, or (reason, detail), and the reply key."""
        if slot.request is None and self.generate[slot.number].prompt == WRONG_LABELS:
            return proposed(self._wrong_labels.get(slot.number, {}).get(sample.row.sample_id), sample.row.answer), ''
        if slot.request is None:
            return self._by_rule(sample.row, slot.attempt), ''
        outcome, key = outcomes[slot.request.key], slot.request.key
        if isinstance(outcome, Failure) and outcome.retryable:
            return (Reason.GIVEN_UP, told(outcome)), key
        return read_candidates(self.generate[slot.number], outcome), key

    def _by_rule(self, row: MixRow, attempt: int) -> tuple:
        salt = row.sample_id if attempt == 0 else f'{row.sample_id}/{attempt}'
        pool = self._pool[row.source].like(row.question, row.sample_id)
        found = propose_negative(salt, row.question, row.answer, pool=pool)
        return ((found.text, found.kind),) if isinstance(found, Negative) else found

    def _answers(self, sample: Sample, slot: Slot, found: tuple) -> Iterator[tuple[str, tuple]]:
        """Yield (candidate id, (answer, kind) or (reason, detail)) for what filled a slot; of several answers the id says the place."""
        slot_id = f'{sample.pick["sample_id"]}/{self.generate[slot.number].name}-{slot.number}.{slot.attempt}'
        if isinstance(found[0], Reason):
            yield slot_id, found
            return
        for place, answer in enumerate(found):
            yield slot_id + (f'.{place}' if len(found) > 1 else ''), answer

    def _row(self, sample: Sample, slot: Slot, candidate_id: str, key: str) -> dict:
        """Return everything of a CANDIDATES row but the answer itself."""
        row = sample.row
        return {
            'candidate_id': candidate_id, 'generator': self.generate[slot.number].name, 'question': row.question,
            'chosen': row.answer, 'reply_key': key, 'answers': row.answers, 'image_ids': list(row.image_ids),
            **{name: sample.pick[name] for name in ('sample_id', 'source', 'split', 'file', 'row', 'n_bytes')},
        }  # fmt: skip
