import subprocess
import sys
from pathlib import Path

import pytest

import bonsai_edge

ROOT = Path(__file__).parents[2]
SOURCE_FOLDERS = ("backends", "devices", "plugins")


def modules_after(code: str) -> set[str]:
    """Run code in a fresh interpreter and return the names of the modules it has loaded."""
    child = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint(*sys.modules)"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return set(child.stdout.split())


def test_client_pays_for_messages_and_sockets_only() -> None:
    loaded = modules_after("from bonsai_edge import Client")
    assert "zmq" in loaded
    assert loaded.isdisjoint({"numpy", "numba", "jinja2", "tokenizers", "psutil"})


def test_importing_the_package_and_its_hook_marker_is_light() -> None:
    assert modules_after("from bonsai_edge import hookimpl").isdisjoint({"numpy", "zmq", "numba", "click"})


def test_every_public_name_exists_and_others_do_not() -> None:
    for name in bonsai_edge.__all__:
        assert getattr(bonsai_edge, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'lode'"):
        bonsai_edge.lode  # noqa: B018


@pytest.mark.parametrize("folder", SOURCE_FOLDERS)
def test_source_folders_are_not_packages(folder: str) -> None:
    """With an __init__.py the folder would shadow other people's package of that name in an editable install."""
    assert not (ROOT / folder / "__init__.py").exists()


@pytest.mark.parametrize("folder", SOURCE_FOLDERS)
def test_every_package_is_typed_linted_and_checked(folder: str) -> None:
    config = (ROOT / "pyproject.toml").read_text()
    packages = [path for path in (ROOT / folder).iterdir() if path.is_dir() and path.name != "__pycache__"]
    assert packages
    for package in packages:
        assert package.name.startswith("bonsai_edge_")
        assert (package / "py.typed").exists()
        assert (package / "__init__.py").exists()
        # mypy's packages, import-linter's roots, and its forbidden, independence and interface contracts
        assert config.count(f'"{package.name}"') >= 5, f"{package.name} is missing from a list in pyproject.toml"
