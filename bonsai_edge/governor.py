"""Keeps a temperature under a limit by pausing between steps, before the hardware slows everything else down as well.

The share of the time that is spent pausing follows the temperature as a PI controller has it. The hottest of the
sensors counts.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from bonsai_edge.backend import Batch, ModelRunner
from bonsai_edge.errors import InvalidRequestError
from bonsai_edge.progress import progress
from bonsai_edge.sensors import Quantity, Sensor, Unavailable

logger = logging.getLogger(__name__)

_MARGIN_C = 3.0  # below the limit, where the controller aims
_PROPORTIONAL = 0.25  # of the time, for each degree
_INTEGRAL = 0.01  # of the time, for each degree and second
_MOST_PAUSE = 0.95
_PERIOD_S = 1.0
_LONGEST_PAUSE_S = 2.0  # after one step, so that a cancellation is noticed


class DutyCycle:
    """The controller: temperatures in, the share of the time to pause out, 0 to 0.95."""

    def __init__(self, limit_c: float) -> None:
        self._target_c = limit_c - _MARGIN_C
        self._integral = 0.0
        self.pause_share = 0.0

    def update(self, temperature_c: float, elapsed_s: float) -> None:
        """Take a reading that came so long after the last one."""
        error_c = temperature_c - self._target_c
        self._integral = min(_MOST_PAUSE, max(0.0, self._integral + _INTEGRAL * error_c * elapsed_s))
        self.pause_share = min(_MOST_PAUSE, max(0.0, self._integral + _PROPORTIONAL * error_c))

    def pause_s(self, step_s: float) -> float:
        """Return how long to pause after a step that took so long."""
        return min(_LONGEST_PAUSE_S, step_s * self.pause_share / (1 - self.pause_share))


class GovernedRunner(ModelRunner):
    """A runner that pauses after its steps as the temperature demands.

    While no sensor can be read, the pauses stay what they were.
    """

    def __init__(
        self,
        runner: ModelRunner,
        limit_c: float,
        sensors: Sequence[Sensor],
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.spec, self.tensors = runner.spec, runner.tensors
        self.max_batch_rows, self.least_prefill_rows = runner.max_batch_rows, runner.least_prefill_rows
        self.num_pages, self.num_threads = runner.num_pages, runner.num_threads
        self.kv_type, self.page_bytes, self.page_layout = runner.kv_type, runner.page_bytes, runner.page_layout
        self.duty = DutyCycle(limit_c)
        self._limit_c = limit_c
        self._runner = runner
        self._sensors = sensors
        self._now = now
        self._sleep = sleep
        self._read_at = now()
        self._has_told = False

    def forward(self, batch: Batch) -> npt.NDArray[np.float32]:
        """Run the batch, then pause."""
        began = self._now()
        logits = self._runner.forward(batch)
        ended = self._now()
        if ended - self._read_at >= _PERIOD_S:
            self._read(ended)
        pause_s = self.duty.pause_s(ended - began)
        if pause_s > 0:
            self._tell()
            self._sleep(pause_s)
        return logits

    def read_page(self, page: int) -> npt.NDArray[np.uint8]:
        """Return what the runner returns."""
        return self._runner.read_page(page)

    def write_page(self, page: int, content: npt.NDArray[np.uint8]) -> None:
        """Let the runner write."""
        self._runner.write_page(page, content)

    def copy_page(self, source: int, destination: int) -> None:
        """Let the runner copy."""
        self._runner.copy_page(source, destination)

    def rotate_keys(self, page: int, num_positions: int) -> None:
        """Let the runner rotate."""
        self._runner.rotate_keys(page, num_positions)

    def close(self) -> None:
        """Close the runner and the sensors."""
        self._runner.close()
        for sensor in self._sensors:
            sensor.close()

    def _read(self, now: float) -> None:
        temperature_c = hottest_c(self._sensors)
        if temperature_c is not None:
            self.duty.update(temperature_c, now - self._read_at)
        self._read_at = now

    def _tell(self) -> None:
        if not self._has_told:
            self._has_told = True
            progress.info("Pausing between steps to stay below %g °C.", self._limit_c)


def thermometers(found: Sequence[Sensor | Unavailable]) -> list[Sensor]:
    """Return the sensors of temperature, and close the others; raises InvalidRequestError if there is none."""
    chosen = []
    for each in found:
        if isinstance(each, Sensor):
            if Quantity.TEMPERATURE in each.quantities:
                chosen.append(each)
            else:
                each.close()
    if not chosen:
        missing = (each for each in found if isinstance(each, Unavailable) and each.quantity is Quantity.TEMPERATURE)
        reason = next(map(str, missing), "no sensor is known")
        raise InvalidRequestError(f"No temperature can be read here ({reason}).", "Leave out --max-temperature.")
    return chosen


def hottest_c(sensors: Sequence[Sensor]) -> float | None:
    """Return the highest temperature; None if none can be read just now."""
    temperatures = []
    for sensor in sensors:
        try:
            readings = sensor.read()
        except OSError as exc:
            logger.debug("%s cannot be read: %s.", sensor.source, exc)
            continue
        temperatures += [each.value for each in readings if each.quantity is Quantity.TEMPERATURE]
    return max(temperatures, default=None)
