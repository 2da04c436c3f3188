"""What a battery gives while it is the only supply: https://docs.kernel.org/ABI/testing/sysfs-class-power"""

from __future__ import annotations

from bonsai_edge.sensors import Quantity, Reading, Scope, Sensor
from bonsai_edge_devices.root import Root
from bonsai_edge_devices.sensors.files import reading

_LEAST_W, _MOST_W = 0.05, 300.0  # outside it, the driver means another unit: vendors differ


class BatteryPower(Sensor):
    """The power that leaves a battery; charging mixes it with the mains', so that only a discharge counts."""

    quantities = frozenset({Quantity.POWER})

    def __init__(self, root: Root, path: str) -> None:
        self.source = path
        self._root = root

    def read(self) -> list[Reading]:
        """Read power, or current and voltage, whose sign differs between vendors."""
        status = self._root.line(f"{self.source}/status")
        if status != "Discharging":
            raise BlockingIOError(f"tells the power only while it discharges; it is {(status or 'unknown').lower()}")
        micro_w = self._root.integer(f"{self.source}/power_now", -(10**12))
        if micro_w is None:
            micro_a = self._root.integer(f"{self.source}/current_now", -(10**12))
            micro_v = self._root.integer(f"{self.source}/voltage_now", 0)
            if micro_a is None or micro_v is None:
                raise OSError("has neither power nor current and voltage that may be read")
            micro_w = micro_a * micro_v // 1_000_000
        watts = abs(micro_w) / 1e6
        if not _LEAST_W <= watts <= _MOST_W:
            raise OSError(f"is implausible: {watts:g} W; the driver may use other units")
        return [reading(Quantity.POWER, self.source.rpartition("/")[2], Scope.DEVICE, watts)]
