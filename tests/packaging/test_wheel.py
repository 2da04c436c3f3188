import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from bonsai_edge_mobile.library import library_path
from mobile_kernels import mobile_backend

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel_names(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Build the wheel and return the names of the files in it."""
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(out), str(ROOT)]
    subprocess.run(command, check=True, timeout=300, capture_output=True)
    (wheel,) = out.glob("*.whl")
    return set(zipfile.ZipFile(wheel).namelist())


def test_wheel_holds_the_import_packages_and_nothing_generic(wheel_names: set[str]) -> None:
    top = {name.split("/")[0] for name in wheel_names}
    packages = {name for name in top if not name.endswith(".dist-info")}
    assert packages == {
        "bonsai_edge",
        "bonsai_edge_convert",
        "bonsai_edge_cpu",
        "bonsai_edge_cuda",
        "bonsai_edge_devices",
        "bonsai_edge_hub",
        "bonsai_edge_metal",
        "bonsai_edge_mobile",
        "bonsai_edge_train",
        "bonsai_edge_webgpu",
    }


def test_wheel_holds_the_embedded_model_types_and_licence(wheel_names: set[str]) -> None:
    assert "bonsai_edge/data/seedling.gguf" in wheel_names
    assert "bonsai_edge/py.typed" in wheel_names
    assert any(name.endswith("licenses/LICENSE") for name in wheel_names)


def test_wheel_holds_the_profiles_of_boards(wheel_names: set[str]) -> None:
    assert "bonsai_edge_devices/boards/raspberry-pi-5.toml" in wheel_names


def test_wheel_declares_the_command_and_the_plugins(wheel_names: set[str]) -> None:
    assert any(name.endswith("entry_points.txt") for name in wheel_names)


def test_wheel_holds_the_kernels_that_have_been_built_and_their_header(wheel_names: set[str]) -> None:
    mobile_backend()
    assert f"bonsai_edge_mobile/lib/{library_path().name}" in wheel_names
    assert "bonsai_edge_mobile/native/bonsai_edge.h" in wheel_names
