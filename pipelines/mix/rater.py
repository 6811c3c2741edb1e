"""Samples rated by models: what each is asked about each sample, a block at a time, and what its replies say."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from operator import attrgetter

from curation.rows.formats import IMAGE
from curation.verdicts.ratings import STATEMENT, Rating, read_choices, read_needs_picture, read_statements
from curation.verdicts.statements import statements
from pipelines.chat.asker import Asker
from pipelines.chat.blocks import Waits, in_blocks
from pipelines.chat.failures import count_calls
from pipelines.chat.rating_requests import Ask, needs_picture_requests, rating_request
from pipelines.snapshot.mix_rows import MixRow
from schemas.rating import CORRECT, NEEDS_PICTURE, words_of
from schemas.recipe import Model
from schemas.records import Turn
from schemas.replies import ChatRequest, Outcome, SentImage


@dataclass(frozen=True, slots=True)
class Inquiry:
    """What one model is asked about one sample for one question, and of which statements, where the answer is asked about by these."""

    ask: Ask
    by: str
    requests: tuple[ChatRequest, ...]
    said: tuple[str, ...] = ()

    def read(self, outcomes: Sequence[Outcome], answer: str) -> Rating:
        """Return the rating that the replies say."""
        if self.ask == NEEDS_PICTURE:
            return read_needs_picture(outcomes, answer)
        words = words_of(self.ask)
        return read_statements(outcomes, words, self.said) if self.said else read_choices(outcomes, words)


@dataclass(frozen=True, slots=True)
class Answered:
    """One sample, without the bytes of its pictures, and what is asked about it."""

    row: MixRow
    inquiries: list[Inquiry]

    @property
    def requests(self) -> list[ChatRequest]:
        """All requests of its inquiries."""
        return [request for inquiry in self.inquiries for request in inquiry.requests]


Told = tuple[Inquiry, Rating]


@dataclass(frozen=True, slots=True)
class Rater:
    """The models of a step, in order, and what they are asked."""

    asker: Asker
    models: dict[str, Model]
    asks: tuple[Ask, ...]
    claims: bool
    give_up: bool

    def rate(self, rows: Iterable[tuple[MixRow, Sequence[Ask]]], counts: Counter[str]) -> Iterator[list[Told]]:
        """Yield what is said of each sample, in order: of those of its questions that can be asked about it.

        `rows` are read as they are needed. Raises PendingWork, once all of them were asked about, where some calls keep failing.
        """
        waits = Waits()
        for block in in_blocks((self._answered(row, asks) for row, asks in rows), attrgetter('requests')):
            with waits.noted():
                yield from self._told(block, counts)
            del block  # before the pictures of the next one are read
        waits.refuse()

    def sees(self) -> bool:
        """Return whether a model is shown pictures."""
        return any(model.images for model in self.models.values())

    def _told(self, block: list[Answered], counts: Counter[str]) -> list[list[Told]]:
        outcomes: dict[str, Outcome] = {}
        for by in self.models:
            by_source: dict[str, list[ChatRequest]] = defaultdict(list)
            for answered in block:
                by_source[answered.row.source] += [r for inquiry in answered.inquiries if inquiry.by == by for r in inquiry.requests]
            found = self.asker.ask(by, by_source, give_up=self.give_up)
            count_calls(counts, rater(by), found.values())
            outcomes |= found
        return [[(inquiry, inquiry.read([outcomes[r.key] for r in inquiry.requests], answered.row.answer)) for inquiry in answered.inquiries]
                for answered in block]

    def _answered(self, row: MixRow, asks: Sequence[Ask]) -> Answered:
        found = [self._inquiry(row, ask, by, model) for ask in asks for by, model in self.models.items()]
        return Answered(replace(row, images=()), [inquiry for inquiry in found if inquiry is not None])

    def _inquiry(self, row: MixRow, ask: Ask, by: str, model: Model) -> Inquiry | None:
        """Return what a model is asked, None where the question is none to ask of this sample: whether pictures are needed that are not there."""
        images = row.shown(model)
        shown = partial(_until, row, images)
        if ask == NEEDS_PICTURE:
            return Inquiry(ask, by, needs_picture_requests(model, row.turns, row.answer, images)) if images else None
        if self.claims and ask == CORRECT and (said := _statements(row)):
            return Inquiry(ask, by, tuple(rating_request(STATEMENT, model, turns, text, shown(turns)) for turns, text in said),
                           tuple(text for _, text in said))
        return Inquiry(ask, by, tuple(rating_request(ask, model, turns, answer, shown(turns)) for turns, answer in exchanges(row)))


def rater(by: str) -> str:
    """Return how the calls of a model that rates are counted."""
    return f'rate ({by})'


def exchanges(row: MixRow) -> list[tuple[tuple[Turn, ...], str]]:
    """Return (the turns before it, the answer) of each answer of a conversation."""
    before = [(row.turns[:at], turn.text) for at, turn in enumerate(row.turns) if turn.role == 'assistant' and at]
    return [*before, (row.turns, row.answer)]


def _until(row: MixRow, images: Sequence[SentImage], turns: Sequence[Turn]) -> Sequence[SentImage]:
    """Return the pictures that the first turns of a conversation show: all, where its marks do not say which."""
    marks, before = (sum(turn.text.count(IMAGE) for turn in some) for some in (row.turns, turns))
    return images[:before] if marks == len(images) else images


def _statements(row: MixRow) -> list[tuple[tuple[Turn, ...], str]]:
    """Return the statements of all answers, each with the turns before it; [] where no answer makes more than one."""
    said = [(turns, statements(answer)) for turns, answer in exchanges(row)]
    if all(len(some) < 2 for _, some in said):
        return []
    return [(turns, text) for turns, some in said for text in some]
