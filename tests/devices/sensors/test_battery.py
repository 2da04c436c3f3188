from pathlib import Path

import pytest

from bonsai_edge_devices.root import Root
from bonsai_edge_devices.sensors.battery import BatteryPower

BATTERY = "sys/class/power_supply/BAT0"


def battery(root: Path, **files: object) -> BatteryPower:
    (root / BATTERY).mkdir(parents=True)
    for name, content in files.items():
        (root / BATTERY / name).write_text(f"{content}\n")
    return BatteryPower(Root(root), BATTERY)


@pytest.mark.parametrize(
    "files",
    [
        {"power_now": 9_000_000},
        {"current_now": 750_000, "voltage_now": 12_000_000},
        {"current_now": -750_000, "voltage_now": 12_000_000},  # as Android's kernels sign a discharge
    ],
)
def test_power_comes_from_power_or_from_current_and_voltage(tmp_path: Path, files: dict[str, int]) -> None:
    (reading,) = battery(tmp_path, status="Discharging", **files).read()
    assert (reading.name, reading.scope, reading.value) == ("BAT0", "whole device, from the battery", 9.0)


@pytest.mark.parametrize("status", ["Charging", "Full", "Not charging"])
def test_only_a_discharge_tells_the_power(tmp_path: Path, status: str) -> None:
    with pytest.raises(BlockingIOError, match=f"only while it discharges; it is {status.lower()}"):
        battery(tmp_path, status=status, power_now=9_000_000).read()


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({}, "neither power nor current and voltage"),
        ({"current_now": 750, "voltage_now": 12_000}, "9e-06 W; the driver may use other units"),
        ({"power_now": 10**12}, r"1e\+06 W; the driver may use other units"),
    ],
)
def test_nonsense_of_a_driver_is_refused(tmp_path: Path, files: dict[str, int], reason: str) -> None:
    with pytest.raises(OSError, match=reason):
        battery(tmp_path, status="Discharging", **files).read()
