"""The power chip of a Raspberry Pi 5, which measures twelve rails."""

from __future__ import annotations

import re

from bonsai_edge.board_profile import Power
from bonsai_edge.sensors import Quantity, Reading, Scope, Sensor
from bonsai_edge_devices.root import Root
from bonsai_edge_devices.sensors.files import reading
from bonsai_edge_devices.sensors.programs import PROGRAM_PERIOD_S, ask
from bonsai_edge_devices.sensors.rails import rail_scope

# `VDD_CORE_A current(7)=1.91102000A` and `VDD_CORE_V volt(15)=0.87355220V`; the numbers differ between firmwares.
_LINE = re.compile(r"^\s*(\w{1,30})_([AV])\s+(?:current|volt)\(\d{1,3}\)=(\d{1,4}\.\d{1,12})[AV]\s*$", re.MULTILINE)


class PiPowerChip(Sensor):
    """Every rail that has a voltage and a current, their sum, and an estimate for the board if the profile has one."""

    source = "vcgencmd pmic_read_adc"
    quantities = frozenset({Quantity.POWER})
    period_s = PROGRAM_PERIOD_S

    def __init__(self, root: Root, power: Power) -> None:
        self._root = root
        self._feeds = {rail.label: rail.feeds for rail in power.rails}
        self._estimate = power.board_estimate

    def read(self) -> list[Reading]:
        """Ask the firmware."""
        output = ask(self._root, "vcgencmd", "pmic_read_adc")
        values = {(rail, unit): float(number) for rail, unit, number in _LINE.findall(output)}
        rails = [rail for rail, unit in values if unit == "A" and (rail, "V") in values]
        watts = {rail: values[rail, "A"] * values[rail, "V"] for rail in rails}
        if not watts:
            raise OSError(f"gave no rail with a voltage and a current: {output[:60]!r}")
        total = sum(watts.values())
        readings = [reading(Quantity.POWER, rail, rail_scope(rail, self._feeds), watts[rail]) for rail in rails]
        readings.append(reading(Quantity.POWER, "all rails", Scope.RAIL_SUM, total))
        if self._estimate is not None:
            board = self._estimate.slope * total + self._estimate.offset_w
            readings.append(reading(Quantity.POWER, "board", Scope.ESTIMATED_BOARD, board))
        return readings
