"""What any machine tells of itself: through /proc and /sys on Linux, through psutil elsewhere."""

from __future__ import annotations

import platform
import re
from pathlib import Path

from bonsai_edge.device import DeviceProfile
from bonsai_edge_devices.cores import usable_cores
from bonsai_edge_devices.memory import memory_limits, process_memory
from bonsai_edge_devices.pseudo_files import read_text


def read_profile(root: Path = Path("/")) -> DeviceProfile:
    """Return the profile of the machine whose /proc and /sys lie under `root`."""
    cores, core_source = usable_cores(root)
    process = process_memory(root)
    total_bytes, limits = memory_limits(root, process, cores)
    return DeviceProfile(
        name=_name(root),
        machine=platform.machine(),
        total_memory_bytes=total_bytes,
        memory_limits=limits,
        resident_bytes=process.resident_bytes,
        usable_cores=cores,
        core_limit_source=core_source,
    )


def _name(root: Path) -> str:
    """Return the board's name, the processor's, or the platform's, whichever is known first."""
    board = read_text(root / "proc/device-tree/model")
    cpu = re.search(r"^model name\s*:\s*(.+)", read_text(root / "proc/cpuinfo") or "", re.MULTILINE)
    return board or (cpu[1].strip() if cpu else platform.platform())
