"""What core asks about the machine; the answers come from the plugins under `devices/`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class MemoryLimit:
    """A bound on the memory of this process, and what sets it.

    `source` is "MemAvailable", "cgroup", "RLIMIT_AS", "RLIMIT_DATA", "the operating system", or what a device plugin
    calls a memory of its own. `available_bytes` may still be allocated now; `process_bytes` is what the process as a
    whole may keep resident under it. `counts_mapped` tells whether what is mapped from files by now takes more room
    there when it becomes resident.
    """

    source: str
    available_bytes: int
    process_bytes: int
    counts_mapped: bool = True


@dataclass(frozen=True)
class DeviceProfile:
    """Facts about a machine that decide how a model is loaded.

    `memory_limits`, at least one, all hold. `resident_bytes` is what this process keeps in memory already, mapped
    libraries included. `usable_cores` are those worth a compute thread, and `core_limit_source` says what binds them
    ("affinity", "physical cores", "big cores" or "cgroup"). `big_cpus` is one logical processor of each big core where
    there are little ones as well: compute threads stay on them.
    """

    name: str
    machine: str
    total_memory_bytes: int
    memory_limits: tuple[MemoryLimit, ...]
    resident_bytes: int
    usable_cores: int
    core_limit_source: str = "affinity"
    big_cpus: tuple[int, ...] = ()

    @property
    def available_memory_bytes(self) -> int:
        """What may be allocated now."""
        return min(limit.available_bytes for limit in self.memory_limits)
