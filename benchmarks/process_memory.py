"""What Linux tells about the memory of a process."""

from __future__ import annotations

from pathlib import Path


def status_bytes(name: str, pid: int | str = "self") -> int:
    """Return a line of /proc/PID/status, such as VmRSS, VmHWM or RssAnon, in bytes; raises LookupError without it."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024
    raise LookupError(f"/proc/{pid}/status has no line {name}; Linux 4.5 or newer is needed")
