"""The limits that a container or a service manager sets, cgroup version 1 and 2.

A limit holds for a group and all below it, so every level from the process's own group up is looked at.
https://docs.kernel.org/admin-guide/cgroup-v2.html and .../cgroup-v1/memory.html
"""

from __future__ import annotations

import re

from bonsai_edge_devices.root import Root

_MOUNT = "sys/fs/cgroup"
_NO_LIMIT = 1 << 60  # version 1 writes the most that the kernel can count where nobody set a limit


def available_memory_bytes(root: Root) -> int | None:
    """Return what this process may still allocate under its cgroups; None without a limit.

    File cache, such as the pages of a model file, does not count as used: the kernel gives it up under pressure.
    """
    left = []
    for level in _levels(root, "memory"):
        # Version 1 counts a group alone, and its children only under other names.
        files = ("memory.current", "") if _is_version_2(root, level) else ("memory.usage_in_bytes", "total_")
        limit, used = _limit(root, level), root.integer(f"{level}/{files[0]}")
        if limit is None or used is None:
            continue
        counters = root.counters(f"{level}/memory.stat")
        file_cache = counters.get(f"{files[1]}inactive_file", 0) + counters.get(f"{files[1]}active_file", 0)
        left.append(max(0, limit - max(0, used - file_cache)))
    return min(left, default=None)


def memory_limit_bytes(root: Root) -> int | None:
    """Return the lowest limit of this process's cgroups; None without one."""
    limits = [_limit(root, level) for level in _levels(root, "memory")]
    return min((limit for limit in limits if limit is not None), default=None)


def cpu_quota_cores(root: Root) -> float | None:
    """Return how many cores' worth of time this process may use; None without a quota."""
    quotas = []
    for level in _levels(root, "cpu"):
        line = root.line(f"{level}/cpu.max")
        if line is not None:
            match = re.fullmatch(r"(max|\d{1,15}) (\d{1,15})", line)
            if match is None or int(match[2]) == 0:
                root.report(f"{level}/cpu.max", f"is not a quota and a period: {line[:40]!r}")
            elif match[1] != "max":
                quotas.append(int(match[1]) / int(match[2]))
        quota = root.integer(f"{level}/cpu.cfs_quota_us", -1)
        period = root.integer(f"{level}/cpu.cfs_period_us", 1)
        if quota is not None and period is not None and quota > 0:  # version 1 says -1 for no quota
            quotas.append(quota / period)
    return min(quotas, default=None)


def _limit(root: Root, level: str) -> int | None:
    if _is_version_2(root, level):
        # Above memory.high nothing is killed, but everything is slowed down until it is given back.
        files = [f"{level}/{name}" for name in ("memory.max", "memory.high")]
        limits = [root.integer(file) for file in files if root.line(file) != "max"]
    else:
        limits = [root.integer(f"{level}/memory.limit_in_bytes")]
    return min((limit for limit in limits if limit is not None and limit < _NO_LIMIT), default=None)


def _is_version_2(root: Root, level: str) -> bool:
    return root.exists(f"{level}/memory.max")


def _levels(root: Root, controller: str) -> list[str]:
    """Return the directories of this process's group and of all above it, in the hierarchy of a controller."""
    group_by_controller: dict[str, str] = {}
    for line in (root.text("proc/self/cgroup") or "").splitlines():
        _, _, rest = line.partition(":")
        controllers, colon, path = rest.partition(":")
        if colon:
            group_by_controller.update(dict.fromkeys(controllers.split(","), path))
    mount = _MOUNT
    if controller in group_by_controller:  # version 1 mounts each controller apart; version 2 has the name ""
        mount = f"{mount}/{controller}"
    group = group_by_controller.get(controller, group_by_controller.get("", "/"))
    names = [name for name in group.split("/") if name]
    if ".." in names or not root.exists("/".join([mount, *names])):
        names = []  # a container may be told its path on the host, and sees its own group at the mount point
    return ["/".join([mount, *names[:depth]]) for depth in range(len(names), -1, -1)]
