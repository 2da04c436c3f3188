"""The installer of an offline bundle refuses what is not as it was packed, or not for this machine."""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

BUNDLE = Path(__file__).parents[2] / "bundle"
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


def script(name: str) -> ModuleType:
    """Import a script of the folder bundle/."""
    spec = importlib.util.spec_from_file_location(f"bundle_{name}", BUNDLE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


build, install = script("build"), script("install")


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """Return a bundle that is whole, of files that are no wheels."""
    folder = tmp_path / "bundle"
    (folder / "wheels").mkdir(parents=True)
    (folder / "wheels" / "pip-26-py3-none-any.whl").write_bytes(b"pip")
    (folder / "wheels" / "bonsai_edge-1-py3-none-any.whl").write_bytes(b"bonsai")
    (folder / "install.py").write_bytes((BUNDLE / "install.py").read_bytes())
    write_manifest(folder)
    return folder


def write_manifest(folder: Path, machine: str = platform.machine(), python: str = PYTHON) -> None:
    files = build.file_digests(folder)
    files.pop("manifest.json", None)
    (folder / "manifest.json").write_text(json.dumps({"machine": machine, "python": python, "files": files}))


def refusal(bundle: Path, target: Path) -> str:
    """Run the installer as a user does; return the only line that it says."""
    command = [sys.executable, str(bundle / "install.py"), str(target)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (run.returncode, run.stdout) == (1, "")
    assert not (target / "bin").exists()
    return run.stderr


def test_a_whole_bundle_is_verified(bundle: Path) -> None:
    assert set(install.verified_manifest(bundle)["files"]) == {
        "install.py",
        "wheels/bonsai_edge-1-py3-none-any.whl",
        "wheels/pip-26-py3-none-any.whl",
    }


def test_a_changed_byte_is_refused(bundle: Path, tmp_path: Path) -> None:
    (bundle / "wheels" / "bonsai_edge-1-py3-none-any.whl").write_bytes(b"bonsaj")
    assert refusal(bundle, tmp_path / "target") == (
        "Error: wheels/bonsai_edge-1-py3-none-any.whl is not what was packed: its SHA-256 differs. "
        "Copy the whole bundle again.\n"
    )


def test_a_missing_file_is_refused(bundle: Path, tmp_path: Path) -> None:
    (bundle / "wheels" / "bonsai_edge-1-py3-none-any.whl").unlink()
    assert refusal(bundle, tmp_path / "target").startswith("Error: wheels/bonsai_edge-1-py3-none-any.whl is missing.")


def test_a_wheel_that_was_added_is_refused(bundle: Path, tmp_path: Path) -> None:
    (bundle / "wheels" / "evil-1-py3-none-any.whl").write_bytes(b"")
    assert refusal(bundle, tmp_path / "target").startswith(
        "Error: wheels/evil-1-py3-none-any.whl does not belong to the bundle."
    )


def test_a_link_in_place_of_a_file_is_refused(bundle: Path, tmp_path: Path) -> None:
    wheel = bundle / "wheels" / "bonsai_edge-1-py3-none-any.whl"
    wheel.rename(tmp_path / "elsewhere")
    wheel.symlink_to(tmp_path / "elsewhere")
    assert "is not what was packed" in refusal(bundle, tmp_path / "target")


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"\xff", b'{"files": {"a": 1}}', b'{"files": []}'])
def test_a_damaged_manifest_is_refused(bundle: Path, tmp_path: Path, content: bytes) -> None:
    (bundle / "manifest.json").write_bytes(content)
    assert refusal(bundle, tmp_path / "target").startswith("Error: manifest.json cannot be read (")


def test_another_processor_is_told_which_bundle_it_needs(bundle: Path, tmp_path: Path) -> None:
    write_manifest(bundle, machine="riscv64")
    said = refusal(bundle, tmp_path / "target")
    assert said.startswith("Error: This bundle is for Linux on riscv64, and this is ")
    assert said.endswith(f"`make bundle PLATFORM=linux-{platform.machine()}`.\n")


def test_another_python_is_told_which_one_is_meant(bundle: Path, tmp_path: Path) -> None:
    write_manifest(bundle, python="3.9")
    assert "This bundle is for Python 3.9, and this is Python " in refusal(bundle, tmp_path / "target")


def test_a_directory_in_use_is_left_alone(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "precious").touch()
    assert "is not empty." in refusal(bundle, tmp_path / "target")
    assert os.listdir(tmp_path / "target") == ["precious"]


def test_the_archive_of_the_same_files_is_the_same(bundle: Path) -> None:
    first = build._archive(bundle).read_bytes()
    os.utime(bundle / "install.py", (1, 1))
    assert build._archive(bundle).read_bytes() == first


def test_only_a_model_is_packed_as_one(tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(b"no model")
    command = [sys.executable, str(BUNDLE / "build.py"), "--platform", "linux-aarch64", "--model", str(file)]
    run = subprocess.run([*command, "--output", str(tmp_path / "dist")], capture_output=True, text=True, timeout=60)
    assert run.returncode == 1
    assert "model.gguf" in run.stderr
    assert not (tmp_path / "dist").exists()
