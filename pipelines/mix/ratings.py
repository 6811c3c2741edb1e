"""The ratings that models give the samples of a mix. Thresholds come later."""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from curation.verdicts.ratings import Rating
from pipelines.engine.step import Step
from pipelines.engine.tables import ShardWriter
from pipelines.mix.rated import RATED
from pipelines.mix.rated_picks import n_groups
from pipelines.mix.rater import Inquiry
from pipelines.mix.rating_step import RatingStep
from schemas.rating import name_of


@dataclass(frozen=True)
class RateSamples(RatingStep, Step):
    """Writes `part` (RATED) of one row group of picks: a row for each question and model that can be asked about a sample."""

    TABLE = 'ratings'
    VERSION = 1

    def shards(self) -> range:
        return range(n_groups(self.picks))

    def process(self, shard: int, writer: ShardWriter) -> None:
        rater = self._rater()
        picked = pq.ParquetFile(self.picks.parts()[0]).read_row_group(shard, use_threads=False).to_pylist()
        rows = self._samples.at([(pick['part'], pick['row']) for pick in picked], pixels=rater.sees())
        told = rater.rate(((row, self.asks) for row in rows), writer.counts)
        found = [{**about(pick), **rating_row(*one)} for pick, some in zip(picked, told, strict=True) for one in some]
        writer.counts.update(self.asker.served)
        writer.write('part', pa.Table.from_pylist(found, RATED))


def about(pick: dict) -> dict:
    """Return where a picked sample stands, and its names."""
    return {name: pick[name] for name in ('part', 'row', 'sample_id', 'source')}


def rating_row(inquiry: Inquiry, rating: Rating) -> dict:
    """Return what was asked of whom, and what came of it."""
    return {
        'ask': name_of(inquiry.ask), 'by': inquiry.by, 'score': rating.score, 'scores': rating.scores, 'reason': str(rating.reason or ''),
        'detail': rating.detail, 'reply_keys': list(dict.fromkeys(request.key for request in inquiry.requests)),
    }  # fmt: skip


def scored(rows: Sequence[dict]) -> dict[tuple[str, str], float]:
    """Return, for each sample id and question, the highest of its ratings."""
    found: dict[tuple[str, str], float] = {}
    for row in rows:
        if row['score'] is not None:
            key = row['sample_id'], row['ask']
            found[key] = max(found.get(key, row['score']), row['score'])
    return found
