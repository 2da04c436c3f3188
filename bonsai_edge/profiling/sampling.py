"""Reads sensors in a thread of its own while something else runs, and knows what that costs."""

from __future__ import annotations

import threading
import time
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import NamedTuple

from bonsai_edge.sensors import Quantity, Scope, Sensor


class SeriesKey(NamedTuple):
    """What a series is of."""

    quantity: Quantity
    name: str
    scope: str


@dataclass(frozen=True)
class Series:
    """Values over time, in the seconds of time.monotonic()."""

    key: SeriesKey
    source: str
    times_s: array[float] = field(default_factory=lambda: array("d"))
    values: array[float] = field(default_factory=lambda: array("d"))

    def at(self, time_s: float) -> float:
        """Return the value between two readings, on the straight line that joins them."""
        after = bisect_right(self.times_s, time_s)
        if after == 0 or (after == len(self.times_s) and self.times_s[-1] < time_s):
            raise ValueError(f"{time_s} lies outside the readings.")
        if after == len(self.times_s):
            return self.values[-1]
        begin_s, end_s = self.times_s[after - 1 : after + 1]
        share = (time_s - begin_s) / (end_s - begin_s)
        return self.values[after - 1] * (1 - share) + self.values[after] * share


@dataclass
class Recording:
    """What a sampler has read.

    `failures` counts them by source and reason; `cpu_s` is the time that the thread itself took on a core, of `wall_s`
    seconds, known when it has ended.
    """

    series: dict[SeriesKey, Series] = field(default_factory=dict)
    failures: dict[tuple[str, str], int] = field(default_factory=dict)
    cpu_s: float = 0.0
    wall_s: float = 0.0

    def of(self, *quantities: Quantity) -> list[Series]:
        """Return the series of some quantities."""
        return [series for series in self.series.values() if series.key.quantity in quantities]

    def widest_energy(self) -> Series | None:
        """Return the energy or power that sees most of the machine; a counter rather than samples of the same scope.

        None if there are only single rails and estimates.
        """
        for scope in Scope.WIDEST_FIRST:
            for quantity in (Quantity.ENERGY, Quantity.POWER):
                for series in self.of(quantity):
                    if series.key.scope == scope:
                        return series
        return None


class Sampler:
    """A context manager that records from its beginning to its end, and then closes the sensors.

    `period_s` is the shortest time between two readings of a sensor; one whose readings cost more is read more rarely.
    """

    def __init__(self, sensors: Iterable[Sensor], period_s: float = 0.1) -> None:
        self.recording = Recording()
        self._sensors: Sequence[Sensor] = tuple(sensors)
        self._period_s = period_s
        self._stop = threading.Event()
        self._mistake: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="sensor sampler", daemon=True)

    def __enter__(self) -> Recording:
        self._thread.start()
        return self.recording

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop; raises what a sensor raised against its contract, if the body did not fail itself."""
        self._stop.set()
        self._thread.join()
        for sensor in self._sensors:
            sensor.close()
        if self._mistake is not None and exc is None:
            raise self._mistake

    def _run(self) -> None:
        began_s, began_cpu_s = time.monotonic(), time.thread_time()
        due_s = [began_s] * len(self._sensors)
        while not self._stop.is_set():
            for index, sensor in enumerate(self._sensors):
                if due_s[index] <= time.monotonic():
                    due_s[index] = time.monotonic() + max(self._period_s, sensor.period_s)
                    try:
                        self._read(sensor)
                    except Exception as mistake:  # noqa: BLE001 - a third party's mistake is raised by __exit__
                        self._mistake = mistake
                        return
            next_s = min(due_s) - time.monotonic() if due_s else None
            self._stop.wait(next_s)
        self.recording.cpu_s = time.thread_time() - began_cpu_s
        self.recording.wall_s = time.monotonic() - began_s

    def _read(self, sensor: Sensor) -> None:
        before_s = time.monotonic()
        try:
            readings = sensor.read()
        except OSError as exc:
            failure = (sensor.source, exc.strerror or str(exc))
            self.recording.failures[failure] = self.recording.failures.get(failure, 0) + 1
            return
        now_s = (before_s + time.monotonic()) / 2
        for reading in readings:
            key = SeriesKey(reading.quantity, reading.name, reading.scope)
            series = self.recording.series.get(key)
            if series is None:
                series = self.recording.series.setdefault(key, Series(key, sensor.source))
            series.times_s.append(now_s)
            series.values.append(reading.value)
