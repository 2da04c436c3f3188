"""Counts what was written in the last 24 hours, because an SD card survives only so many writes.

The ledger is kept by hours, so it stays small. A clock that is not set yet, as after a cold start of a board without a
battery, neither forgets what was written nor begins a new day; one that was ahead delays no save by more than a day.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeAlias

import msgspec

from bonsai_edge.errors import WriteBudgetError
from bonsai_edge.sessions.atomic_write import write_atomically

logger = logging.getLogger(__name__)

LEDGER_NAME = ".written"

_HOUR_S = 3600
_HOURS_COUNTED = 24  # and the present one, which has only begun
_CLOCK_IS_SET_HOUR = 1_735_689_600 // _HOUR_S  # 2025-01-01: no correct clock has shown an earlier time to this program
_MOST_LEDGER_BYTES = 64 << 10

Hours: TypeAlias = dict[int, Annotated[int, msgspec.Meta(ge=0)]]


class WriteBudget:
    """At most so many bytes in any 24 hours; `clock` gives seconds since 1970."""

    def __init__(self, bytes_per_day: int, directory: Path, clock: Callable[[], float]) -> None:
        self.bytes_per_day = bytes_per_day
        self._path = directory / LEDGER_NAME
        self._clock = clock

    def spent(self) -> int:
        """Return the bytes that were written in the last 24 hours."""
        booked = self._read()
        return sum(_counted(booked, self._hour(booked)).values())

    def spend(self, num_bytes: int) -> None:
        """Book bytes that are about to be written, whatever will become of them; the caller keeps others out.

        Raises WriteBudgetError, and books nothing, if they are too many; OSError if the ledger cannot be written.
        """
        booked = self._read()
        now = self._hour(booked)
        counted = _counted(booked, now)
        spent = sum(counted.values())
        is_refused = spent + num_bytes > self.bytes_per_day
        if not is_refused:
            counted[now] = counted.get(now, 0) + num_bytes
        if not is_refused or any(hour > now for hour in booked):  # a future that is corrected now must not come back
            write_atomically(self._path, [msgspec.json.encode(counted)])
        if is_refused:
            raise WriteBudgetError(
                f"Saving would write {num_bytes} bytes; of the {self.bytes_per_day} that may be written in 24 hours "
                f"{spent} are used.",
                "Save less often, or raise the write budget.",
            )

    def _hour(self, booked: Hours) -> int:
        """Return the present hour; the last that was booked while the clock is not set."""
        now = int(self._clock()) // _HOUR_S
        return now if now >= _CLOCK_IS_SET_HOUR else max(booked, default=now)

    def _read(self) -> Hours:
        """Return what was booked; nothing if there is no ledger or it is damaged."""
        try:
            with self._path.open("rb") as file:
                return msgspec.json.decode(file.read(_MOST_LEDGER_BYTES), type=Hours)
        except FileNotFoundError:
            return {}
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as exc:
            logger.warning("The ledger of writes %s cannot be read and is begun anew: %s.", self._path, exc)
            return {}


def _counted(booked: Hours, now: int) -> Hours:
    """Return the hours that count at `now`; what a clock that was ahead has booked counts as of now."""
    counted: Hours = {}
    for hour, num_bytes in booked.items():
        if hour >= now - _HOURS_COUNTED:
            hour = min(hour, now)
            counted[hour] = counted.get(hour, 0) + num_bytes
    return counted
