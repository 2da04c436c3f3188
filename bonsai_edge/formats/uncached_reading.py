"""Opens a file so that reads come from its storage, past the system's page cache, and leave the cache as it is."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_F_NOCACHE = 48  # of fcntl on macOS; Python does not name it


@contextmanager
def open_uncached(path: Path) -> Iterator[int]:
    """Lend a descriptor whose reads must be of whole pages, from and to where a page begins.

    Raises OSError, also where the file system cannot be read past the cache.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_DIRECT", 0))
    try:
        if not hasattr(os, "O_DIRECT"):
            fcntl.fcntl(descriptor, _F_NOCACHE, 1)
        yield descriptor
    finally:
        os.close(descriptor)
