"""JSON as every reader of it understands it: a number that could not be told (NaN, infinity) is null, every text is one that a file can hold."""

import json
import math


def strict(value: object) -> object:
    """Return a value of plain parts with null for every number that JSON has no word for, and half a surrogate pair written out as `\\ud83d`."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode('utf-8', 'backslashreplace').decode()
    if isinstance(value, dict):
        return {strict(key): strict(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [strict(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def print_json(value: object) -> None:
    """Print one JSON object for a program to read; escaped, so that any terminal and any pipe takes it."""
    print(json.dumps(strict(value), indent=1, allow_nan=False))
