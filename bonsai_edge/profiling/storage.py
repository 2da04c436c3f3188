"""The speed at which a file comes from its storage: what a first load after switching on waits for."""

from __future__ import annotations

import errno
import mmap
import os
import time
from pathlib import Path

from bonsai_edge.formats.uncached_reading import open_uncached

_CHUNK_BYTES = 4 << 20
_MOST_BYTES = 256 << 20
_MOST_S = 3.0


def measure_read_speed(path: Path) -> float:
    """Read a file from its beginning, past the system's page cache, for at most three seconds; return bytes/s.

    Raises OSError, also where the file system cannot be read past the cache: what is in it would say nothing.
    """
    with open_uncached(path) as descriptor, mmap.mmap(-1, _CHUNK_BYTES) as memory:
        return _read(descriptor, memory)


def _read(descriptor: int, memory: mmap.mmap) -> float:
    num_bytes = 0
    began = time.perf_counter()
    while num_bytes < _MOST_BYTES and time.perf_counter() - began < _MOST_S:
        count = os.readv(descriptor, [memory])
        num_bytes += count
        if count < len(memory):
            break
    if num_bytes == 0:
        raise OSError(errno.ENODATA, "the file is empty")
    return num_bytes / (time.perf_counter() - began)
