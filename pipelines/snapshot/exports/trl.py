"""For TRL: Parquet with exactly the columns its trainers read (DPO: images, prompt, chosen, rejected; SFT: images, messages) and the row's id."""

from itertools import count

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.snapshot.exports.parts import ID_COLUMN, Export
from pipelines.snapshot.parquet import parquet_options, with_features
from pipelines.snapshot.rows import BATCH_ROWS, parquet, refuse_unsound

COLUMNS = {'triples': ['images', 'prompt', 'chosen', 'rejected'], 'mix': ['images', 'messages']}


def write(job: Export) -> str:
    """Write the shards; return how to load them."""
    for shard in job.snapshot.manifest['shards']:
        (job.folder / shard['file']).parent.mkdir(parents=True, exist_ok=True)
        _write_shard(job, shard)
    trainer = 'DPOTrainer' if job.snapshot.kind == 'triples' else 'SFTTrainer'
    return f"```python\nfrom datasets import load_dataset\nrows = load_dataset('path/to/this/folder/data')  # for trl.{trainer}\n```"


def _write_shard(job: Export, shard: dict) -> None:
    columns = [*COLUMNS[job.snapshot.kind], ID_COLUMN[job.snapshot.kind]]
    numbers = count()
    with parquet(job.snapshot, shard) as file:
        plain = pa.schema([file.schema_arrow.field(name) for name in columns])
        schema = with_features(plain)
        with pq.ParquetWriter(job.folder / shard['file'], schema, **parquet_options(schema)) as writer:
            for group in range(file.num_row_groups):
                whole = file.read_row_group(group)
                for batch in whole.to_batches(max_chunksize=BATCH_ROWS):
                    for row in batch.to_pylist():
                        refuse_unsound(job.snapshot, shard, next(numbers), row)
                table = whole.select(columns).replace_schema_metadata(None)
                writer.write_table(table.cast(schema), row_group_size=max(1, table.num_rows))
                job.counts['rows'] += table.num_rows
                job.counts[f'rows/{shard["split"]}'] += table.num_rows
