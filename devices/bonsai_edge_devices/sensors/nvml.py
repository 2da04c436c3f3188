"""NVIDIA's GPUs through their own library: https://docs.nvidia.com/deploy/nvml-api/"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from bonsai_edge.sensors import Quantity, Reading, Scope, Sensor
from bonsai_edge_devices.sensors.files import reading

INSTALL = "the library that reads NVIDIA's sensors is not installed; pip install nvidia-ml-py"

# Bits of the clock event reasons, nvml.h; being idle and clocks that somebody set are no throttling.
_REASONS = {
    0x04: "software power cap",
    0x08: "hardware slowdown",
    0x20: "software thermal slowdown",
    0x40: "hardware thermal slowdown",
    0x80: "hardware power brake",
}
_TEMPERATURE_GPU, _CLOCK_SM = 0, 1


class NvmlGpu(Sensor):
    """Everything that one GPU tells; what it does not support is left out."""

    quantities = frozenset(
        {Quantity.POWER, Quantity.ENERGY, Quantity.TEMPERATURE, Quantity.REPORTED_CLOCK, Quantity.THROTTLED}
    )
    period_s = 0.5  # the energy counter alone takes more than a millisecond

    def __init__(self, nvml: Any, index: int) -> None:
        """Take the GPU of an index of the initialised library; raises OSError."""
        self.source = f"NVML GPU {index}"
        self._nvml, self._name = nvml, f"GPU {index}"
        try:
            nvml.nvmlInit()
            self._handle = nvml.nvmlDeviceGetHandleByIndex(index)
        except nvml.NVMLError as exc:
            raise OSError(str(exc)) from exc

    def read(self) -> list[Reading]:
        """Ask the library."""
        nvml, gpu = self._nvml, self._handle
        calls: tuple[tuple[Quantity, float, Callable[[], float]], ...] = (
            (Quantity.POWER, 1e-3, lambda: nvml.nvmlDeviceGetPowerUsage(gpu)),
            (Quantity.ENERGY, 1e-3, lambda: nvml.nvmlDeviceGetTotalEnergyConsumption(gpu)),
            (Quantity.TEMPERATURE, 1, lambda: nvml.nvmlDeviceGetTemperature(gpu, _TEMPERATURE_GPU)),
            (Quantity.REPORTED_CLOCK, 1e6, lambda: nvml.nvmlDeviceGetClockInfo(gpu, _CLOCK_SM)),
        )
        readings = []
        for quantity, scale, call in calls:
            value = self._supported(call)
            if value is not None:
                readings.append(reading(quantity, self._name, Scope.GPU_BOARD, scale * value))
        bits = self._supported(lambda: nvml.nvmlDeviceGetCurrentClocksEventReasons(gpu))
        if bits is not None:
            readings += [
                Reading(Quantity.THROTTLED, f"{self._name}: {reason}", Scope.GPU_BOARD, float(bool(int(bits) & bit)))
                for bit, reason in _REASONS.items()
            ]
        if not readings:
            raise OSError("supports none of the readings")
        return readings

    def close(self) -> None:
        """Release the library, which counts how often it was initialised."""
        self._nvml.nvmlShutdown()

    def _supported(self, call: Callable[[], float]) -> float | None:
        try:
            return call()
        except self._nvml.NVMLError_NotSupported:
            return None
        except self._nvml.NVMLError as exc:
            raise OSError(str(exc)) from exc


def find_gpus() -> list[NvmlGpu]:
    """Return a sensor for each GPU; raises OSError with the reason where the library or the driver is missing."""
    try:
        nvml = importlib.import_module("pynvml")
    except ImportError as exc:
        raise OSError(INSTALL) from exc
    try:
        nvml.nvmlInit()
        try:
            return [NvmlGpu(nvml, index) for index in range(nvml.nvmlDeviceGetCount())]
        finally:
            nvml.nvmlShutdown()
    except nvml.NVMLError as exc:
        raise OSError(str(exc)) from exc
