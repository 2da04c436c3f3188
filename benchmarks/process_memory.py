"""What Linux tells about the memory of this process."""

from __future__ import annotations

from pathlib import Path


def status_bytes(name: str) -> int:
    """Return a line of /proc/self/status, such as VmRSS, VmHWM or RssAnon, in bytes; raises LookupError without it."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024
    raise LookupError(f"/proc/self/status has no line {name}; Linux 4.5 or newer is needed")
