"""Power rails that chips on the board measure: INA3221 and INA238 on Jetsons.

https://docs.kernel.org/hwmon/ina3221.html and .../ina238.html; JetPack 4 has the same chip behind another driver.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from bonsai_edge.board_profile import Power
from bonsai_edge.sensors import Quantity, Reading, Scope, Sensor
from bonsai_edge_devices.root import Root
from bonsai_edge_devices.sensors.candidates import POWER_PERIOD_S, Candidate, hwmon_chips
from bonsai_edge_devices.sensors.files import reading

_NOT_CONNECTED = re.compile(r"NC\d*|sum of shunt voltages")


def rails(root: Root, power: Power) -> Iterator[Candidate]:
    """Return the rails, each with what it feeds where the board's profile says so."""
    feeds = {rail.label: rail.feeds for rail in power.rails}
    for label, paths, scale in _labelled(root):
        if not _NOT_CONNECTED.fullmatch(label):
            is_total = label == power.total
            scope = power.total_scope if is_total and power.total_scope else rail_scope(label, feeds)
            yield Candidate(Quantity.POWER, label, scope, paths, scale, POWER_PERIOD_S)


def rail_scope(label: str, feeds: Mapping[str, str]) -> str:
    """Return the scope of a rail, with what it feeds where that is known."""
    return f"{Scope.RAIL}: {feeds[label]}" if label in feeds else Scope.RAIL


def _labelled(root: Root) -> Iterator[tuple[str, tuple[str, ...], float]]:
    """Return label, files and the factor that makes watts of their product."""
    for chip, name in hwmon_chips(root):
        if name == "ina3221":
            for channel in (1, 2, 3):  # the seventh input is a sum of voltages at shunts
                label = root.line(f"{chip}/in{channel}_label")
                if label:
                    yield label, (f"{chip}/in{channel}_input", f"{chip}/curr{channel}_input"), 1e-6  # mV mA
        elif name == "ina238":
            yield name, (f"{chip}/power1_input",), 1e-6  # µW
    for chip in root.names("sys/bus/i2c/drivers/ina3221x"):
        for device in root.names(chip, "iio:device*"):
            for file in root.names(device, "rail_name_*"):
                label = root.line(file)
                if label:
                    yield label, (f"{device}/in_power{file.rpartition('_')[2]}_input",), 1e-3  # mW


class RailSum(Sensor):
    """All rails together, where none of them is the input of the others."""

    quantities = frozenset({Quantity.POWER})
    period_s = POWER_PERIOD_S

    def __init__(self, sensors: list[Sensor]) -> None:
        self.source = "sum of " + "; ".join(sensor.source for sensor in sensors)
        self._sensors = sensors

    def read(self) -> list[Reading]:
        """Read every rail and their sum."""
        parts = [part for sensor in self._sensors for part in sensor.read()]
        total = sum(part.value for part in parts)
        return [*parts, reading(Quantity.POWER, "all rails", Scope.RAIL_SUM, total)]

    def close(self) -> None:
        """Close the rails."""
        for sensor in self._sensors:
            sensor.close()
