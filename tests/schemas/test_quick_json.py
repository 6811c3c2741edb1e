"""What orjson reads for us has the value that `json` gives it, and what it may not read is left to `json`."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.quick_json import loads

NASTY = [
    b'-0', b'-0.0', b'1e400', b'-1e400', b'NaN', b'Infinity', b'[-Infinity]', b'12345678901234567890', b'9223372036854775808', b'[1, 18446744073709551616]',
    b'0.12345678901234567890123', b'9' * 5000, b'{"a": 1, "b": 2, "a": 3}', rb'"\ud83d"', rb'"\ud83d\ude00"', rb'"\u0000"', b'"\x00"', b'"\t"', b'"\x7f"',
    b'"\xff"', b'"\xed\xa0\x80"', b'\xef\xbb\xbf{"a": 1}', b'\xef\xbb\xbf\xef\xbb\xbf1', b'[1,]', b'{"a": 1,}', b'01', b'1.', b'.5', b'+1', b'', b' ', b'\x0c1',
    b'\xc2\xa01', b'{1: 2}', b"{'a': 1}", b'{"a": 1} {"a": 1}', b'// no\n1', rb'"\x41"', rb'"\/"', b'"\xe2\x80\xa8"', b'nul', b'"', b'[' * 99 + b']' * 99,
]  # fmt: skip
VALUES = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda of: st.lists(of) | st.dictionaries(st.text(), of), max_leaves=8)


def told(read, data):
    """Return the value in words that tell 1 from 1.0 and 0.0 from -0.0, or the sentence of the error."""
    try:
        return repr(read(data))
    except ValueError as e:
        return f'{type(e).__name__}: {e}'


def by_json(data):
    return json.loads(data.decode('utf-8-sig'))


@pytest.mark.parametrize('data', NASTY)
def test_nasty_json_has_the_value_or_the_error_of_json(data):
    assert told(loads, data) == told(by_json, data)


@given(VALUES, st.booleans(), st.binary(max_size=2), st.integers(0, 40))
@example(float('nan'), True, b'', 0)
@example('\ud83d', True, b'', 0)
def test_any_json_and_any_broken_json_is_read_as_json_reads_it(value, escaped, junk, at):
    data = json.dumps(value, ensure_ascii=escaped).encode('utf-8', 'surrogatepass')
    for text in (data, data[:at] + junk + data[at + len(junk):]):
        assert told(loads, text) == told(by_json, text)


def test_ordinary_json_is_read_by_orjson(monkeypatch):
    monkeypatch.setattr('schemas.quick_json.json.loads', None)
    assert loads(b'{"a": [1, 2.5, "caf\xc3\xa9"], "n": 123456789012345678}') == {'a': [1, 2.5, 'café'], 'n': 123456789012345678}
