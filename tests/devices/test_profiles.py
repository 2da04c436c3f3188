import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from bonsai_edge.board_profile import load_board_profile
from bonsai_edge.device_description import Board
from bonsai_edge.errors import InvalidBoardProfileError
from bonsai_edge.hookspecs import hookimpl
from bonsai_edge.plugin_manager import device_description, find_sensors, plugin_manager
from bonsai_edge.sensors import Quantity, Reading, Scope, Sensor
from bonsai_edge_devices.profiles import builtin_profiles, find_profile, load_profiles
from bonsai_edge_devices.root import Root

DOCS = Path(__file__).parents[2] / "docs" / "devices.md"
BUILTIN = {path.stem: load_board_profile(path) for path in builtin_profiles()}

BOARD = """
id = "robot-arm"
name = "Robot Arm Controller"
sources = ["https://example.com/arm"]
[match]
compatible = ["acme,arm-*"]
[memory]
bandwidth_bytes_per_s = 12.8e9
"""


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_every_built_in_profile_is_named_by_its_id() -> None:
    assert {path_id: profile.id for path_id, profile in BUILTIN.items()} == {name: name for name in BUILTIN}
    assert len(BUILTIN) >= 20


def test_the_page_about_devices_lists_every_built_in_profile() -> None:
    page = DOCS.read_text()
    assert [name for name in BUILTIN if f"`{name}`" not in page] == []
    assert [profile.name for profile in BUILTIN.values() if profile.name not in page] == []
    assert [url for profile in BUILTIN.values() for url in profile.sources if url not in page] == []


@pytest.mark.parametrize(
    ("compatible", "expected"),
    [
        (["raspberrypi,3-model-b-plus", "brcm,bcm2837"], "raspberry-pi-3"),
        (["raspberrypi,3-compute-module", "brcm,bcm2837"], "raspberry-pi-cm3"),
        (["raspberrypi,400", "brcm,bcm2711"], "raspberry-pi-4"),
        (["raspberrypi,4-compute-module-s", "brcm,bcm2711"], "raspberry-pi-cm4"),
        (["raspberrypi,500", "brcm,bcm2712"], "raspberry-pi-5"),
        (["raspberrypi,5-compute-module", "brcm,bcm2712"], "raspberry-pi-cm5"),
        (["nvidia,jetson-nano", "nvidia,tegra210"], "jetson-nano"),
        (["nvidia,p3449-0000+p3668-0003", "nvidia,tegra194"], "jetson-xavier-nx"),
        (["nvidia,p2972-0000", "nvidia,tegra194"], "jetson-agx-xavier"),
        (["nvidia,p3768-0000+p3767-0000-super", "nvidia,p3767-0000", "nvidia,tegra234"], "jetson-orin-nx"),
        (["nvidia,p3768-0000+p3767-0004", "nvidia,p3767-0004", "nvidia,tegra234"], "jetson-orin-nano-4gb"),
        (["nvidia,p3971-0089+p3834-0008", "nvidia,p3834-0008", "nvidia,tegra264"], "jetson-agx-thor"),
        (["xunlong,orangepi-5", "rockchip,rk3588s"], None),
    ],
)
def test_boards_are_recognised_by_their_device_tree(compatible: list[str], expected: str | None) -> None:
    profile = find_profile(BUILTIN.values(), Board(compatible=tuple(compatible)), compatible[-1])
    assert (profile.id if profile else None) == expected


@pytest.mark.parametrize(
    ("name", "soc", "expected"),
    [
        ("Raspberry Pi 3 Model A Plus Rev 1.0", None, "raspberry-pi-3"),
        ("Raspberry Pi Compute Module 5 Rev 1.0", None, "raspberry-pi-cm5"),
        ("NVIDIA Jetson Orin Nano Developer Kit", None, "jetson-orin-nano"),
        ("Mac16,10", "Apple M4", "apple-m4"),
        ("Mac16,11", "Apple M4 Pro", "apple-m4-pro"),
        ("Mac14,2", "Apple M9", None),
    ],
)
def test_boards_are_recognised_by_name_or_chip(name: str, soc: str | None, expected: str | None) -> None:
    profile = find_profile(BUILTIN.values(), Board(name=name), soc)
    assert (profile.id if profile else None) == expected


def test_no_two_profiles_have_a_pattern_in_common() -> None:
    for a, b in itertools.combinations(BUILTIN.values(), 2):
        assert {*a.match.compatible, *a.match.names, *a.match.socs}.isdisjoint(
            {*b.match.compatible, *b.match.names, *b.match.socs}
        )


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (('id = "robot-arm"', 'id = "Robot Arm"'), "matching regex"),
        (('sources = ["https://example.com/arm"]', "sources = []"), "length >= 1"),
        (('"https://example.com/arm"', '"somebody said"'), "matching regex"),
        (("12.8e9", "-1"), "> 0"),
        (("12.8e9", "nan"), "> 0"),
        (("bandwidth_bytes_per_s", "bandwith_bytes_per_s"), "unknown field `bandwith_bytes_per_s`"),
        (("[match]", "[match"), "Expected ']'"),
        (('compatible = ["acme,arm-*"]', 'compatible = ["*"]'), "length >= 3"),
    ],
)
def test_a_bad_profile_says_what_is_wrong_where(tmp_path: Path, change: tuple[str, str], complaint: str) -> None:
    file = write(tmp_path / "arm.toml", BOARD.replace(*change))
    with pytest.raises(InvalidBoardProfileError) as caught:
        load_board_profile(file)
    assert caught.value.cause.startswith(f"The board profile {file} cannot be used: ")
    assert complaint in caught.value.cause


def test_a_profile_that_is_too_large_or_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidBoardProfileError, match="is larger than 65536 bytes"):
        load_board_profile(write(tmp_path / "large.toml", "#" * 70_000))
    with pytest.raises(InvalidBoardProfileError, match="No such file"):
        load_board_profile(tmp_path / "missing.toml")


def test_a_bad_profile_is_reported_and_the_others_are_used(tmp_path: Path) -> None:
    root = Root(tmp_path)
    bad, good = write(tmp_path / "bad.toml", "id = 1"), write(tmp_path / "good.toml", BOARD)
    assert list(load_profiles(root, [bad, good])) == ["robot-arm"]
    assert [problem.where for problem in root.problems] == [str(bad)]


def test_a_later_profile_of_the_same_id_replaces_an_earlier_one(tmp_path: Path) -> None:
    corrected = write(tmp_path / "corrected.toml", BOARD.replace("12.8e9", "10e9"))
    profiles = load_profiles(Root(tmp_path), [write(tmp_path / "first.toml", BOARD), corrected])
    assert profiles["robot-arm"].memory.bandwidth_bytes_per_s == 10e9


class Meter(Sensor):
    source = "meter"
    quantities = frozenset({Quantity.POWER})

    def read(self) -> list[Reading]:
        return [Reading(Quantity.POWER, "plug", Scope.BOARD, 42.0)]


@pytest.fixture
def third_party(tmp_path: Path) -> Iterator[None]:
    """A plugin with one TOML file that fits whatever machine this is, and with a meter."""
    everywhere = BOARD.replace('compatible = ["acme,arm-*"]', 'names = ["???*"]\nsocs = ["???*"]')
    file = write(tmp_path / "arm.toml", everywhere)

    class Plugin:
        @hookimpl
        def bonsai_board_profiles(self) -> list[Path]:
            return [file]

        @hookimpl
        def bonsai_sensors(self) -> list[Sensor]:
            return [Meter()]

    plugin = Plugin()
    plugin_manager().register(plugin)
    yield
    plugin_manager().unregister(plugin)


@pytest.mark.usefixtures("third_party")
def test_a_plugin_adds_a_board_with_one_file_and_a_sensor_with_one_class() -> None:
    description = device_description()
    assert description.profile is not None
    assert (description.profile.id, description.profile.name) == ("robot-arm", "Robot Arm Controller")
    found = find_sensors(description)
    assert [entry.read()[0].value for entry in found if isinstance(entry, Meter)] == [42.0]
    for entry in found:
        if isinstance(entry, Sensor):
            entry.close()


def test_without_the_plugin_its_board_is_unknown() -> None:
    profile = device_description().profile
    assert profile is None or profile.id != "robot-arm"
