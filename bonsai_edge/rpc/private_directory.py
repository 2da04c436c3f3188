"""Directories that no other user of this machine can look into or replace."""

from __future__ import annotations

import os
import stat
from pathlib import Path


def make_private_directory(directory: Path) -> None:
    """Make a directory that only this user may enter, unless something is there already. Raises OSError."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)


def is_private(directory: Path) -> bool:
    """Return whether this is a directory of this user's alone, in one where others cannot put theirs in its place.

    Raises OSError.
    """
    status, parent = directory.lstat(), directory.parent.stat()
    is_ours = stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not status.st_mode & 0o077
    # Whoever may rename entries of the parent could put a directory of their own there.
    is_parent_safe = parent.st_uid in (0, os.getuid()) and (not parent.st_mode & 0o022 or parent.st_mode & stat.S_ISVTX)
    return is_ours and bool(is_parent_safe)
