"""Writes a file whole or not at all, whatever happens while it is written: a full disk, `kill -9`, a power cut."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

TEMPORARY_NAME = ".being-written"
"""The file next to the target that is written first; one writer at a time, so one that is found is litter."""


def write_atomically(path: Path, chunks: Iterable[bytes | memoryview], last_used_ns: int | None = None) -> None:
    """Replace `path` by the chunks once they are safely on disk, readable by this user only.

    The time of last change is set to `last_used_ns`. The caller keeps other writers out of the directory. Raises
    OSError, and whatever making the chunks raises; the earlier file is then as it was.
    """
    temporary = path.parent / TEMPORARY_NAME
    remove_litter(path.parent)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        try:
            for chunk in chunks:
                _write_all(descriptor, chunk)
            if last_used_ns is not None:
                os.utime(descriptor, ns=(last_used_ns, last_used_ns))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):  # what failed first is what matters, and the next save tries again
            remove_litter(path.parent)
        raise
    sync_directory(path.parent)


def remove_litter(directory: Path) -> None:
    """Remove what a process that was killed while it wrote has left."""
    (directory / TEMPORARY_NAME).unlink(missing_ok=True)


def sync_directory(directory: Path) -> None:
    """Make new and removed names last through a power cut."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as exc:
        if exc.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network and FUSE file systems cannot
            raise
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, chunk: bytes | memoryview) -> None:
    view = memoryview(chunk)
    while view:
        view = view[os.write(descriptor, view) :]
