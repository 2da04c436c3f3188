"""The caches: https://docs.kernel.org/ABI/testing/sysfs-devices-system-cpu"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable

from bonsai_edge.device_description import Cache
from bonsai_edge_devices.root import Root

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20}
_KINDS = ("Data", "Instruction", "Unified")


def probe_caches(root: Root, cpus: Iterable[int]) -> tuple[Cache, ...]:
    """Return the caches of some processors, those of one size and kind together."""
    sharers: dict[tuple[int, str, int], set[tuple[int, ...]]] = defaultdict(set)
    for cpu in cpus:
        for index in root.names(f"sys/devices/system/cpu/cpu{cpu}/cache", "index*"):
            level, size = root.integer(f"{index}/level", 1, 9), _size(root, f"{index}/size")
            kind = root.line(f"{index}/type")
            if level and size and kind in _KINDS:
                sharers[level, kind.lower(), size].add(root.cpus(f"{index}/shared_cpu_list") or (cpu,))
    return tuple(
        Cache(level=level, kind=kind, bytes=size, shared_by=max(map(len, groups)), instances=len(groups))
        for (level, kind, size), groups in sorted(sharers.items())
    )


def _size(root: Root, path: str) -> int | None:
    line = root.line(path)
    if line is None:
        return None
    match = re.fullmatch(r"(\d{1,9})([KM]?)", line)
    if match is None:
        root.report(path, f"is not a size: {line[:40]!r}")
        return None
    return int(match[1]) * _UNITS[match[2]]
