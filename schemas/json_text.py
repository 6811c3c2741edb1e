"""JSON as every reader of it understands it: a number that could not be told (NaN, infinity) is null, every text is one that a file can hold."""

import json
import math

# Ends of lines to Python's splitlines and to JavaScript, which JSON leaves as they are.
_LINE_ENDS = str.maketrans({end: f'\\u{ord(end):04x}' for end in '\x85\u2028\u2029'})


def strict(value: object) -> object:
    """Return a value of plain parts with null for every number that JSON has no word for, and half a surrogate pair written out as `\\ud83d`."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode('utf-8', 'backslashreplace').decode()
    if isinstance(value, dict):
        return {strict(key): strict(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [strict(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def json_line(value: object) -> str:
    """Return one line of JSON, which is one line to every reader."""
    return json.dumps(value, ensure_ascii=False).translate(_LINE_ENDS) + '\n'


def print_json(value: object) -> None:
    """Print one JSON object for a program to read; escaped, so that any terminal and any pipe takes it."""
    print(json.dumps(strict(value), indent=1, allow_nan=False))
