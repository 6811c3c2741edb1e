"""A line of JSON is one line to every reader."""

import io
import json

import pytest

from schemas.json_text import json_line


@pytest.mark.parametrize('end', ['\x85', '\u2028', '\u2029', '\n', '\r', '\x0b', '\x0c', '\x1c', '\x1d', '\x1e'])
def test_a_text_with_an_end_of_line_is_one_line_and_comes_back(end):
    """Python's splitlines knows ten of them, text files by universal newlines three."""
    line = json_line({'text': f'one{end}two'})
    assert line.splitlines() == [line[:-1]]
    assert list(io.StringIO(line, newline=None)) == [line]
    assert json.loads(line) == {'text': f'one{end}two'}
