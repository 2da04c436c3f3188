"""Notices that the engine hangs. No thread can be ended from outside: only a new process is rid of a hung one."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from bonsai_edge.rpc.request_control import RequestControl

DEFAULT_WATCHDOG_S = 30.0


@dataclass(frozen=True)
class EngineHung:
    """The engine had work and did not move for so long."""

    silent_s: float


class Watchdog:
    """Posts one EngineHung when the engine has been silent for `limit_s`; None leaves that to the service manager.

    Used by the control thread.
    """

    def __init__(self, requests: RequestControl, limit_s: float | None, post: Callable[[EngineHung], None]) -> None:
        self._requests = requests
        self._limit_s = limit_s
        self._post = post
        self._has_barked = False

    def tick(self) -> bool:
        """Look at the engine and return whether all is well."""
        if self._has_barked:
            return False
        silent_since = self._requests.snapshot().silent_since
        silent_s = 0.0 if silent_since is None else time.monotonic() - silent_since
        if self._limit_s is None:
            return silent_s <= DEFAULT_WATCHDOG_S
        if silent_s > self._limit_s:
            self._has_barked = True
            self._post(EngineHung(silent_s))
        return not self._has_barked
