"""The limits that a container or a service manager sets, cgroup version 1 and 2.

A limit holds for a group and all below it, so every level from the process's own group up is looked at.
https://docs.kernel.org/admin-guide/cgroup-v2.html and .../cgroup-v1/memory.html
"""

from __future__ import annotations

from pathlib import Path

from bonsai_edge_devices.pseudo_files import read_counters, read_int, read_text


def available_memory_bytes(root: Path) -> int | None:
    """Return what this process may still allocate under its cgroups; None without a limit.

    File cache, such as the pages of a model file, does not count as used: the kernel gives it up under pressure.
    """
    left = []
    for level in _levels(root, "memory"):
        if (level / "memory.max").exists():
            # Above memory.high nothing is killed but everything is slowed down until it is given back.
            bounds = [read_int(level / "memory.max"), read_int(level / "memory.high")]
            limit = min((bound for bound in bounds if bound is not None), default=None)
            used, prefix = read_int(level / "memory.current"), ""
        else:
            limit, used = read_int(level / "memory.limit_in_bytes"), read_int(level / "memory.usage_in_bytes")
            prefix = "total_"  # version 1 counts a group alone, and its children only under these names
        if limit is None or used is None:
            continue
        counters = read_counters(level / "memory.stat")
        file_cache = counters.get(prefix + "inactive_file", 0) + counters.get(prefix + "active_file", 0)
        left.append(max(0, limit - max(0, used - file_cache)))
    return min(left, default=None)


def cpu_quota_cores(root: Path) -> float | None:
    """Return how many cores' worth of time this process may use; None without a quota."""
    quotas = []
    for level in _levels(root, "cpu"):
        words = (read_text(level / "cpu.max") or "").split()
        if len(words) == 2 and words[0] != "max":
            quotas.append(int(words[0]) / int(words[1]))
        quota, period = read_int(level / "cpu.cfs_quota_us"), read_int(level / "cpu.cfs_period_us")
        if quota is not None and period and quota > 0:  # version 1 says -1 for no quota
            quotas.append(quota / period)
    return min(quotas, default=None)


def _levels(root: Path, controller: str) -> list[Path]:
    """Return the directories of this process's group and of all above it, in the hierarchy of a controller."""
    group_by_controller = {}
    for line in (read_text(root / "proc/self/cgroup") or "").splitlines():
        _, controllers, path = line.split(":", 2)
        group_by_controller.update(dict.fromkeys(controllers.split(","), path))
    mount = root / "sys/fs/cgroup"
    if controller in group_by_controller:  # version 1 mounts each controller apart; version 2 has the name ""
        mount = mount / controller
    group = Path(group_by_controller.get(controller, group_by_controller.get("", "/")).lstrip("/"))
    own = mount / group
    if ".." in group.parts or not own.is_dir():
        own = mount  # a container may be told its path on the host, and sees its own group at the mount point
    return [own, *(parent for parent in own.parents if parent.is_relative_to(mount))]
