"""How many cores are worth a compute thread: those this process may use, a thread each, without the little ones.

All threads meet after every operation, so a step is as fast as its slowest thread: a second thread on a core, or one on
a little core beside big ones, makes the others wait.
"""

from __future__ import annotations

import re
from pathlib import Path

import psutil

from bonsai_edge_devices.cgroup import cpu_quota_cores
from bonsai_edge_devices.pseudo_files import read_int, read_text

_CPUS = "sys/devices/system/cpu"
_BIG_SHARE = 0.75  # of the largest capacity: "prime" and "gold" cores of phones are both big, A55 beside A76 is little


def usable_cores(root: Path) -> tuple[int, str]:
    """Return the number of cores for compute threads, at least one, and what binds it.

    That is "affinity", "physical cores", "big cores" or "cgroup", the last that took some away.
    https://docs.kernel.org/admin-guide/cputopology.html and .../ABI/testing/sysfs-devices-system-cpu (cpu_capacity)
    """
    status = read_text(root / "proc/self/status") or ""
    allowed = re.search(r"^Cpus_allowed_list:\s*(\S+)", status, re.MULTILINE)
    if allowed:
        count, source = _count_worthwhile(root, _parse_cpu_list(allowed[1]))
    else:
        count, source = psutil.cpu_count(logical=False) or psutil.cpu_count() or 1, "physical cores"
    quota = cpu_quota_cores(root)
    if quota is not None and int(quota) < count:
        return max(1, int(quota)), "cgroup"
    return count, source


def _count_worthwhile(root: Path, cpus: list[int]) -> tuple[int, str]:
    """Count the cores that a list of logical processors belongs to, only the big ones if there are several."""
    source = "affinity"
    cores = _first_of_each_core(root, cpus)
    if len(cores) < len(cpus):
        source = "physical cores"
    capacities = {cpu: read_int(root / _CPUS / f"cpu{cpu}/cpu_capacity") or 0 for cpu in cores}
    big = [cpu for cpu in cores if capacities[cpu] >= _BIG_SHARE * max(capacities.values())]
    if 2 <= len(big) < len(cores):
        return len(big), "big cores"
    return len(cores), source


def _first_of_each_core(root: Path, cpus: list[int]) -> list[int]:
    """Return one logical processor of each core; where the system does not say which share one, all of them."""
    firsts: dict[str, int] = {}
    for cpu in cpus:
        topology = root / _CPUS / f"cpu{cpu}/topology"
        siblings = read_text(topology / "core_cpus_list") or read_text(topology / "thread_siblings_list") or str(cpu)
        firsts.setdefault(siblings, cpu)
    return list(firsts.values())


def _parse_cpu_list(cpu_list: str) -> list[int]:
    """Return the numbers of a list such as "0-3,8"."""
    ends = [part.split("-") for part in cpu_list.split(",")]
    return [cpu for end in ends for cpu in range(int(end[0]), int(end[-1]) + 1)]
