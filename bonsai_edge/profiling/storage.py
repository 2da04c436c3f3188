"""The speed at which a file comes from its storage: what a first load after switching on waits for."""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import time
from pathlib import Path

_CHUNK_BYTES = 4 << 20
_MOST_BYTES = 256 << 20
_MOST_S = 3.0
_F_NOCACHE = 48  # of fcntl on macOS; Python does not name it


def measure_read_speed(path: Path) -> float:
    """Read a file from its beginning, past the system's page cache, for at most three seconds; return bytes/s.

    Raises OSError, also where the file system cannot be read past the cache: what is in it would say nothing.
    """
    descriptor = _open_uncached(path)
    try:
        with mmap.mmap(-1, _CHUNK_BYTES) as memory:  # begins at a page, as reading past the cache demands
            return _read(descriptor, memory)
    finally:
        os.close(descriptor)


def _open_uncached(path: Path) -> int:
    if hasattr(os, "O_DIRECT"):
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECT)
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    fcntl.fcntl(descriptor, _F_NOCACHE, 1)
    return descriptor


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
