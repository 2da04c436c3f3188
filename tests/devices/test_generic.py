import resource
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from bonsai_edge.device import MemoryLimit
from bonsai_edge.plugin_manager import device_profile
from bonsai_edge_devices.generic import read_profile

MIB = 1 << 20
HOST_TOTAL, HOST_AVAILABLE = 8_000 * MIB, 6_000 * MIB
MEMINFO = (
    f"MemTotal:{HOST_TOTAL // 1024:>16} kB\nMemFree:          100000 kB\nMemAvailable:{HOST_AVAILABLE // 1024:>13} kB\n"
)
V1_UNLIMITED = 9223372036854771712  # what version 1 writes where nobody set a limit


def machine(root: Path, files: dict[str, str | int]) -> Path:
    """Write a /proc and /sys of four cores and 8,000 MiB, with more files or others instead."""
    usual = {"proc/meminfo": MEMINFO, "proc/self/status": "Name:\tpython\nCpus_allowed_list:\t0-3\nThreads:\t1\n"}
    for name, content in (usual | files).items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(content))
    return root


def test_plain_machine_without_cgroups(tmp_path: Path) -> None:
    cpuinfo = (
        "processor\t: 0\nmodel name\t: AMD Ryzen 7 5800X 8-Core Processor\n\nprocessor\t: 1\nmodel name\t: other\n"
    )
    profile = read_profile(machine(tmp_path, {"proc/cpuinfo": cpuinfo}))
    assert profile.name == "AMD Ryzen 7 5800X 8-Core Processor"
    assert (profile.total_memory_bytes, profile.available_memory_bytes) == (HOST_TOTAL, HOST_AVAILABLE)
    assert [limit.source for limit in profile.memory_limits] == ["MemAvailable"]
    assert profile.usable_cores == 4


def test_pi_in_a_container_is_bound_by_its_cgroup(tmp_path: Path) -> None:
    root = machine(
        tmp_path,
        {
            "proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\0",
            "proc/self/cgroup": "0::/\n",
            "sys/fs/cgroup/memory.max": 1000 * MIB,
            "sys/fs/cgroup/memory.current": 700 * MIB,
            "sys/fs/cgroup/memory.stat": f"anon {200 * MIB}\ninactive_file {300 * MIB}\nactive_file {150 * MIB}\n",
            "sys/fs/cgroup/cpu.max": "250000 100000",
        },
    )
    profile = read_profile(root)
    assert profile.name == "Raspberry Pi 5 Model B Rev 1.0"
    assert profile.total_memory_bytes == HOST_TOTAL
    assert profile.available_memory_bytes == (1000 - (700 - 300 - 150)) * MIB
    assert [limit.source for limit in profile.memory_limits] == ["MemAvailable", "cgroup"]
    assert profile.usable_cores == 2


def test_limit_of_a_group_further_up_binds_too(tmp_path: Path) -> None:
    root = machine(
        tmp_path,
        {
            "proc/self/cgroup": "0::/robots.slice/brain.service\n",
            "sys/fs/cgroup/robots.slice/memory.max": 500 * MIB,
            "sys/fs/cgroup/robots.slice/memory.current": 100 * MIB,
            "sys/fs/cgroup/robots.slice/cpu.max": "100000 100000",
            "sys/fs/cgroup/robots.slice/brain.service/memory.max": "max",
            "sys/fs/cgroup/robots.slice/brain.service/memory.current": 90 * MIB,
            "sys/fs/cgroup/robots.slice/brain.service/cpu.max": "max 100000",
        },
    )
    profile = read_profile(root)
    assert profile.available_memory_bytes == 400 * MIB
    assert profile.usable_cores == 1


def test_version_1_limits(tmp_path: Path) -> None:
    group = "docker/0123"
    root = machine(
        tmp_path,
        {
            "proc/self/cgroup": f"9:name=systemd:/\n4:memory:/{group}\n1:cpu,cpuacct:/{group}\n0::/\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": V1_UNLIMITED,
            "sys/fs/cgroup/memory/memory.usage_in_bytes": 5000 * MIB,
            f"sys/fs/cgroup/memory/{group}/memory.limit_in_bytes": 800 * MIB,
            f"sys/fs/cgroup/memory/{group}/memory.usage_in_bytes": 300 * MIB,
            f"sys/fs/cgroup/memory/{group}/memory.stat": f"inactive_file 0\ntotal_inactive_file {50 * MIB}\n",
            f"sys/fs/cgroup/cpu/{group}/cpu.cfs_quota_us": 350_000,
            f"sys/fs/cgroup/cpu/{group}/cpu.cfs_period_us": 100_000,
        },
    )
    profile = read_profile(root)
    assert profile.available_memory_bytes == 550 * MIB
    assert profile.memory_limits[-1].source == "cgroup"
    assert profile.usable_cores == 3


def test_version_1_without_limits_binds_nothing(tmp_path: Path) -> None:
    root = machine(
        tmp_path,
        {
            "proc/self/cgroup": "4:memory:/\n1:cpu:/\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": V1_UNLIMITED,
            "sys/fs/cgroup/memory/memory.usage_in_bytes": 100 * MIB,
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": -1,
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": 100_000,
        },
    )
    profile = read_profile(root)
    assert profile.available_memory_bytes == HOST_AVAILABLE
    assert [limit.source for limit in profile.memory_limits] == ["MemAvailable"]
    assert profile.usable_cores == 4


@pytest.mark.parametrize("told", ["/docker/0123", "/../../init.scope"])
def test_container_that_is_told_a_path_of_its_host_finds_its_limit_at_the_mount_point(
    tmp_path: Path, told: str
) -> None:
    root = machine(
        tmp_path,
        {
            "proc/self/cgroup": f"0::{told}\n",
            "sys/fs/cgroup/memory.max": 300 * MIB,
            "sys/fs/cgroup/memory.current": 100 * MIB,
        },
    )
    assert read_profile(root).available_memory_bytes == 200 * MIB


def test_usage_above_the_limit_leaves_nothing_rather_than_less(tmp_path: Path) -> None:
    root = machine(
        tmp_path,
        {
            "proc/self/cgroup": "0::/\n",
            "sys/fs/cgroup/memory.max": 100 * MIB,
            "sys/fs/cgroup/memory.current": 120 * MIB,
        },
    )
    assert read_profile(root).available_memory_bytes == 0


@pytest.mark.parametrize(("allowed", "cores"), [("0", 1), ("0-1,4-5", 4), ("7,9", 2), ("0-127", 128)])
def test_affinity_counts_cores(tmp_path: Path, allowed: str, cores: int) -> None:
    root = machine(tmp_path, {"proc/self/status": f"Cpus_allowed:\tff\nCpus_allowed_list:\t{allowed}\n"})
    assert read_profile(root).usable_cores == cores


def test_quota_of_less_than_a_core_still_is_one(tmp_path: Path) -> None:
    root = machine(tmp_path, {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "50000 100000"})
    assert read_profile(root).usable_cores == 1


def test_machine_without_proc_is_asked_through_psutil(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(total=16 << 30, available=9 << 30))
    monkeypatch.setattr(psutil, "cpu_count", lambda logical: 10)
    monkeypatch.setattr("platform.platform", lambda: "macOS-15.1-arm64-arm-64bit")
    monkeypatch.setattr("platform.machine", lambda: "arm64")
    profile = read_profile(tmp_path)
    assert (profile.name, profile.machine) == ("macOS-15.1-arm64-arm-64bit", "arm64")
    assert (profile.total_memory_bytes, profile.available_memory_bytes) == (16 << 30, 9 << 30)
    assert [limit.source for limit in profile.memory_limits] == ["the operating system"]
    assert profile.usable_cores == 10


def test_memory_high_binds_as_well_as_memory_max(tmp_path: Path) -> None:
    group = {"memory.max": "max", "memory.high": 300 * MIB, "memory.current": 100 * MIB}
    files: dict[str, str | int] = {f"sys/fs/cgroup/{name}": content for name, content in group.items()}
    assert read_profile(machine(tmp_path, {"proc/self/cgroup": "0::/\n", **files})).available_memory_bytes == 200 * MIB


PROCESS = {"VmSize": 900, "VmRSS": 300, "RssAnon": 200, "RssFile": 95, "RssShmem": 5, "VmData": 400}
"""MiB of this process, as /proc/self/status has them in kB."""


@pytest.fixture
def busy_machine(tmp_path: Path) -> Path:
    """A machine without cgroups on which this process has some memory already."""
    status = "Cpus_allowed_list:\t0-3\n" + "".join(f"{name}:\t{mib * 1024} kB\n" for name, mib in PROCESS.items())
    return machine(tmp_path, {"proc/self/status": status})


def test_what_the_process_has_of_its_own_is_added_to_what_is_left(busy_machine: Path) -> None:
    profile = read_profile(busy_machine)
    assert profile.resident_bytes == 300 * MIB
    assert profile.memory_limits == (MemoryLimit("MemAvailable", HOST_AVAILABLE, HOST_AVAILABLE + 205 * MIB),)


@pytest.mark.parametrize(
    ("which", "reserved_mib"), [("RLIMIT_AS", 900 + 64 + 4 * 72), ("RLIMIT_DATA", 400 + 64 + 4 * 8)]
)
def test_limits_of_the_process_count_what_is_reserved_and_what_threads_will(
    busy_machine: Path, monkeypatch: pytest.MonkeyPatch, which: str, reserved_mib: int
) -> None:
    def getrlimit(limit: int) -> tuple[int, int]:
        soft = 2000 * MIB if limit == getattr(resource, which) else resource.RLIM_INFINITY
        return soft, resource.RLIM_INFINITY

    monkeypatch.setattr(resource, "getrlimit", getrlimit)
    left = (2000 - reserved_mib) * MIB
    limit = read_profile(busy_machine).memory_limits[-1]
    assert limit == MemoryLimit(which, left, left + 300 * MIB, counts_mapped=False)


def test_core_finds_this_plugin_and_the_machine_it_runs_on() -> None:
    profile = device_profile()
    assert 0 < profile.available_memory_bytes <= profile.total_memory_bytes
    assert profile.usable_cores >= 1
    assert profile.name


def test_pi_whose_device_tree_a_container_hides_is_named_by_its_kernel(tmp_path: Path) -> None:
    cpuinfo = "processor\t: 0\nCPU part\t: 0xd0b\n\nRevision\t: c04170\nModel\t\t: Raspberry Pi 5 Model B Rev 1.0\n"
    assert read_profile(machine(tmp_path, {"proc/cpuinfo": cpuinfo})).name == "Raspberry Pi 5 Model B Rev 1.0"


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("proc/self/cgroup", "no colons at all\n:\n"),
        ("proc/self/cgroup", "0::/" + "a/" * 3000),
        ("sys/fs/cgroup/cpu.max", "100000 0"),
        ("sys/fs/cgroup/cpu.max", "NaN 100000"),
        ("sys/fs/cgroup/memory.max", "-1"),
        ("proc/self/status", "Cpus_allowed_list:\t0-99999999999\n"),
        ("proc/self/status", "Cpus_allowed_list:\t3-0\n"),
        ("proc/meminfo", "MemTotal: many kB\nMemAvailable: 5\n"),
        ("sys/devices/system/cpu/cpu0/cpu_capacity", "99999999999999999999"),
    ],
)
def test_nonsense_from_the_kernel_stops_no_load(tmp_path: Path, file: str, content: str) -> None:
    profile = read_profile(machine(tmp_path, {"sys/fs/cgroup/memory.current": 5, file: content}))
    assert profile.usable_cores >= 1
    assert profile.available_memory_bytes > 0
