"""How many cores are worth a compute thread: those this process may use, a thread each, without the little ones.

All threads meet after every operation, so a step is as fast as its slowest thread: a second thread on a core, or one on
a little core beside big ones, makes the others wait.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import psutil

from bonsai_edge.cpu_list import parse_cpu_list
from bonsai_edge_devices.cgroup import cpu_quota_cores
from bonsai_edge_devices.root import Root

_CPUS = "sys/devices/system/cpu"
_BIG_SHARE = 0.75  # of the largest capacity: "prime" and "gold" cores of phones are both big, A55 beside A76 is little


def usable_cores(root: Root) -> tuple[int, str]:
    """Return the number of cores for compute threads, at least one, and what binds it.

    That is "affinity", "physical cores", "big cores" or "cgroup", the last that took some away.
    https://docs.kernel.org/admin-guide/cputopology.html and .../ABI/testing/sysfs-devices-system-cpu (cpu_capacity)
    """
    allowed = _allowed_cpus(root)
    if allowed:
        count, source = _count_worthwhile(root, allowed)
    else:
        count, source = psutil.cpu_count(logical=False) or psutil.cpu_count() or 1, "physical cores"
    quota = cpu_quota_cores(root)
    if quota is not None and int(quota) < count:
        return max(1, int(quota)), "cgroup"
    return count, source


def siblings(root: Root, cpu: int) -> tuple[int, ...]:
    """Return the logical processors of the core that one belongs to; itself where the system does not say."""
    topology = f"{_CPUS}/cpu{cpu}/topology"
    return root.cpus(f"{topology}/core_cpus_list") or root.cpus(f"{topology}/thread_siblings_list") or (cpu,)


def _allowed_cpus(root: Root) -> tuple[int, ...] | None:
    status = root.text("proc/self/status") or ""
    allowed = re.search(r"^Cpus_allowed_list:\s*(\S+)", status, re.MULTILINE)
    return parse_cpu_list(allowed[1]) if allowed else None


def _count_worthwhile(root: Root, cpus: tuple[int, ...]) -> tuple[int, str]:
    """Count the cores that a list of logical processors belongs to, only the big ones if there are several."""
    source = "affinity"
    cores = _first_of_each_core(root, cpus)
    if len(cores) < len(cpus):
        source = "physical cores"
    capacities = {cpu: root.integer(f"{_CPUS}/cpu{cpu}/cpu_capacity", 1, 1024) or 0 for cpu in cores}
    big = [cpu for cpu in cores if capacities[cpu] >= _BIG_SHARE * max(capacities.values())]
    if 2 <= len(big) < len(cores):
        return len(big), "big cores"
    return len(cores), source


def _first_of_each_core(root: Root, cpus: Iterable[int]) -> list[int]:
    """Return one logical processor of each core."""
    firsts: dict[tuple[int, ...], int] = {}
    for cpu in cpus:
        firsts.setdefault(siblings(root, cpu), cpu)
    return list(firsts.values())
