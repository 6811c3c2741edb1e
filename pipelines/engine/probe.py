"""Whether a worker on another machine sees the working folder: the driver lays a file there, and a worker looks for it before its first shard."""

import secrets
import socket
import time
from dataclasses import dataclass
from pathlib import Path

from schemas.errors import UserError
from schemas.publish import publish_bytes

NAME = '.probe-'
STALE_S = 30 * 86_400.0
PATIENCE_S = 5.0  # a network disk may show a new file late
_seen: set[str] = set()  # in this process


@dataclass(frozen=True, slots=True)
class Probe:
    """A file that nobody else has laid."""

    path: str

    @classmethod
    def laid(cls, work: Path) -> 'Probe':
        """Lay a probe in a working folder; one that a killed build left goes after a time."""
        for old in work.glob(f'{NAME}*'):
            if time.time() - old.stat().st_mtime > STALE_S:
                old.unlink(missing_ok=True)
        path = work.absolute() / f'{NAME}{secrets.token_hex(8)}'
        publish_bytes(path, b'')
        return cls(str(path))

    def look(self) -> None:
        """Return where the probe is seen; raises UserError elsewhere."""
        if self.path in _seen:
            return
        until = time.monotonic() + PATIENCE_S
        while not Path(self.path).exists():
            if time.monotonic() >= until:
                raise UserError(f'this worker on host {socket.gethostname()} does not see {Path(self.path).parent}: expected the working folder '
                                'under one path on all nodes; mount it there, or choose another --work on a disk that all share')
            time.sleep(0.2)
        _seen.add(self.path)

    def remove(self) -> None:
        """Take the probe away."""
        Path(self.path).unlink(missing_ok=True)
