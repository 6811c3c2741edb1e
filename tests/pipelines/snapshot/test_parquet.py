"""What the files of a snapshot say of themselves to `datasets`, which is not imported to write them."""

import json

import pytest

from pipelines.snapshot.parquet import with_features
from schemas.records import MIX_ROWS, TRIPLE_ROWS


@pytest.mark.parametrize('schema', [MIX_ROWS, TRIPLE_ROWS])
def test_the_features_of_rows_are_those_that_datasets_itself_writes(schema):
    from datasets import Features, Image, List

    features = Features.from_arrow_schema(schema)
    features['images'] = List(Image())
    found = with_features(schema)
    assert json.loads(found.metadata[b'huggingface']) == json.loads(features.arrow_schema.metadata[b'huggingface'])
    assert Features.from_arrow_schema(found) == features
    assert found.remove_metadata() == schema.remove_metadata()
