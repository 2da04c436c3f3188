"""One writer in a directory at a time, over all threads and processes."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bonsai_edge.errors import SessionStorageError

_LOCK_NAME = ".lock"
_LONGEST_WAIT_S = 60.0
_POLL_S = 0.05


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold the directory's lock, which the system takes back from a process that is killed.

    Raises SessionStorageError if another holds it for a minute, and OSError.
    """
    path = directory / _LOCK_NAME
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _acquire(descriptor, path)
        yield
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, path: Path) -> None:
    deadline = time.monotonic() + _LONGEST_WAIT_S
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            if time.monotonic() > deadline:
                raise SessionStorageError(
                    f"Another process has held {path} for {_LONGEST_WAIT_S:.0f} s.",
                    "Save again later, or end that process.",
                ) from exc
        time.sleep(_POLL_S)
