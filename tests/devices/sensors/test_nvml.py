import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from bonsai_edge.sensors import Quantity, Sensor, Unavailable
from bonsai_edge_devices.describe import describe
from bonsai_edge_devices.profiles import builtin_profiles
from bonsai_edge_devices.root import Root
from bonsai_edge_devices.sensors.finding import find_sensors
from machines import write_machine


class FakeNvml(ModuleType):
    """The calls of nvidia-ml-py that are used, for one GPU; `initialised` counts as the library does."""

    class NVMLError(Exception):
        pass

    class NVMLError_NotSupported(NVMLError):
        pass

    initialised = 0
    missing: tuple[str, ...] = ()
    broken: str | None = None

    def nvmlInit(self) -> None:
        if self.broken == "driver":
            raise self.NVMLError("Driver Not Loaded")
        self.initialised += 1

    def nvmlShutdown(self) -> None:
        self.initialised -= 1

    def nvmlDeviceGetCount(self) -> int:
        return 1

    def nvmlDeviceGetHandleByIndex(self, index: int) -> str:
        return f"handle {index}"

    def _answer(self, name: str, value: int) -> int:
        if self.broken == "gpu":
            raise self.NVMLError("GPU is lost")
        if name in self.missing:
            raise self.NVMLError_NotSupported("Not Supported")
        return value

    def nvmlDeviceGetPowerUsage(self, gpu: str) -> int:
        return self._answer("power", 31_250)

    def nvmlDeviceGetTotalEnergyConsumption(self, gpu: str) -> int:
        return self._answer("energy", 5_000_000)

    def nvmlDeviceGetTemperature(self, gpu: str, sensor: int) -> int:
        assert sensor == 0
        return self._answer("temperature", 41)

    def nvmlDeviceGetClockInfo(self, gpu: str, clock: int) -> int:
        assert clock == 1
        return self._answer("clock", 1777)

    def nvmlDeviceGetCurrentClocksEventReasons(self, gpu: str) -> int:
        return self._answer("reasons", 0x44 | 0x1)


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> FakeNvml:
    module = FakeNvml("pynvml")
    monkeypatch.setitem(sys.modules, "pynvml", module)
    return module


def nvidia(path: Path) -> list[Sensor | Unavailable]:
    root = Root(write_machine("desktop-nvidia", path))
    found = find_sensors(root, describe(root, builtin_profiles()))
    others = [entry for entry in found if "NVML" not in entry.source]
    for other in others:
        if isinstance(other, Sensor):
            other.close()
    return [entry for entry in found if "NVML" in entry.source]


def test_a_gpu_tells_power_energy_temperature_clock_and_reasons(tmp_path: Path, nvml: FakeNvml) -> None:
    (sensor,) = nvidia(tmp_path)
    assert isinstance(sensor, Sensor)
    readings: dict[Any, float] = {(r.quantity, r.name): r.value for r in sensor.read()}
    sensor.close()
    assert readings == {
        (Quantity.POWER, "GPU 0"): 31.25,
        (Quantity.ENERGY, "GPU 0"): 5000.0,
        (Quantity.TEMPERATURE, "GPU 0"): 41.0,
        (Quantity.REPORTED_CLOCK, "GPU 0"): 1.777e9,
        (Quantity.THROTTLED, "GPU 0: software power cap"): 1.0,
        (Quantity.THROTTLED, "GPU 0: hardware slowdown"): 0.0,
        (Quantity.THROTTLED, "GPU 0: software thermal slowdown"): 0.0,
        (Quantity.THROTTLED, "GPU 0: hardware thermal slowdown"): 1.0,
        (Quantity.THROTTLED, "GPU 0: hardware power brake"): 0.0,
    }
    assert nvml.initialised == 0


def test_what_a_gpu_does_not_support_is_left_out(tmp_path: Path, nvml: FakeNvml) -> None:
    nvml.missing = ("energy", "reasons", "clock", "temperature")
    (sensor,) = nvidia(tmp_path)
    assert isinstance(sensor, Sensor)
    assert [reading.quantity for reading in sensor.read()] == [Quantity.POWER]
    sensor.close()


@pytest.mark.parametrize(("broken", "reason"), [("driver", "Driver Not Loaded"), ("gpu", "GPU is lost")])
def test_a_broken_driver_gives_its_reason(tmp_path: Path, nvml: FakeNvml, broken: str, reason: str) -> None:
    nvml.broken = broken
    (entry,) = nvidia(tmp_path)
    assert isinstance(entry, Unavailable)
    assert entry.reason == reason
    assert nvml.initialised == 0


def test_without_the_library_it_is_said_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    (entry,) = nvidia(tmp_path)
    assert str(entry).endswith("pip install nvidia-ml-py")
