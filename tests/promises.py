"""What the project promises for bad days, said by the tests that show it: docs/reliability.md is made of these marks, not written by hand."""

import pytest


def promise(section: str, sentence: str, **counts: int) -> pytest.MarkDecorator:
    """Return the mark of a test that shows a promise: `section` of the table, the promise in one sentence, and how often it was tried.

    `counts` by what was tried, such as kills=20, cuts=5, mutated_parquet_files=40; take them from the constants that the test itself uses.
    """
    return pytest.mark.promise(section, sentence, **counts)
