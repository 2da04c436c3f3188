"""What any machine tells of itself: through /proc and /sys on Linux, through psutil elsewhere."""

from __future__ import annotations

import platform
from pathlib import Path

from bonsai_edge.device import DeviceProfile
from bonsai_edge_devices.cores import usable_cores
from bonsai_edge_devices.memory import memory_limits, process_memory
from bonsai_edge_devices.probes.board import cpuinfo_board, device_tree_board
from bonsai_edge_devices.probes.cpuinfo import CpuInfo
from bonsai_edge_devices.root import Root


def read_profile(path: Path = Path("/")) -> DeviceProfile:
    """Return the profile of the machine whose /proc and /sys lie under `path`."""
    root = Root(path)
    cores = usable_cores(root)
    process = process_memory(root)
    total_bytes, limits = memory_limits(root, process, cores.number)
    return DeviceProfile(
        name=_name(root),
        machine=platform.machine(),
        total_memory_bytes=total_bytes,
        memory_limits=limits,
        resident_bytes=process.resident_bytes,
        usable_cores=cores.number,
        core_limit_source=cores.source,
        big_cpus=cores.big_cpus,
    )


def _name(root: Root) -> str:
    """Return the board's name, the processor's, or the platform's, whichever is known first."""
    board = device_tree_board(root) or cpuinfo_board(root)
    return (board.name if board else None) or CpuInfo(root).model_name() or platform.platform()
