"""Planted cases of each source, rated like samples: how far the ratings of a build can be trusted there."""

from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.parquet as pq

from curation.calibration.rating_plants import PLANTS, Own, Plant, plants_of
from pipelines.engine.step import Step
from pipelines.engine.tables import ShardWriter
from pipelines.mix.rater import Told
from pipelines.mix.rating_step import RatingStep
from pipelines.mix.ratings import rating_row
from pipelines.snapshot.mix_rows import MixRow
from schemas.rating import name_of
from schemas.records import STRINGS

CASES = pa.schema([
    ('case_id', pa.string()), ('sample_id', pa.string()), ('source', pa.string()), ('ask', pa.string()), ('by', pa.string()), ('plant', pa.string()),
    ('good', pa.bool_()), ('question', pa.string()), ('answer', pa.string()), ('pictures_of', pa.string()), ('score', pa.float64()),
    ('scores', pa.string()), ('reason', pa.string()), ('detail', pa.string()), ('reply_keys', STRINGS),
])  # fmt: skip


@dataclass(frozen=True)
class RatePlanted(RatingStep, Step):
    """Writes `part` (CASES) of one source: of its samples with the lowest lots, whose own answers are rated, and the same made wrong."""

    TABLE = 'rating_cases'
    VERSION = 1

    sources: tuple[str, ...]
    most: int  # cases of a source and a question

    def shards(self) -> tuple[str, ...]:
        return self.sources

    def process(self, shard: str, writer: ShardWriter) -> None:
        rater = self._rater()
        picks = pq.read_table(self.picks.parts()[0], filters=[('source', '=', shard)]).sort_by([('lot', 'ascending'), ('sample_id', 'ascending')])
        places = {pick['sample_id']: (pick['part'], pick['row']) for pick in picks.slice(0, self.most).to_pylist()}
        texts = {row.sample_id: row for row in self._samples.at(sorted(places.values()), pixels=False)}
        owns = [Own(sample_id, texts[sample_id].question, texts[sample_id].answer, texts[sample_id].image_ids) for sample_id in places]
        cases = plants_of(owns, [name_of(ask) for ask in self.asks if name_of(ask) in PLANTS], most=self.most)
        asked = ((self._row(case, texts, places, pixels=rater.sees()), [ask for ask in self.asks if name_of(ask) == case.ask]) for case in cases)
        told = rater.rate(asked, writer.counts)
        found = [self._told(case, texts[case.sample_id], one) for case, some in zip(cases, told, strict=True) for one in some]
        writer.counts.update(self.asker.served)
        writer.write('part', pa.Table.from_pylist(found, CASES))

    def _row(self, case: Plant, texts: dict[str, MixRow], places: dict[str, tuple[int, int]], *, pixels: bool) -> MixRow:
        """Return the sample of a case with the answer and the pictures that are shown; of a conversation the last answer alone is asked about."""
        own = texts[case.sample_id]
        shown = next(iter(self._samples.at([places[case.pictures_of]], pixels=True))) if pixels and own.image_ids else texts[case.pictures_of]
        return replace(own, answer=case.answer, image_ids=shown.image_ids, images=shown.images)

    def _told(self, case: Plant, row: MixRow, one: Told) -> dict:
        named = {'case_id': case.case_id, 'sample_id': case.sample_id, 'source': row.source, 'plant': case.plant, 'good': case.good}
        return {**named, 'question': row.question, 'answer': case.answer, 'pictures_of': case.pictures_of, **rating_row(*one)}
