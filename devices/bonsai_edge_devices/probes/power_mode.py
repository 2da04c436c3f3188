"""The mode that trades speed for power: NVIDIA's nvpmodel, or the platform profile of a PC."""

from __future__ import annotations

import re

from bonsai_edge.device_description import PowerMode
from bonsai_edge_devices.root import Root

_NVPMODEL_STATUS, _NVPMODEL_MODES = "var/lib/nvpmodel/status", "etc/nvpmodel.conf"
_PLATFORM_PROFILE = "sys/firmware/acpi/platform_profile"


def probe_power_mode(root: Root) -> PowerMode | None:
    """Return the mode that is set now; None on a machine that has none."""
    return _nvpmodel_files(root) or _nvpmodel_program(root) or _platform_profile(root)


def _nvpmodel_files(root: Root) -> PowerMode | None:
    """Read "pmode:0002 fmode:quiet", and "< POWER_MODEL ID=2 NAME=MODE_15W >" for what the number means."""
    status = re.match(r"pmode:(\d{1,4})\b", root.line(_NVPMODEL_STATUS) or "")
    if status is None:
        return None
    models = re.findall(r"<\s*POWER_MODEL\s+ID=(\d{1,4})\s+NAME=(\S{1,60})\s*>", root.text(_NVPMODEL_MODES) or "")
    names = {int(number): name for number, name in models}
    mode = int(status[1])
    return PowerMode(name=names.get(mode, f"mode {mode}"), choices=tuple(names.values()), source="nvpmodel")


def _nvpmodel_program(root: Root) -> PowerMode | None:
    name = re.search(r"^NV Power Mode: (\S{1,60})$", root.output("nvpmodel", "-q") or "", re.MULTILINE)
    return PowerMode(name=name[1], source="nvpmodel") if name else None


def _platform_profile(root: Root) -> PowerMode | None:
    name = root.line(_PLATFORM_PROFILE)
    if name is None:
        return None
    choices = (root.line(f"{_PLATFORM_PROFILE}_choices") or "").split()
    return PowerMode(name=name, choices=tuple(choices), source="ACPI platform profile")
