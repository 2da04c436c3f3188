"""Reads the machine's sensors beside everything else, for some of them take long."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence

from bonsai_edge.sensors import Reading, Sensor

logger = logging.getLogger(__name__)

_SHORTEST_PERIOD_S = 1.0
_STOP_GRACE_S = 1.0


class TelemetryThread:
    """Posts all latest readings about once a second; a sensor that costs more is read more rarely.

    `find_sensors` is called on this thread. One that fails is left out until it can be read again.
    """

    def __init__(self, find_sensors: Callable[[], Sequence[Sensor]], post: Callable[[Sequence[Reading]], None]) -> None:
        self._find_sensors = find_sensors
        self._post = post
        self._stop = threading.Event()
        # A daemon, so that a sensor that hangs cannot keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="bonsai-edge-telemetry", daemon=True)

    def start(self) -> None:
        """Begin to look for sensors."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread after the reading that is under way, unless that hangs."""
        self._stop.set()
        self._thread.join(_STOP_GRACE_S)

    def _run(self) -> None:
        try:
            sensors = self._find_sensors()
            try:
                self._sample(sensors)
            finally:
                for sensor in sensors:
                    sensor.close()
        except Exception:
            logger.exception("The sensors are read no more.")

    def _sample(self, sensors: Sequence[Sensor]) -> None:
        latest: dict[Sensor, Sequence[Reading]] = {}
        due_at = dict.fromkeys(sensors, time.monotonic())
        while sensors and not self._stop.wait(max(0.0, min(due_at.values()) - time.monotonic())):
            now = time.monotonic()
            for sensor in [sensor for sensor, moment in due_at.items() if moment <= now]:
                due_at[sensor] = now + max(_SHORTEST_PERIOD_S, sensor.period_s)
                try:
                    latest[sensor] = sensor.read()
                except OSError:  # switched off, or gone, perhaps for a moment
                    latest.pop(sensor, None)
            self._post([reading for readings in latest.values() for reading in readings])
