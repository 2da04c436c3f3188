"""Thermal zones and their trip points: https://docs.kernel.org/driver-api/thermal/sysfs-api.html"""

from __future__ import annotations

from bonsai_edge.device_description import ThermalZone
from bonsai_edge_devices.root import Root

_UNSET_MILLI_C, _HOTTEST_MILLI_C = -274_000, 200_000


def probe_thermal_zones(root: Root) -> tuple[ThermalZone, ...]:
    """Return the zones; of several trip points of a kind, the lowest."""
    return tuple(_zone(root, path) for path in root.names("sys/class/thermal", "thermal_zone*"))


def _zone(root: Root, path: str) -> ThermalZone:
    trips: dict[str, float] = {}
    for kind_path in root.names(path, "trip_point_*_type"):
        kind = root.line(kind_path)
        milli_c = root.integer(kind_path[: -len("type")] + "temp", _UNSET_MILLI_C, _HOTTEST_MILLI_C)
        if kind and milli_c is not None and milli_c > 0:  # a trip point that is switched off is zero or below
            trips[kind] = min(milli_c / 1000, trips.get(kind, _HOTTEST_MILLI_C))
    name = root.line(f"{path}/type") or path.rpartition("/")[2]
    return ThermalZone(name=name, passive_c=trips.get("passive"), critical_c=trips.get("critical"))
