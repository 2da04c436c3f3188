"""Puts itself in front of the module `os`: notes the calls that write, and does something else at one of them."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import Any

WRITING_CALLS = ("open", "write", "utime", "fsync", "close", "replace")


class FaultyOs:
    """Notes the names of the calls that write; at call number `fault_at`, from 0, `fault` is called; never for -1."""

    def __init__(self, fault_at: int, fault: Callable[[], None]) -> None:
        self.calls: list[str] = []
        self._fault_at = fault_at
        self._fault = fault

    def __getattr__(self, name: str) -> Any:
        real = getattr(os, name)
        if name not in WRITING_CALLS:
            return real

        def call(*args: Any, **keywords: Any) -> Any:
            self.calls.append(name)
            if len(self.calls) - 1 != self._fault_at:
                return real(*args, **keywords)
            if name == "close":  # which closes even if it reports that earlier writes were lost
                real(*args, **keywords)
            elif name == "write":  # the disk takes a part of it first
                real(args[0], args[1][: len(args[1]) // 2])
            self._fault()
            raise AssertionError("a fault does not return")

        return call


def disk_full() -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def disk_failing() -> None:
    raise OSError(errno.EIO, os.strerror(errno.EIO))
