"""Every machine in tests/devices/machines is described as the JSON beside it says."""

from pathlib import Path

import msgspec
import pytest

from bonsai_edge.device_description import DeviceDescription
from bonsai_edge_devices.describe import describe
from bonsai_edge_devices.profiles import builtin_profiles
from bonsai_edge_devices.root import Root
from machines import MACHINES, machine_names, write_machine


@pytest.mark.parametrize("name", machine_names())
def test_a_machine_is_described_as_expected(tmp_path: Path, name: str) -> None:
    expected = msgspec.json.decode((MACHINES / f"{name}.json").read_bytes())
    profile_id = expected.pop("profile", None)
    description = describe(Root(write_machine(name, tmp_path)), builtin_profiles())
    assert (description.profile.id if description.profile else None) == profile_id
    assert msgspec.structs.replace(description, profile=None) == msgspec.convert(expected, DeviceDescription)


def test_a_description_survives_json(tmp_path: Path) -> None:
    description = describe(Root(write_machine("raspberry-pi-5", tmp_path)), builtin_profiles())
    assert description.profile is not None
    assert msgspec.json.decode(msgspec.json.encode(description), type=DeviceDescription) == description


def test_an_empty_machine_is_described_by_what_is_missing(tmp_path: Path) -> None:
    description = describe(Root(tmp_path), builtin_profiles())
    assert [(problem.where, problem.reason) for problem in description.problems] == [
        ("proc/cpuinfo", "is absent"),
        ("proc/meminfo", "is absent"),
    ]
    assert description == DeviceDescription(problems=description.problems)


def test_the_machine_that_this_runs_on_can_be_described() -> None:
    description = describe(Root(), builtin_profiles())
    assert description.system.machine is not None
    assert sum(cluster.num_cores for cluster in description.clusters) >= 1
    assert msgspec.json.encode(description)
