"""Energy per token, from the counter of the GPU: NVML's, of the whole board."""

from __future__ import annotations

import time
from collections.abc import Callable

from bonsai_edge.sensors import Quantity
from bonsai_edge_devices.sensors.nvml import NvmlGpu, find_gpus


class EnergyMeter:
    """The counter of the first GPU; `problem` says why there is none."""

    def __init__(self) -> None:
        self._gpu: NvmlGpu | None = None
        self.problem: str | None = None
        try:
            found = find_gpus()
            if found:
                self._gpu = found[0]
                self._joules()
            else:
                self.problem = "NVML sees no GPU"
        except OSError as exc:
            self._gpu, self.problem = None, str(exc)

    def joules_per_token(self, run: Callable[[], float], num_tokens: int, at_least_s: float) -> float | None:
        """Repeat a run, which returns its seconds, for so long at least; None if the GPU has no counter.

        The counter moves some ten times a second, so that a single run would be too short.
        """
        if self._gpu is None:
            return None
        began, spent_s, num_runs = self._joules(), 0.0, 0
        while spent_s < at_least_s:
            spent_s += run()
            num_runs += 1
        return (self._joules() - began) / (num_runs * num_tokens)

    def idle_w(self, seconds: float) -> float | None:
        """Return the power while nothing runs; None if the GPU has no counter."""
        if self._gpu is None:
            return None
        began, started = self._joules(), time.perf_counter()
        time.sleep(seconds)
        return (self._joules() - began) / (time.perf_counter() - started)

    def _joules(self) -> float:
        assert self._gpu is not None, "there is a counter"
        for reading in self._gpu.read():
            if reading.quantity is Quantity.ENERGY:
                return reading.value
        raise OSError("this GPU has no energy counter")
