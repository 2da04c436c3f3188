"""How many cores are worth a compute thread: those this process may use, a thread each, without the little ones.

All threads meet after every operation, so a step is as fast as its slowest thread: a second thread on a core, or one on
a little core beside big ones, makes the others wait.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

import psutil

from bonsai_edge.cpu_list import parse_cpu_list
from bonsai_edge_devices.cgroup import cpu_quota_cores
from bonsai_edge_devices.root import Root

_CPUS = "sys/devices/system/cpu"
_EFFICIENCY_CPUS = "sys/devices/cpu_atom/cpus"  # of Intel's hybrid processors
_BIG_SHARE = 0.75  # of the largest capacity: "prime" and "gold" cores of phones are both big, A55 beside A76 is little


class UsableCores(NamedTuple):
    """The number of cores for compute threads, at least one, and what binds it.

    `source` is "affinity", "physical cores", "big cores" or "cgroup", the last that took some away. `big_cpus` are one
    logical processor of each big core, where little ones were left out: threads have to be kept on them.
    """

    number: int
    source: str
    big_cpus: tuple[int, ...] = ()


def usable_cores(root: Root) -> UsableCores:
    """Count the cores worth a thread.

    https://docs.kernel.org/admin-guide/cputopology.html and .../ABI/testing/sysfs-devices-system-cpu (cpu_capacity)
    """
    allowed = _allowed_cpus(root)
    if allowed:
        cores = _worthwhile(root, allowed)
    else:
        cores = UsableCores(psutil.cpu_count(logical=False) or psutil.cpu_count() or 1, "physical cores")
    quota = cpu_quota_cores(root)
    if quota is not None and int(quota) < cores.number:
        return cores._replace(number=max(1, int(quota)), source="cgroup")
    return cores


def siblings(root: Root, cpu: int) -> tuple[int, ...]:
    """Return the logical processors of the core that one belongs to; itself where the system does not say."""
    topology = f"{_CPUS}/cpu{cpu}/topology"
    return root.cpus(f"{topology}/core_cpus_list") or root.cpus(f"{topology}/thread_siblings_list") or (cpu,)


def _allowed_cpus(root: Root) -> tuple[int, ...] | None:
    status = root.text("proc/self/status") or ""
    allowed = re.search(r"^Cpus_allowed_list:\s*(\S+)", status, re.MULTILINE)
    return parse_cpu_list(allowed[1]) if allowed else None


def _worthwhile(root: Root, cpus: tuple[int, ...]) -> UsableCores:
    """Count the cores that a list of logical processors belongs to, only the big ones if there are several."""
    cores = _first_of_each_core(root, cpus)
    capacities = {cpu: root.integer(f"{_CPUS}/cpu{cpu}/cpu_capacity", 1, 1024) or 0 for cpu in cores}
    efficient = root.cpus(_EFFICIENCY_CPUS) or ()
    big = [cpu for cpu in cores if capacities[cpu] >= _BIG_SHARE * max(capacities.values()) and cpu not in efficient]
    if 2 <= len(big) < len(cores):
        return UsableCores(len(big), "big cores", tuple(big))
    return UsableCores(len(cores), "physical cores" if len(cores) < len(cpus) else "affinity")


def _first_of_each_core(root: Root, cpus: Iterable[int]) -> list[int]:
    """Return one logical processor of each core."""
    firsts: dict[tuple[int, ...], int] = {}
    for cpu in cpus:
        firsts.setdefault(siblings(root, cpu), cpu)
    return list(firsts.values())
