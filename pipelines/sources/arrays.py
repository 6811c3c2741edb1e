"""Arrays kept in a file between builds: written whole or not at all, and none where the file is cut or holds something else."""

import os
from pathlib import Path

import numpy as np


def keep(path: Path, array: np.ndarray) -> None:
    """Write an array, whole or not at all; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f'.{path.name}.{os.getpid()}.tmp')
    with open(temporary, 'wb') as handle:
        np.save(handle, array)
    os.replace(temporary, path)


def kept(path: Path, like: np.ndarray) -> np.ndarray | None:
    """Return the mapped array that was kept, of the type and the columns of `like`; None where there is none that can be read."""
    try:
        found = np.load(path, mmap_mode='r')
    except Exception:  # of a damaged file numpy raises what its parts raise: EOFError, ValueError, TokenError, BadZipFile, MemoryError, ...
        return None
    same = isinstance(found, np.ndarray) and (found.dtype, found.shape[1:]) == (like.dtype, like.shape[1:]) and found.ndim == like.ndim
    return found if same else None
