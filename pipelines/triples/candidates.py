"""Candidates for each picked sample, from rules or from a model's replies; what yields none becomes a rejection."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, partial

from curation.answers.wording import said
from curation.negatives.pools import like_answers
from curation.negatives.propose import Negative, propose_negative
from curation.verdicts.lateness import differs_at
from curation.verdicts.prompts import without_images
from pipelines.chat.asker import Asker
from pipelines.chat.asking import generation_request, read_candidates
from pipelines.chat.remedies import told
from pipelines.engine.step import Place, Step
from pipelines.engine.tables import ShardWriter, Table
from pipelines.snapshot.mix_rows import MixRow, mix_rows
from pipelines.triples.control_tokens import count_control_tokens
from pipelines.triples.failures import count_calls
from pipelines.triples.failures import generator as name_of
from pipelines.triples.picks import read_group, read_pool
from schemas.recipe import Generator, Model
from schemas.records import CANDIDATES, Reason, Rejection, Unit, as_content, rows_table
from schemas.replies import ChatRequest, Failure

STEP = 'candidates'
SHOWN = ('sample_id', 'question', 'chosen', 'generator', 'image_ids', 'reply_key')


@dataclass(frozen=True, slots=True)
class Slot:
    """One place for a candidate: a picked sample, the prompt that fills it, and which attempt it is."""

    pick: dict
    row: MixRow
    number: int  # of the generator in the recipe
    attempt: int

    def id(self, generator: Generator) -> str:
        """Return the candidate id; a reply with several answers adds their place."""
        return f'{self.pick["sample_id"]}/{generator.name}-{self.number}.{self.attempt}'


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
    VERSION = 7

    picks: Table
    groups: tuple[int, ...]
    generate: tuple[Generator, ...]  # as `proposing` says
    models: dict[str, Model]  # what each is, as `identity` says
    give_up: bool  # whether calls that keep failing end as rejections
    mix: Place[tuple[str, ...]]
    asker: Place[Asker]

    def shards(self) -> tuple[int, ...]:
        return self.groups

    @cached_property
    def _pool(self) -> dict[str, list[list[str]]]:
        return read_pool(self.picks)

    def teardown(self) -> None:
        self.asker.close()

    def process(self, shard: int, writer: ShardWriter) -> None:
        rows = []
        seen: set[tuple[str, str]] = set()
        self.asker.served.clear()
        for pick in read_group(self.picks, shard):
            writer.count_kept(Unit.SAMPLE, pick['source'])
        slots = list(self._slots(shard))
        writer.counts.update(count_control_tokens({slot.row.sample_id: _said(slot.row) for slot in slots}.values(), self.models))
        for slot, found, key in self._filled(slots, writer):
            for candidate_id, answer in self._answers(slot, found):
                writer.count_in(Unit.CANDIDATE, slot.row.source)
                row = self._row(slot, candidate_id, key)
                same = (slot.row.sample_id, said(answer[0]))
                if not isinstance(answer[0], Reason) and same in seen:
                    answer = (Reason.DUPLICATE_CANDIDATE, f'proposed before: {answer[0][:300]}')
                if isinstance(answer[0], Reason):
                    content = as_content({name: row[name] for name in SHOWN})
                    reason, detail = answer
                    writer.reject(Rejection(Unit.CANDIDATE, candidate_id, slot.row.source, STEP, reason, detail, content))
                else:
                    seen.add(same)
                    rows.append({**row, 'rejected': answer[0], 'kind': answer[1], 'differs_at': differs_at(slot.row.answer, answer[0])})
        writer.counts.update(self.asker.served)
        writer.write('part', rows_table(rows, CANDIDATES))

    def _answers(self, slot: Slot, found: tuple) -> Iterator[tuple[str, tuple]]:
        """Yield (candidate id, (answer, kind) or (reason, detail)) for what filled a slot."""
        slot_id = slot.id(self.generate[slot.number])
        if isinstance(found[0], Reason):
            yield slot_id, found
            return
        for place, answer in enumerate(found):
            yield slot_id + (f'.{place}' if len(found) > 1 else ''), answer

    def _row(self, slot: Slot, candidate_id: str, key: str) -> dict:
        """Return everything of a CANDIDATES row but the answer itself."""
        return {
            'candidate_id': candidate_id, 'generator': self.generate[slot.number].name, 'question': slot.row.question,
            'chosen': slot.row.answer, 'reply_key': key, 'answers': slot.row.answers, 'image_ids': list(slot.row.image_ids),
            **{name: slot.pick[name] for name in ('sample_id', 'source', 'split', 'file', 'row', 'n_bytes')},
        }  # fmt: skip

    def _slots(self, group: int) -> Iterator[Slot]:
        picks = read_group(self.picks, group)
        by_file = defaultdict(list)
        for pick in picks:
            by_file[pick['file']].append(pick)
        generators = self.generate
        models = self.models
        sees = any(g.sees and models[g.model or ''].images for g in generators)
        for file_number, some in sorted(by_file.items()):
            rows = mix_rows(self.mix[file_number], [pick['row'] for pick in some], pixels=sees)
            for pick, row in zip(some, rows, strict=True):
                for number in map(int, pick['prompts']):
                    for attempt in range(generators[number].per_sample):
                        yield Slot(pick, row, number, attempt)

    def _filled(self, slots: list[Slot], writer: ShardWriter) -> Iterator[tuple[Slot, tuple, str]]:
        """Yield (slot, ((answer, kind), ...) or (reason, detail), reply key), in slot order; models are asked for all slots at once."""
        requests: dict[int, ChatRequest] = {}
        by_model: dict[str, dict[str, list[ChatRequest]]] = defaultdict(partial(defaultdict, list))
        for i, slot in enumerate(slots):
            generator = self.generate[slot.number]
            if generator.model is not None:
                requests[i] = self._request(slot, generator, self.models[generator.model])
                by_model[generator.model][slot.row.source].append(requests[i])
        outcomes = {}
        for model, by_source in sorted(by_model.items()):
            outcomes.update(self.asker.ask(model, by_source, give_up=self.give_up))
        for number in range(len(self.generate)):
            mine = (outcomes[request.key] for i, request in requests.items() if slots[i].number == number)
            count_calls(writer.counts, name_of(number), mine)
        for i, slot in enumerate(slots):
            if i not in requests:
                yield slot, self._by_rule(slot), ''
                continue
            outcome, key = outcomes[requests[i].key], requests[i].key
            if isinstance(outcome, Failure) and outcome.retryable:
                yield slot, (Reason.GIVEN_UP, told(outcome)), key
            else:
                yield slot, read_candidates(self.generate[slot.number], outcome), key

    def _request(self, slot: Slot, generator: Generator, model: Model) -> ChatRequest:
        return generation_request(
            generator, model, slot.row.turns, answer=slot.row.answer, images=slot.row.shown(model), attempt=slot.attempt
        )

    def _by_rule(self, slot: Slot) -> tuple:
        pool = like_answers(slot.row.question, self._pool[slot.row.source], slot.row.sample_id)
        salt = slot.row.sample_id if slot.attempt == 0 else f'{slot.row.sample_id}/{slot.attempt}'
        found = propose_negative(salt, slot.row.question, slot.row.answer, pool=pool)
        return ((found.text, found.kind),) if isinstance(found, Negative) else found
