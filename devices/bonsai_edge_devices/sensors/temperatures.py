"""Temperatures and fans: thermal zones everywhere, and the chips of PCs, which have no zones for all of them."""

from __future__ import annotations

from collections.abc import Iterator

from bonsai_edge.sensors import Quantity
from bonsai_edge_devices.root import Root
from bonsai_edge_devices.sensors.candidates import Candidate, hwmon_chips

_PC_CHIPS = ("coretemp", "k10temp", "zenpower", "amdgpu", "nvme")


def temperatures(root: Root) -> Iterator[Candidate]:
    """Return what measures temperatures, in thousandths of a degree, and the speed of fans."""
    for zone in root.names("sys/class/thermal", "thermal_zone*"):
        name = root.line(f"{zone}/type") or zone.rpartition("/")[2]
        yield Candidate(Quantity.TEMPERATURE, name, name, (f"{zone}/temp",), 1e-3)
    for chip, name in hwmon_chips(root):
        for file in root.names(chip, "fan*_input"):
            yield Candidate(Quantity.FAN, name, name, (file,), 1)
        for file in root.names(chip, "temp*_input") if name in _PC_CHIPS else ():
            label = root.line(file.replace("_input", "_label")) or name
            yield Candidate(Quantity.TEMPERATURE, label, name, (file,), 1e-3)
