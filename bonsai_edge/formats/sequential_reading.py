"""Reads a large file from its beginning to its end, as fast as its storage gives it, and says how far it is.

Page faults ask for a file in small pieces, which slow storage answers at a fraction of its speed.
"""

from __future__ import annotations

import errno
import mmap
import os
import time
from contextlib import suppress
from io import FileIO
from pathlib import Path

from bonsai_edge.progress import progress

_CHUNK_BYTES = 8 << 20
_SAMPLE_BYTES = 1 << 20  # between two places that are looked up in the page cache
_TELL_EVERY_S = 1.0
_MB = 1e6


def read_ahead(path: Path) -> None:
    """Read a file into the system's page cache, if it is not there already, so that mapped pages are found there.

    Raises OSError.
    """
    with FileIO(path) as file:
        num_bytes = os.fstat(file.fileno()).st_size
        if not _is_cached(file, num_bytes):
            _read(file, num_bytes, None)


def read_into_memory(file: FileIO) -> mmap.mmap:
    """Return a copy of a file that is not empty in memory of this process.

    Raises OSError, also if the file turns out to be shorter than the system says.
    """
    num_bytes = os.fstat(file.fileno()).st_size
    memory = mmap.mmap(-1, num_bytes)
    use_huge_pages(memory)
    file.seek(0)
    _read(file, num_bytes, memory)
    return memory


def use_huge_pages(memory: mmap.mmap) -> None:
    """Ask for fewer address translations in every pass over the weights."""
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with suppress(OSError):  # a kernel without huge pages refuses
            memory.madvise(mmap.MADV_HUGEPAGE)


def _read(file: FileIO, num_bytes: int, destination: mmap.mmap | None) -> None:
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_SEQUENTIAL)  # Linux then reads twice as far ahead
    name = os.path.basename(os.fsdecode(file.name))
    telling = _Telling(name, num_bytes)
    with memoryview(bytearray(_CHUNK_BYTES) if destination is None else destination) as memory:
        position = 0
        while position < num_bytes:
            start = 0 if destination is None else position
            count = file.readinto(memory[start : start + min(_CHUNK_BYTES, num_bytes - position)])
            if not count:
                raise OSError(errno.EIO, f"{name} ended after {position} of {num_bytes} bytes")
            position += count
            telling.tell(position)


class _Telling:
    """Tells how far reading is, once a second from its first second on."""

    def __init__(self, name: str, num_bytes: int) -> None:
        self._name = name
        self._num_bytes = num_bytes
        self._started = self._told = time.monotonic()

    def tell(self, position: int) -> None:
        now = time.monotonic()
        if now < self._told + _TELL_EVERY_S:
            return
        self._told = now
        bytes_per_s = position / (now - self._started)
        progress.info(
            "Reading %s: %.0f of %.0f MB at %.0f MB/s, %.0f s left.",
            self._name,
            position / _MB,
            self._num_bytes / _MB,
            bytes_per_s / _MB,
            (self._num_bytes - position) / bytes_per_s,
            extra={"done_bytes": position, "total_bytes": self._num_bytes},
        )


def _is_cached(file: FileIO, num_bytes: int) -> bool:
    """Return whether samples of the file can be read without waiting; False where the system cannot tell."""
    if not hasattr(os, "RWF_NOWAIT"):
        return False
    byte = bytearray(1)
    try:
        for position in range(0, num_bytes, _SAMPLE_BYTES):
            os.preadv(file.fileno(), [byte], position, os.RWF_NOWAIT)
    except OSError:  # not cached; or a file system that cannot tell
        return False
    return True
