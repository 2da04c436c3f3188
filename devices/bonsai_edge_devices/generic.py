"""What any machine tells of itself: through /proc and /sys on Linux, through psutil elsewhere."""

from __future__ import annotations

import platform
import re
from pathlib import Path

import psutil

from bonsai_edge.device import DeviceProfile
from bonsai_edge_devices.cgroup import available_memory_bytes, cpu_quota_cores
from bonsai_edge_devices.pseudo_files import read_counters, read_text


def read_profile(root: Path = Path("/")) -> DeviceProfile:
    """Return the profile of the machine whose /proc and /sys lie under `root`."""
    total_bytes, available_bytes, source = _memory(root)
    cgroup_bytes = available_memory_bytes(root)
    if cgroup_bytes is not None and cgroup_bytes < available_bytes:
        available_bytes, source = cgroup_bytes, "cgroup"
    return DeviceProfile(
        name=_name(root),
        machine=platform.machine(),
        total_memory_bytes=total_bytes,
        available_memory_bytes=available_bytes,
        memory_limit_source=source,
        usable_cores=_usable_cores(root),
    )


def _memory(root: Path) -> tuple[int, int, str]:
    """Return total and available bytes of the machine, and who says so."""
    kib = read_counters(root / "proc/meminfo")
    if "MemTotal" in kib and "MemAvailable" in kib:
        return kib["MemTotal"] * 1024, kib["MemAvailable"] * 1024, "MemAvailable"
    memory = psutil.virtual_memory()
    return memory.total, memory.available, "the operating system"


def _usable_cores(root: Path) -> int:
    """Return the cores that affinity allows, no more than the whole cores of the quota, at least one."""
    status = read_text(root / "proc/self/status") or ""
    allowed = re.search(r"^Cpus_allowed_list:\s*(\S+)", status, re.MULTILINE)
    cores = _count_cores(allowed[1]) if allowed else psutil.cpu_count() or 1
    quota = cpu_quota_cores(root)
    return cores if quota is None else max(1, min(cores, int(quota)))


def _count_cores(cpu_list: str) -> int:
    """Count the cores of a list such as "0-3,8"."""
    ends = [part.split("-") for part in cpu_list.split(",")]
    return sum(int(end[-1]) - int(end[0]) + 1 for end in ends)


def _name(root: Path) -> str:
    """Return the board's name, the processor's, or the platform's, whichever is known first."""
    board = read_text(root / "proc/device-tree/model")
    cpu = re.search(r"^model name\s*:\s*(.+)", read_text(root / "proc/cpuinfo") or "", re.MULTILINE)
    return board or (cpu[1].strip() if cpu else platform.platform())
