import json

import pyarrow as pa
import pytest

from schemas.records import CONTENT_CHARS, as_content


@pytest.mark.parametrize(('value', 'content'), [
    ({'b': 1, 'a': 'é'}, {'a': 'é', 'b': 1}), ({'a': b'xyz'}, {'a': '3 bytes'}), ({'a': float('nan'), 'b': [float('inf'), 1.5]}, {'a': None, 'b': [None, 1.5]}),
    ({'a': 'half \ud83d'}, {'a': 'half \ud83d'}), ({1: 'x', 'a': (True, None)}, {'1': 'x', 'a': [True, None]}), ({'a': float('nan'), 'b': b'xy'}, {'a': None, 'b': '2 bytes'})])
def test_content_is_json_that_a_file_can_hold(value, content):
    text = as_content(value)
    pa.array([text]).validate(full=True)
    assert json.loads(text) == content
    assert 'NaN' not in text


def test_a_long_row_is_cut_and_still_json():
    text = as_content({'a': 'x' * 2 * CONTENT_CHARS})
    assert json.loads(text)['cut'].startswith('{"a": "xxx')
    assert len(text) < 1.1 * CONTENT_CHARS
