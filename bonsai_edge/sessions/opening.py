"""Opens a session file, or says why it cannot be used: what lies on a disk is nobody's error."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Literal

from bonsai_edge.sessions.file_format import DamagedSessionError, NewerSessionError, SessionReader


@dataclass(frozen=True)
class Miss:
    """Why a session cannot be used.

    absent: there is none. damaged: it is not what was written. foreign: of another model, tokenizer or file format, and
    perhaps still of use there. stale: of this model, but the pages were computed or stored in another way. no_room: the
    cache is too small for it.
    """

    kind: Literal["absent", "damaged", "foreign", "stale", "no_room"]
    reason: str


def open_session(path: Path) -> SessionReader | Miss:
    """Open a file and read its header; the caller closes the reader."""
    try:
        # A pipe in place of the file must not make us wait.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return Miss("absent", "there is none of that name")
    except OSError as exc:
        return Miss("damaged", f"it cannot be opened: {exc.strerror}")
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        return Miss("damaged", "it is no regular file")
    file = FileIO(descriptor, "rb")
    try:
        return SessionReader(file, status.st_size)
    except DamagedSessionError as exc:
        file.close()
        return Miss("damaged", str(exc))
    except NewerSessionError as exc:
        file.close()
        return Miss("foreign", str(exc))
