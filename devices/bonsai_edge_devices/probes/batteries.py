"""Batteries and mains: https://docs.kernel.org/ABI/testing/sysfs-class-power"""

from __future__ import annotations

from bonsai_edge.device_description import Battery
from bonsai_edge_devices.root import Root

_SUPPLIES = "sys/class/power_supply"
_MAINS = ("Mains", "USB", "Wireless")


def probe_batteries(root: Root) -> tuple[Battery, ...]:
    """Return the machine's own batteries."""
    return tuple(_battery(root, path) for path in own_batteries(root))


def on_mains(root: Root) -> bool | None:
    """Tell whether power comes from outside; None where nothing tells."""
    mains = [path for path in root.names(_SUPPLIES) if root.line(f"{path}/type") in _MAINS]
    online = [root.integer(f"{path}/online", 0, 2) for path in mains]
    known = [state for state in online if state is not None]
    return any(known) if known else None


def own_batteries(root: Root) -> list[str]:
    """Return the directories of batteries that feed the machine; a mouse's or a headset's does not."""
    batteries = [path for path in root.names(_SUPPLIES) if root.line(f"{path}/type") == "Battery"]
    return [path for path in batteries if root.line(f"{path}/scope") != "Device"]


def _battery(root: Root, path: str) -> Battery:
    micro_wh = root.integer(f"{path}/energy_full", 1, 10**12)
    micro_ah = root.integer(f"{path}/charge_full", 1, 10**12)
    micro_v = root.integer(f"{path}/voltage_min_design", 1, 10**9)
    if micro_wh is None and micro_ah is not None and micro_v is not None:
        micro_wh = micro_ah * micro_v // 1_000_000
    return Battery(
        name=path.rpartition("/")[2],
        status=root.line(f"{path}/status"),
        charge_percent=root.integer(f"{path}/capacity", 0, 100),
        technology=root.line(f"{path}/technology"),
        full_wh=None if micro_wh is None else round(micro_wh / 1e6, 1),
    )
