"""A bundle installs and generates with the network cut off; run by `make test-bundle` and `make test-slow`."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EMULATOR = ROOT / "tests" / "emulated" / "arm64.sh"
ANSWER = '{"actions":[{"action":"go","target":"kitchen"}]}'
# What runs with the network cut off: only if it is, which the first line proves.
COMMANDS = """
set -e
! "$1" -c 'import socket; socket.create_connection(("192.0.2.1", 9), 5)' 2> /dev/null
test "$(grep -c : /proc/net/dev)" = 1 && grep -q lo: /proc/net/dev
cd / && "$1" "$2/install.py" "$3" --no-warm
"$3/bin/bonsai-edge" generate --model "$4" 'drive to the kitchen'
"$3/bin/bonsai-edge" models --json
"""

pytestmark = pytest.mark.slow

Build = Callable[..., Path]


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Return a function that makes a bundle and returns its folder, unpacked from the archive."""
    if shutil.which("uv", path=str(Path(sys.executable).parent)) is None:
        pytest.skip("uv; run `make test-bundle`")
    output = tmp_path_factory.mktemp("bundles")

    def build(platform_name: str, python: str, *options: str) -> Path:
        command = [sys.executable, str(ROOT / "bundle" / "build.py"), "--platform", platform_name]
        command += ["--python-version", python, "--output", str(output / "dist"), *options]
        subprocess.run(command, check=True, timeout=900)
        (archive,) = (output / "dist").glob(f"*-{platform_name}-python{python}.tar")
        shutil.unpack_archive(archive, output, filter="data")
        return output / archive.stem

    return build


def test_a_bundle_installs_and_generates_without_a_network(build: Build, tmp_path: Path) -> None:
    if platform.system() != "Linux" or subprocess.run(["unshare", "--net", "--map-root-user", "true"]).returncode:
        pytest.skip("a system that lets this user make a network namespace")
    model = tmp_path / "kitchen-helper.gguf"
    shutil.copyfile(ROOT / "bonsai_edge" / "data" / "seedling.gguf", model)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    bundle = build(f"linux-{platform.machine()}", version, "--model", str(model))
    home = tmp_path / "home"
    home.mkdir()
    environment = {"PATH": os.environ["PATH"], "HOME": str(home)}
    cut_off = ["unshare", "--net", "--map-root-user", "sh", "-c", COMMANDS, "sh"]
    python = getattr(sys, "_base_executable", sys.executable)
    command = [*cut_off, python, str(bundle), str(tmp_path / "target"), "kitchen-helper"]
    run = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, timeout=1200)
    assert run.returncode == 0
    assert ANSWER in run.stdout
    assert str(home / ".local/share/bonsai-edge/models/kitchen-helper.gguf") in run.stdout


def test_a_bundle_generates_on_emulated_arm_without_a_network(build: Build, tmp_path: Path) -> None:
    if subprocess.run(["unshare", "--net", "true"]).returncode:
        pytest.skip("a system that lets this user make a network namespace; the emulated tree needs root")
    tree = subprocess.run([EMULATOR, "build"], capture_output=True, text=True)
    if tree.returncode:
        pytest.skip(f"the emulated tree: {tree.stderr.strip().splitlines()[-1]}")
    bundle = build("linux-aarch64", "3.11")
    home = tmp_path / "home"
    home.mkdir()
    inside = ["env", "-u", "PYTHONPATH", f"HOME={home}", "PATH=/usr/bin:/bin", "sh", "-c", COMMANDS, "sh"]
    command = ["unshare", "--net", str(EMULATOR), "run", "--", *inside]
    command += ["/usr/bin/python3", str(bundle), str(tmp_path / "target"), "seedling"]
    run = subprocess.run(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True, timeout=3000)
    assert run.returncode == 0
    assert ANSWER in run.stdout
