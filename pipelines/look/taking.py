"""Which of a source's samples a preview takes: those that the build would take first, by the same lots."""

import math
from collections import Counter
from dataclasses import dataclass

from curation.selection.select import share


@dataclass(frozen=True, slots=True)
class Taking:
    """Which samples of a source a preview takes: of each stratum so many, those that the build takes first."""

    seed: str
    source: str
    parts: dict[tuple, tuple[float, float]]
    need: dict[tuple, int]
    in_mix: float

    def stratum(self, place: float) -> tuple | None:
        """Return the stratum at a share of the source's lots."""
        return next((stratum for stratum, (low, high) in self.parts.items() if low <= place < high), None)

    def place(self, sample_id: str, *, known: bool) -> float:
        """Return where a sample stands among all lots of its source, 1 where no mix keeps it; of one without a number any place will do."""
        drawn = share(f'{self.seed}/pick/{sample_id}')
        if not known:
            return drawn * max((high for _, high in self.parts.values()), default=0.0)
        return drawn if self.in_mix >= 1 or share(f'{self.seed}/{sample_id}') < self.in_mix else 1.0

    def first(self, ids: list[str], *, known: bool, spare: float) -> list[int]:
        """Return the numbers of the ids to take: of each stratum those of the lowest lots, `spare` times as many as are needed."""
        places = sorted((self.place(sample_id, known=known), i) for i, sample_id in enumerate(ids))
        left = Counter({stratum: math.ceil(spare * n) for stratum, n in self.need.items()})
        found = []
        for place, i in places:
            stratum = self.stratum(place)
            if stratum is not None and left[stratum] > 0:
                left[stratum] -= 1
                found.append(i)
        return found
