"""Notices what disturbs a measurement: other programs on the same cores, memory that is swapped or read again."""

from __future__ import annotations

import math
import os
import resource
import time
from types import TracebackType

import msgspec
import psutil


class Disturbance(msgspec.Struct, frozen=True):
    """What happened meanwhile, beside the measurement.

    `other_cores` is how many of this process's cores others kept busy on average, a hypervisor included; None where
    the system does not tell. `major_faults` are pages that had to be read from storage again.
    """

    seconds: float
    other_cores: float | None
    swapped_bytes: int
    major_faults: int


class Watch:
    """A context manager; its `disturbance` is known at the end."""

    disturbance: Disturbance

    def __enter__(self) -> Watch:
        self._process = psutil.Process()
        self._began = self._counters()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        seconds, busy_s, own_s, swapped, faults = (
            after - before for after, before in zip(self._counters(), self._began, strict=True)
        )
        other_cores = None if math.isnan(busy_s) else max(0.0, (busy_s - own_s) / seconds)
        self.disturbance = Disturbance(seconds, other_cores, int(swapped), int(faults))

    def _counters(self) -> tuple[float, ...]:
        """Return seconds: of the wall, of work on the usable cores, of work of our own; and bytes, and faults."""
        own = self._process.cpu_times()
        swap = psutil.swap_memory()
        return (
            time.perf_counter(),
            _busy_s(),
            own.user + own.system + own.children_user + own.children_system,
            swap.sin + swap.sout,
            resource.getrusage(resource.RUSAGE_SELF).ru_majflt,
        )


def _busy_s() -> float:
    """Return the seconds that this process's cores were busy; NaN where the system does not tell, as Android."""
    if not hasattr(os, "sched_getaffinity"):
        return math.nan
    try:
        every = psutil.cpu_times(percpu=True)
    except (OSError, psutil.Error):
        return math.nan
    usable = os.sched_getaffinity(0)
    # Linux counts the time of guests in that of users as well.
    return sum(
        sum(times)
        - times.idle
        - getattr(times, "iowait", 0)
        - getattr(times, "guest", 0)
        - getattr(times, "guest_nice", 0)
        for cpu, times in enumerate(every)
        if cpu in usable
    )
