"""SHA-256 of model files, and the note beside a file that says it was checked.

The note is `<file>.sha256` in the format of `sha256sum`, so `sha256sum -c` checks it too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

_CHUNK_BYTES = 1 << 20


def sha256_of(path: Path, on_progress: Callable[[int], object]) -> str:
    """Hash a file; `on_progress` is told the bytes of each chunk. Raises OSError."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
            on_progress(len(chunk))
    return digest.hexdigest()


def note_digest(path: Path, digest: str) -> None:
    """Write down that the file was found to have this digest. Raises OSError."""
    _note_path(path).write_text(f"{digest}  {path.name}\n")


def noted_digest(path: Path) -> str | None:
    """Return the digest that the file was found to have; None if it never was, or has been written since."""
    note = _note_path(path)
    if not note.is_file() or note.stat().st_mtime_ns < path.stat().st_mtime_ns:
        return None
    return note.read_text().partition(" ")[0]


def _note_path(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")
