"""The garbage collector looks rarely, and is not switched off."""

import gc

from schemas.garbage import AFTER, collect_rarely


def test_the_collector_looks_rarely():
    before = gc.get_threshold()
    try:
        collect_rarely()
        assert gc.get_threshold() == (AFTER, *before[1:])
        assert gc.isenabled()
    finally:
        gc.set_threshold(*before)
