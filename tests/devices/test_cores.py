from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from bonsai_edge.device import DeviceProfile
from bonsai_edge_devices.cores import usable_cores
from bonsai_edge_devices.generic import read_profile
from bonsai_edge_devices.root import Root


def machine(root: Path, allowed: str, siblings: list[str], capacities: Sequence[int] = (), **files: str) -> Path:
    """Write a /proc and /sys with a sibling list, and perhaps a capacity, for each logical processor."""
    tree = {"proc/self/status": f"Name:\tpython\nCpus_allowed_list:\t{allowed}\n", "proc/self/cgroup": "0::/\n"}
    for cpu, sibling_list in enumerate(siblings):
        tree[f"sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list"] = sibling_list + "\n"
    for cpu, capacity in enumerate(capacities):
        tree[f"sys/devices/system/cpu/cpu{cpu}/cpu_capacity"] = f"{capacity}\n"
    for name, content in (tree | files).items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


LAPTOP = ["0,4", "1,5", "2,6", "3,7"] * 2  # four cores of two threads
EIGHT = [str(cpu) for cpu in range(8)]
ORANGE_PI_5 = [530] * 4 + [1024] * 4  # RK3588: Cortex-A55 and A76
PHONE = [325] * 4 + [871] * 3 + [1024]  # silver, gold and one prime core
ONE_BIG = [400] * 7 + [1024]


@pytest.mark.parametrize(
    ("allowed", "siblings", "capacities", "expected"),
    [
        ("0-7", LAPTOP, [], (4, "physical cores")),
        ("0-3", LAPTOP, [], (4, "affinity")),
        ("0,4", LAPTOP, [], (1, "physical cores")),
        ("0-3", ["0", "1", "2", "3"], [1024] * 4, (4, "affinity")),  # Raspberry Pi 5
        ("0-7", EIGHT, ORANGE_PI_5, (4, "big cores")),
        ("0-3", EIGHT, ORANGE_PI_5, (4, "affinity")),
        ("0-4", EIGHT, ORANGE_PI_5, (5, "affinity")),
        ("0-7", EIGHT, PHONE, (4, "big cores")),
        ("0-7", EIGHT, ONE_BIG, (8, "affinity")),
        ("0-7", [], [], (8, "affinity")),
    ],
)
def test_a_thread_for_each_core_that_is_allowed_and_big(
    tmp_path: Path, allowed: str, siblings: list[str], capacities: list[int], expected: tuple[int, str]
) -> None:
    assert usable_cores(Root(machine(tmp_path, allowed, siblings, capacities)))[:2] == expected


def test_threads_belong_on_the_big_cores_where_there_are_little_ones(tmp_path: Path) -> None:
    assert usable_cores(Root(machine(tmp_path / "rk3588", "0-7", EIGHT, ORANGE_PI_5))).big_cpus == (4, 5, 6, 7)
    assert usable_cores(Root(machine(tmp_path / "pi5", "0-3", EIGHT[:4], [1024] * 4))).big_cpus == ()


def test_intels_efficiency_cores_are_left_out(tmp_path: Path) -> None:
    siblings = ["0-1", "0-1", "2-3", "2-3", "4", "5", "6", "7"]
    root = Root(machine(tmp_path, "0-7", siblings, **{"sys/devices/cpu_atom/cpus": "4-7\n"}))
    assert usable_cores(root) == (2, "big cores", (0, 2))


@pytest.mark.parametrize(
    ("quota", "expected"),
    [
        ("400000 100000", (4, "big cores")),
        ("350000 100000", (3, "cgroup")),
        ("50000 100000", (1, "cgroup")),
        ("max 100000", (4, "big cores")),
    ],
)
def test_quota_binds_what_is_left_of_the_cores(tmp_path: Path, quota: str, expected: tuple[int, str]) -> None:
    files = {"sys/fs/cgroup/cpu.max": quota}
    assert usable_cores(Root(machine(tmp_path, "0-7", EIGHT, ORANGE_PI_5, **files)))[:2] == expected


def test_elsewhere_the_physical_cores_are_asked_for_through_psutil(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(psutil, "cpu_count", lambda logical=True: 16 if logical else 8)
    assert usable_cores(Root(tmp_path))[:2] == (8, "physical cores")
    monkeypatch.setattr(psutil, "cpu_count", lambda logical=True: 16 if logical else None)
    assert usable_cores(Root(tmp_path))[:2] == (16, "physical cores")


def test_the_profile_tells_the_number_and_what_binds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = SimpleNamespace(total=1 << 30, available=1 << 29)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    profile: DeviceProfile = read_profile(machine(tmp_path, "0-7", EIGHT, ORANGE_PI_5))
    assert (profile.usable_cores, profile.core_limit_source) == (4, "big cores")
