"""What core asks about the machine; the answers come from the plugins under `devices/`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DeviceProfile:
    """Facts about a machine that decide how a model is loaded.

    `available_memory_bytes` is what may be allocated now, and `memory_limit_source` says what binds it
    ("MemAvailable", "cgroup" or "the operating system"). `usable_cores` are those worth a compute thread, and
    `core_limit_source` says what binds them ("affinity", "physical cores", "big cores" or "cgroup").
    """

    name: str
    machine: str
    total_memory_bytes: int
    available_memory_bytes: int
    memory_limit_source: str
    usable_cores: int
    core_limit_source: str = "affinity"
