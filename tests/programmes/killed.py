"""`python -m tests.programmes.killed PLACE VERB ...`: runs `phantom VERB ...` and kills it (-9) just before a file appears whose path ends in PLACE, a pattern.

Every shard, table, and snapshot of a build appears by a rename, so this names any point of a build exactly.
"""

import os
import signal
import sys
from fnmatch import fnmatch

place, sys.argv = sys.argv[1], ['phantom', *sys.argv[2:]]


def _deadly(rename):
    def renamed(source, target, **options):
        if fnmatch(str(target), f'*{place}'):
            os.kill(os.getpid(), signal.SIGKILL)
        return rename(source, target, **options)

    return renamed


os.replace, os.rename = _deadly(os.replace), _deadly(os.rename)

if __name__ == '__main__':
    import phantom

    phantom.main()
