"""The energy counters of Intel's and AMD's processors: https://docs.kernel.org/power/powercap/powercap.html"""

from __future__ import annotations

from bonsai_edge.sensors import Quantity, Reading, Scope, Sensor
from bonsai_edge_devices.root import Root
from bonsai_edge_devices.sensors.candidates import POWER_PERIOD_S
from bonsai_edge_devices.sensors.files import NumberFile

ROOT_ONLY = "only root may read the energy counters (CVE-2020-8694); a udev rule can allow a group to"
_SCOPES = {"package": Scope.PACKAGE, "psys": Scope.BOARD}  # other zones are parts: core, uncore, dram


class EnergyCounter(Sensor):
    """A zone's energy since the sensor was made. The hardware's counter begins again at zero after its range."""

    quantities = frozenset({Quantity.ENERGY})
    period_s = POWER_PERIOD_S

    def __init__(self, root: Root, zone: str) -> None:
        """Open the counter; raises OSError."""
        self.source = f"{zone}/energy_uj"
        self._name = root.line(f"{zone}/name") or zone.rpartition("/")[2]
        self._scope = _SCOPES.get(self._name.partition("-")[0], Scope.RAIL)
        self._range_uj = root.integer(f"{zone}/max_energy_range_uj", 1)
        self._file = NumberFile(root, self.source)
        self._last_uj = self._file.read()
        self._total_uj = 0

    def read(self) -> list[Reading]:
        """Add what was used since the last reading."""
        now_uj = self._file.read()
        if now_uj < self._last_uj and self._range_uj is None:
            raise OSError("fell, and its range is not known")
        self._total_uj += (now_uj - self._last_uj) % (self._range_uj + 1 if self._range_uj else 1 << 63)
        self._last_uj = now_uj
        return [Reading(Quantity.ENERGY, self._name, self._scope, self._total_uj / 1e6)]

    def close(self) -> None:
        """Close the counter."""
        self._file.close()


def energy_zones(root: Root) -> list[str]:
    """Return the zones and their parts, without those of the second, slower interface to the same counters."""
    return root.names("sys/class/powercap", "intel-rapl:*")
