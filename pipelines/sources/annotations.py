"""The sha256 of annotation files: of each file once, until it is touched."""

import hashlib
import os
import time
from pathlib import Path

from pipelines.sources.archives import stamp_of
from pipelines.sources.digests import Digests
from schemas.disk import readable
from schemas.recipe import Recipe
from schemas.snapshot import file_sha256

SETTLED_S = 5.0  # after a file was last touched: clocks of file systems tick in up to 2 s, and a second write within one tick changes no time


def annotation_digests(recipe: Recipe, root: Path, work: Path | None = None) -> dict[str, dict[str, str]]:
    """Return the sha256 of every annotation file of each source of a resolved recipe.

    In `work` it is remembered by size, times and inode, of files that nobody was writing when they were read. What writes into a file in place
    sets its time of change (ctime), whatever is done about the time of modification.
    """
    known = Digests(work / 'stamps' / 'annotations.npy' if work else None)
    found = {name: {file: _digest(root / file, known) for file in source.annotations} for name, source in recipe.sources.items()}
    known.keep()
    return found


def _digest(path: Path, known: Digests) -> str:
    with readable(path):
        about = path.stat()
        if time.time() - max(about.st_mtime, about.st_ctime) < SETTLED_S:
            return file_sha256(path)
        name = hashlib.sha256(os.fsencode(os.path.realpath(path))).digest()
        return known.of(int.from_bytes(name[:8], 'big', signed=True), stamp_of(about), lambda: bytes.fromhex(file_sha256(path))).hex()
