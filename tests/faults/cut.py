"""`python -m tests.faults.cut TOP MEMORY AT VERB ...`: runs `phantom VERB ...` on the disk of tests.faults.disk and kills it (-9, with all its
processes) at its AT-th moment, or with +AT at the AT-th after it first stored replies; 0 never. What replies were promised to be kept stands in
MEMORY/promised.
"""

import json
import os
import signal
import sys
from pathlib import Path

from tests.faults.disk import Disk, Moments, watched


def main() -> None:
    """Run the verb until its moment has come."""
    top, memory, told = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    at, promised = int(told), memory / 'promised'
    sys.argv = ['phantom', *sys.argv[4:]]
    moments, asking = Moments(memory / 'moments'), Moments(memory / 'asking')

    def pass_or_die() -> None:
        passed = moments.next()
        if told.startswith('+'):
            passed = asking.next() if promised.exists() else 0
        if passed == at and at:
            os.killpg(os.getpgid(0), signal.SIGKILL)

    watched(Disk(top, memory), pass_or_die)
    keep_promises(promised)
    import phantom

    phantom.main()


def keep_promises(path: Path) -> None:
    """Note the fake server's name of every reply whose `put_many` returned."""
    from pipelines.replies.store import ReplyStore

    put_many = ReplyStore.put_many

    def noted(self, outcomes) -> None:
        outcomes = list(outcomes)
        put_many(self, outcomes)
        with open(path, 'a', encoding='utf-8') as file:
            file.writelines(json.loads(outcome.raw)['id'] + '\n' for outcome in outcomes)

    ReplyStore.put_many = noted


if __name__ == '__main__':
    main()
