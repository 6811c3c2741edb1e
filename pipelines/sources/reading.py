"""What of a source's rows its format looks at, so that the rest need not be converted."""

from curation.rows.fields import fields_read, record_fields
from pipelines.sources.json_records import Reading
from schemas.recipe import Source


def reading_of(source: Source) -> Reading:
    """Return what is read of a source's files."""
    fields = record_fields(source)
    return Reading(fields_read(source), fields | {name.partition('.')[0] for name in fields}, tuple(source.splits))
