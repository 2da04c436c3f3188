"""Remembers what was measured, in the user's cache, for as long as the machine stays the same."""

from __future__ import annotations

import hashlib
import logging
import os
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TypeVar

import msgspec
import platformdirs
import psutil

from bonsai_edge.device_description import DeviceDescription
from bonsai_edge.version import __version__

logger = logging.getLogger(__name__)


class Kept(msgspec.Struct, frozen=True):
    """Measured at a time, in ISO 8601 and UTC, on the machine that `identity` stands for; see `identity_of`."""

    identity: str
    measured_at: str


_Record = TypeVar("_Record", bound=Kept)


def now() -> str:
    """Return the time for `Kept.measured_at`."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def identity_of(description: DeviceDescription, *parts: object) -> str:
    """Return a digest of all that measurements depend on: hardware, limits, clocks and power mode, software, `parts`.

    What changes by itself, such as free memory, is left out.
    """
    memory = msgspec.structs.replace(description.memory, available_bytes=None)
    lasting = msgspec.structs.replace(description, memory=memory, batteries=(), problems=())
    return hashlib.sha256(msgspec.json.encode([lasting, usable_cpus(), *parts, __version__])).hexdigest()


def usable_cpus() -> list[int]:
    """Return the logical processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(psutil.cpu_count() or 1))


def recall(identity: str, kind: type[_Record], good_for: timedelta) -> _Record | None:
    """Return what was measured on the same machine within that time, None if nothing was or it cannot be read."""
    try:
        kept = msgspec.json.decode(_path(identity).read_bytes(), type=kind)
        age = datetime.now(timezone.utc) - datetime.fromisoformat(kept.measured_at)
    except (OSError, RuntimeError, ValueError, TypeError) as exc:  # TypeError: a date without its zone
        if not isinstance(exc, FileNotFoundError):
            logger.warning("Earlier measurements cannot be used: %s.", exc)
        return None
    return kept if kept.identity == identity and timedelta() <= age < good_for else None


def keep(record: Kept) -> None:
    """Remember what was measured; what prevents it is logged."""
    try:
        path = _path(record.identity)
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(f".{os.getpid()}")
        try:
            unfinished.write_bytes(msgspec.json.encode(record))
            unfinished.replace(path)
        finally:
            with suppress(OSError):
                unfinished.unlink(missing_ok=True)
    except (OSError, RuntimeError) as exc:  # RuntimeError: no home directory
        logger.warning("The measurements cannot be kept for later: %s.", exc)


def _path(identity: str) -> Path:
    return platformdirs.user_cache_path("bonsai-edge").expanduser() / "measurements" / f"{identity}.json"
