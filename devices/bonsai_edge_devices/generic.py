"""What any machine tells of itself: through /proc and /sys on Linux, through psutil elsewhere."""

from __future__ import annotations

import platform
from pathlib import Path

import psutil

from bonsai_edge.device import DeviceProfile
from bonsai_edge_devices.cgroup import available_memory_bytes
from bonsai_edge_devices.cores import usable_cores
from bonsai_edge_devices.probes.board import cpuinfo_board, device_tree_board
from bonsai_edge_devices.probes.cpuinfo import CpuInfo
from bonsai_edge_devices.root import Root


def read_profile(path: Path = Path("/")) -> DeviceProfile:
    """Return the profile of the machine whose /proc and /sys lie under `path`."""
    root = Root(path)
    total_bytes, available_bytes, source = _memory(root)
    cgroup_bytes = available_memory_bytes(root)
    if cgroup_bytes is not None and cgroup_bytes < available_bytes:
        available_bytes, source = cgroup_bytes, "cgroup"
    cores, core_source = usable_cores(root)
    return DeviceProfile(
        name=_name(root),
        machine=platform.machine(),
        total_memory_bytes=total_bytes,
        available_memory_bytes=available_bytes,
        memory_limit_source=source,
        usable_cores=cores,
        core_limit_source=core_source,
    )


def _memory(root: Root) -> tuple[int, int, str]:
    """Return total and available bytes of the machine, and who says so."""
    kib = root.counters("proc/meminfo")
    if "MemTotal" in kib and "MemAvailable" in kib:
        return kib["MemTotal"] * 1024, kib["MemAvailable"] * 1024, "MemAvailable"
    memory = psutil.virtual_memory()
    return memory.total, memory.available, "the operating system"


def _name(root: Root) -> str:
    """Return the board's name, the processor's, or the platform's, whichever is known first."""
    board = device_tree_board(root) or cpuinfo_board(root)
    return (board.name if board else None) or CpuInfo(root).model_name() or platform.platform()
