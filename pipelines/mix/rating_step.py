"""What the steps have in common that ask models about samples of a mix: which samples, what is asked, of whom, and how they are reached."""

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from pipelines.chat.asker import Asker
from pipelines.chat.models import asking_at_once
from pipelines.chat.rating_requests import Ask
from pipelines.engine.step import Place
from pipelines.engine.tables import Table
from pipelines.mix.rated_picks import Samples, samples_of
from pipelines.mix.rater import Rater
from pipelines.sources.images import ImageStore
from schemas.recipe import Model


@dataclass(frozen=True)
class RatingStep:
    """Fields and manners of a step, which says itself what its shards are."""

    TABLE: ClassVar[str]

    picks: Table
    samples: tuple[Table, ...]
    features: Table
    asks: tuple[Ask, ...]  # placeless
    claims: bool
    models: dict[str, Model]  # what each is, as `identity` says
    give_up: bool  # whether calls that keep failing end as samples without a rating
    store: Place[ImageStore]
    asker: Place[Asker]

    def at_once(self) -> int | None:
        """Return how many processes may ask at once, see Step."""
        return asking_at_once(self.asker.models[name] for name in self.models)

    def teardown(self) -> None:
        """Close what the models are asked by."""
        self.asker.close()

    @cached_property
    def _samples(self) -> Samples:
        return samples_of(self.samples, self.features, self.store)

    def _rater(self) -> Rater:
        """Return who is asked; what answers is counted from here on."""
        self.asker.begin(self.TABLE)
        return Rater(self.asker, self.models, self.asks, self.claims, self.give_up)
