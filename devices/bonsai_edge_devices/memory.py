"""How much memory this process has and may have: the machine's, its cgroups', and its own limits."""

from __future__ import annotations

import resource
from dataclasses import dataclass

import psutil

from bonsai_edge.device import MemoryLimit
from bonsai_edge_devices.cgroup import available_memory_bytes
from bonsai_edge_devices.root import Root

# What is reserved beyond what becomes resident: measured with two threads, where less made starting them fail.
_STACK_BYTES = 8 << 20  # of a thread, the usual `ulimit -s`
_ARENA_BYTES = 64 << 20  # of a thread: HEAP_MAX_SIZE of glibc's malloc
_UNUSED_BYTES = 64 << 20  # work arrays that are rarely used to the full, and what is freed again while loading


@dataclass(frozen=True)
class ProcessMemory:
    """What this process has: resident in all, resident of its own (not of files), and reserved, resident or not."""

    resident_bytes: int
    anonymous_bytes: int
    address_space_bytes: int
    data_bytes: int


def process_memory(root: Root) -> ProcessMemory:
    """Read /proc/self/status, or ask psutil where there is none."""
    kib = root.counters("proc/self/status")
    if {"VmRSS", "RssAnon", "VmSize", "VmData"} <= kib.keys():
        anonymous_kib = kib["RssAnon"] + kib.get("RssShmem", 0)
        return ProcessMemory(*(1024 * n for n in (kib["VmRSS"], anonymous_kib, kib["VmSize"], kib["VmData"])))
    memory = psutil.Process().memory_info()
    return ProcessMemory(memory.rss, memory.rss, memory.vms, memory.rss)


def memory_limits(root: Root, process: ProcessMemory, cores: int) -> tuple[int, tuple[MemoryLimit, ...]]:
    """Return the machine's total bytes and everything that bounds what this process may allocate.

    `cores` are how many threads may be started, each of which reserves memory that it does not use.
    A machine and a cgroup count a mapped file's pages as available, because they may be evicted, so that of what the
    process has already only the anonymous part has to be added to what is left.
    """
    kib = root.counters("proc/meminfo")
    if "MemTotal" in kib and "MemAvailable" in kib:
        total, available, source = kib["MemTotal"] * 1024, kib["MemAvailable"] * 1024, "MemAvailable"
    else:
        memory = psutil.virtual_memory()
        total, available, source = memory.total, memory.available, "the operating system"
    limits = [MemoryLimit(source, available, available + process.anonymous_bytes)]
    in_cgroup = available_memory_bytes(root)
    if in_cgroup is not None:
        limits.append(MemoryLimit("cgroup", in_cgroup, in_cgroup + process.anonymous_bytes))
    return total, (*limits, *_resource_limits(process, cores))


def _resource_limits(process: ProcessMemory, cores: int) -> list[MemoryLimit]:
    """Return the limits of setrlimit(2), less what is going to be reserved and not used.

    RLIMIT_AS counts addresses when they are reserved, RLIMIT_DATA private memory alone: to neither does it matter
    whether a file that is mapped becomes resident.
    """
    limits = []
    for source, which, reserved_bytes, bytes_a_thread in (
        ("RLIMIT_AS", resource.RLIMIT_AS, process.address_space_bytes, _STACK_BYTES + _ARENA_BYTES),
        ("RLIMIT_DATA", resource.RLIMIT_DATA, process.data_bytes, _STACK_BYTES),
    ):
        soft, _ = resource.getrlimit(which)
        if soft != resource.RLIM_INFINITY:
            left = max(0, soft - reserved_bytes - _UNUSED_BYTES - cores * bytes_a_thread)
            limits.append(MemoryLimit(source, left, left + process.resident_bytes, counts_mapped=False))
    return limits
