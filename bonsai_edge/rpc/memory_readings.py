"""How much memory the server has and the system could give, read at most a few times a second."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

import psutil

_PERIOD_S = 0.2  # reading costs more than everything else in a PONG


class MemoryReadings:
    """The latest figures in bytes, for any thread; those before, while the system has no descriptor left to read."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._process = psutil.Process()
        self._read()

    @property
    def rss_bytes(self) -> int:
        """Resident memory of this process."""
        self._refresh()
        return self._rss_bytes

    @property
    def available_bytes(self) -> int:
        """What the system could still give to processes."""
        self._refresh()
        return self._available_bytes

    def _refresh(self) -> None:
        if self._now() >= self._read_at + _PERIOD_S:
            with contextlib.suppress(OSError):
                self._read()

    def _read(self) -> None:
        self._read_at = self._now()
        self._rss_bytes: int = self._process.memory_info().rss
        self._available_bytes: int = psutil.virtual_memory().available
