"""Lists of logical processors as the kernel writes them, such as "0-3,8", or "0 1 2 3" for those of one clock."""

from __future__ import annotations

import re
from collections.abc import Iterable

_MOST_CPUS = 8192  # the most that Linux can be built for, CONFIG_NR_CPUS
_PART = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?")


def parse_cpu_list(text: str) -> tuple[int, ...] | None:
    """Return the numbers in order; None if the text is no such list or names more processors than can be."""
    cpus: set[int] = set()
    for part in re.split(r",|\s+", text.strip()):
        match = _PART.fullmatch(part)
        if match is None:
            return None
        first, last = int(match[1]), int(match[2] or match[1])
        if not first <= last < _MOST_CPUS:
            return None
        cpus.update(range(first, last + 1))
    return tuple(sorted(cpus))


def format_cpu_list(cpus: Iterable[int]) -> str:
    """Return the shortest such list."""
    runs: list[list[int]] = []
    for cpu in sorted(set(cpus)):
        if runs and cpu == runs[-1][1] + 1:
            runs[-1][1] = cpu
        else:
            runs.append([cpu, cpu])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)
