"""Cores by kind: big and little, performance and efficiency."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from bonsai_edge.cpu_list import format_cpu_list
from bonsai_edge.device_description import Cluster
from bonsai_edge_devices.cores import siblings
from bonsai_edge_devices.probes.cpuinfo import CpuInfo
from bonsai_edge_devices.root import Root

_CPUS = "sys/devices/system/cpu"
_HYBRID = {"sys/devices/cpu_core/cpus": "P-cores", "sys/devices/cpu_atom/cpus": "E-cores"}  # Intel's two kinds
_MOST_KHZ = 20_000_000


def online_cpus(root: Root, info: CpuInfo) -> tuple[int, ...]:
    """Return the logical processors that run."""
    return root.cpus(f"{_CPUS}/online") or tuple(sorted(info.by_cpu))


def offline_cpus(root: Root, info: CpuInfo) -> str | None:
    """Return those that are there but switched off, by a power mode for example."""
    present = root.cpus(f"{_CPUS}/present") or ()
    return format_cpu_list({*present} - {*online_cpus(root, info)}) or None


def clock_policies(root: Root) -> dict[str, tuple[int, ...]]:
    """Return the directories that set clocks, with the processors of each."""
    policies = {path: root.cpus(f"{path}/related_cpus") for path in root.names(f"{_CPUS}/cpufreq", "policy*")}
    return {path: cpus for path, cpus in policies.items() if cpus}


def probe_clusters(root: Root, info: CpuInfo) -> tuple[Cluster, ...]:
    """Group the online processors, the slowest kind first."""
    names = {cpu: name for path, name in _HYBRID.items() for cpu in root.cpus(path) or ()}
    policy_by_cpu = {cpu: path for path, cpus in clock_policies(root).items() for cpu in cpus}
    members: dict[tuple[str | None, str | None, int | None, int | None], list[int]] = defaultdict(list)
    for cpu in online_cpus(root, info):
        core = info.core_name(cpu)
        if core is None:  # on x86 the single cores of one kind differ in capacity and highest clock
            members[names.get(cpu), None, None, None].append(cpu)
        else:
            capacity = root.integer(f"{_CPUS}/cpu{cpu}/cpu_capacity", 1, 1024)
            clock = _highest_hz(root, [policy_by_cpu[cpu]] if cpu in policy_by_cpu else [], "cpuinfo_max_freq")
            members[None, core, capacity, clock].append(cpu)
    clusters = [
        _cluster(root, name, core, capacity, cpus, {policy_by_cpu[cpu] for cpu in cpus if cpu in policy_by_cpu})
        for (name, core, capacity, _), cpus in members.items()
    ]
    return tuple(sorted(clusters, key=lambda cluster: (cluster.capacity or 0, cluster.max_clock_hz or 0)))


def _cluster(
    root: Root, name: str | None, core: str | None, capacity: int | None, cpus: list[int], policies: set[str]
) -> Cluster:
    governors = {root.line(f"{policy}/scaling_governor") for policy in policies} - {None}
    return Cluster(
        name=name,
        core=core,
        cpus=format_cpu_list(cpus),
        num_cores=len({siblings(root, cpu) for cpu in cpus}),
        num_threads=len(cpus),
        capacity=capacity,
        min_clock_hz=_highest_hz(root, policies, "cpuinfo_min_freq"),
        max_clock_hz=_highest_hz(root, policies, "cpuinfo_max_freq"),
        clock_limit_hz=_highest_hz(root, policies, "scaling_max_freq"),
        governor=", ".join(sorted(filter(None, governors))) or None,
    )


def _highest_hz(root: Root, policies: Iterable[str], file: str) -> int | None:
    khz = [root.integer(f"{policy}/{file}", 1, _MOST_KHZ) for policy in policies]
    return max((1000 * number for number in khz if number is not None), default=None)
