"""Whatever lies where a file should: nothing crashes, and what changed for it is reported."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bonsai_edge.device_description import DeviceDescription
from bonsai_edge.sensors import Sensor
from bonsai_edge_devices.describe import describe
from bonsai_edge_devices.generic import read_profile
from bonsai_edge_devices.profiles import builtin_profiles
from bonsai_edge_devices.root import Root
from bonsai_edge_devices.sensors.finding import find_sensors
from machines import write_machine

MACHINES = ["android-termux", "cloud-vm", "jetson-nano", "jetson-orin-nano", "laptop-hybrid", "raspberry-pi-5"]


def put_bytes(content: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content)


# What no reader may take for content: each must be reported where it makes a difference.
SPOILT: dict[str, Callable[[Path], object]] = {
    "binary": put_bytes(b"\x00\xff\xfe\x80" * 8),
    "huge": lambda path: path.touch() or os.truncate(path, 5 << 20),
    "directory": Path.mkdir,
    "loop": lambda path: path.symlink_to(path),
    "pipe": os.mkfifo,
}
# What may be valid for one file and nonsense for another.
STRANGE = {
    "missing": lambda path: None,
    "empty": put_bytes(b""),
    "NaN": put_bytes(b"NaN\n"),
    "negative": put_bytes(b"-2147483648\n"),
    "zero": put_bytes(b"0\n"),
    "large": put_bytes(b"18446744073709551615\n"),
    "infinite": put_bytes(b"inf\n"),
    "list": put_bytes(b"0-4294967295\n"),
    "long": put_bytes(b"9" * 5000),
    "colons": put_bytes(b":::\n::\n:\n0::/../../..\n"),
}


class Machine:
    """A machine on disk, of which single files are replaced for the time of one test."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files = sorted(path for path in root.rglob("*") if path.is_file())
        self.usual = self.describe()

    def describe(self) -> DeviceDescription:
        return describe(Root(self.root), builtin_profiles())

    def replaced(self, index: int, make: Callable[[Path], object]) -> Path:
        path = self.files[index % len(self.files)]
        path.rename(path.with_name(".usual"))
        make(path)
        return path

    def restore(self, path: Path) -> None:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
        path.with_name(".usual").rename(path)


@pytest.fixture(scope="module", params=MACHINES)
def machine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Machine:
    return Machine(write_machine(request.param, tmp_path_factory.mktemp("machine")))


def examine(machine: Machine) -> DeviceDescription:
    """Do everything that is done with a machine."""
    description = machine.describe()
    assert msgspec.json.decode(msgspec.json.encode(description), type=DeviceDescription) == description
    profile = read_profile(machine.root)
    assert profile.usable_cores >= 1
    for entry in find_sensors(Root(machine.root), description):
        if isinstance(entry, Sensor):
            entry.close()
    return description


def without_problems(description: DeviceDescription) -> DeviceDescription:
    return msgspec.structs.replace(description, problems=())


@given(index=st.integers(0, 10_000), kind=st.sampled_from(sorted(SPOILT)))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_spoilt_files_change_nothing_that_is_not_reported(machine: Machine, index: int, kind: str) -> None:
    path = machine.replaced(index, SPOILT[kind])
    try:
        description = examine(machine)
    finally:
        machine.restore(path)
    if without_problems(description) != without_problems(machine.usual):
        assert str(path.relative_to(machine.root)) in {problem.where for problem in description.problems}


@given(index=st.integers(0, 10_000), kind=st.sampled_from(sorted(STRANGE)))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_strange_content_crashes_nothing(machine: Machine, index: int, kind: str) -> None:
    path = machine.replaced(index, STRANGE[kind])
    try:
        examine(machine)
    finally:
        machine.restore(path)


@given(index=st.integers(0, 10_000), content=st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_random_content_crashes_nothing(machine: Machine, index: int, content: bytes) -> None:
    path = machine.replaced(index, put_bytes(content))
    try:
        examine(machine)
    finally:
        machine.restore(path)


@pytest.mark.parametrize("kind", sorted(SPOILT | STRANGE))
def test_a_machine_of_nothing_but_nonsense_crashes_nothing(tmp_path: Path, kind: str) -> None:
    root = write_machine("laptop-hybrid", tmp_path)
    for path in [path for path in root.rglob("*") if path.is_file()]:
        path.unlink()
        (SPOILT | STRANGE)[kind](path)
    description = describe(Root(root), builtin_profiles())
    assert (description.soc, description.memory.total_bytes, description.isa_features) == (None, None, ())
    assert {"proc/cpuinfo", "proc/meminfo"} <= {problem.where for problem in description.problems}
    assert read_profile(root).usable_cores >= 1
    for entry in find_sensors(Root(root), description):
        if isinstance(entry, Sensor):
            entry.close()


@pytest.mark.parametrize(
    ("file", "content", "reason"),
    [
        ("sys/devices/system/cpu/cpufreq/policy0/cpuinfo_max_freq", "NaN", "is not a whole number: 'NaN'"),
        ("sys/devices/system/cpu/cpufreq/policy0/cpuinfo_min_freq", "-1", "is out of range: -1"),
        ("sys/devices/system/cpu/online", "0-99999", "is not a list of processors: '0-99999'"),
        ("sys/devices/system/cpu/cpu2/cache/index2/size", "lots", "is not a size: 'lots'"),
        ("sys/class/thermal/thermal_zone0/trip_point_0_temp", "999999999", "is out of range: 999999999"),
        ("sys/block/nvme0n1/size", "inf", "is not a whole number: 'inf'"),
        ("sys/fs/cgroup/cpu.max", "100000 0", "is not a quota and a period: '100000 0'"),
        ("sys/fs/cgroup/cpu.max", "some", "is not a quota and a period: 'some'"),
        ("sys/fs/cgroup/memory.max", "-5", "is out of range: -5"),
    ],
)
def test_nonsense_in_a_number_is_reported_by_its_file(tmp_path: Path, file: str, content: str, reason: str) -> None:
    root = write_machine("raspberry-pi-5", tmp_path)
    (root / file).parent.mkdir(parents=True, exist_ok=True)
    (root / file).write_text(content)
    description = describe(Root(root), builtin_profiles())
    assert [(problem.where, problem.reason) for problem in description.problems] == [(file, reason)]
