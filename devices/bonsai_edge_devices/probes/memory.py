"""Memory, swap, and the limits that a container sets."""

from __future__ import annotations

import re

from bonsai_edge.device_description import Memory
from bonsai_edge_devices.cgroup import memory_limit_bytes
from bonsai_edge_devices.root import Root


def probe_memory(root: Root, unified: bool | None) -> Memory:
    """Return the sizes; whether CPU and GPU share it is known from elsewhere."""
    kib = root.counters("proc/meminfo", expected=True)
    if "MemTotal" not in kib:
        root.report("proc/meminfo", "tells no MemTotal")
    bytes_by_name = {name: 1024 * number for name, number in kib.items()}
    huge_pages = re.search(r"\[(\w{1,20})\]", root.line("sys/kernel/mm/transparent_hugepage/enabled") or "")
    return Memory(
        total_bytes=bytes_by_name.get("MemTotal"),
        available_bytes=bytes_by_name.get("MemAvailable"),
        limit_bytes=memory_limit_bytes(root),
        swap_bytes=bytes_by_name.get("SwapTotal"),
        zram_bytes=sum(root.integer(f"{disk}/disksize") or 0 for disk in root.names("sys/block", "zram*")) or None,
        huge_pages=huge_pages[1] if huge_pages else None,
        unified=unified,
    )
