"""What the mobile backend says of itself, with its library and without."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

import without_numba
from bonsai_edge.backend_selection import choose_auto
from bonsai_edge.cpu_step.isa_choice import ISA_VARIABLE
from bonsai_edge.errors import BackendUnavailableError
from bonsai_edge.plugin_manager import list_backends
from bonsai_edge_mobile import library
from bonsai_edge_mobile.library import LIBRARY_VARIABLE, Kernels, library_path, this_target
from mobile_kernels import mobile_backend


def test_probe_runs_a_kernel_and_names_the_instruction_set() -> None:
    availability = mobile_backend().probe()
    assert availability.reason == f"{availability.details['isa']} kernels pass their smoke test."


def test_cpu_is_better_where_both_can_run() -> None:
    mobile_backend()
    statuses = list_backends()
    assert {"cpu", "mobile"} <= {status.name for status in statuses if status.availability.available}
    assert choose_auto(statuses).name == "cpu"


def test_auto_takes_it_silently_and_generates_where_numba_is_not_installed() -> None:
    mobile_backend()
    command = [sys.executable, without_numba.__file__]
    child = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert child.returncode == 0, child.stderr
    found = json.loads(child.stdout)
    assert (found["backend"], found["note"]) == ("mobile", None)
    assert json.loads(found["texts"][0]) == {"actions": [{"action": "dock"}]}


def test_describing_the_backend_and_its_command_imports_nothing_heavy() -> None:
    code = (
        "import sys, bonsai_edge_mobile.plugin as p, bonsai_edge_mobile.command_plugin as c\n"
        "p.bonsai_backends(), c.bonsai_commands()\n"
        "print({'numba', 'llvmlite', 'ziglang', 'bonsai_edge_mobile.library'} & set(sys.modules))"
    )
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert child.stdout.strip() == "set()"


def test_missing_library_is_told_with_its_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(LIBRARY_VARIABLE, raising=False)
    monkeypatch.setattr(library, "_FOLDER", tmp_path)
    target = this_target()
    assert target is not None
    with pytest.raises(BackendUnavailableError) as caught:
        library_path()
    assert str(caught.value) == (
        f"This installation has no kernels for {target.name}. Build them on a machine with Numba: "
        f"`bonsai-edge kernels build --target {target.name}`."
    )


def test_machine_without_a_target_is_told_which_have_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(LIBRARY_VARIABLE, raising=False)
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    with pytest.raises(BackendUnavailableError, match=r"for linux on riscv64\. There are some for linux-x86_64, "):
        library_path()


@pytest.mark.parametrize(
    ("system", "machine", "expected"),
    [
        ("linux", "aarch64", "linux-arm64"),
        ("android", "aarch64", "linux-arm64"),
        ("darwin", "arm64", "macos-arm64"),
        ("linux", "x86_64", "linux-x86_64"),
    ],
)
def test_each_system_has_its_target(monkeypatch: pytest.MonkeyPatch, system: str, machine: str, expected: str) -> None:
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    target = this_target()
    assert target is not None
    assert target.name == expected


def test_file_that_is_no_library_of_kernels_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "library.so"
    path.write_bytes(b"no library")
    with pytest.raises(BackendUnavailableError, match=r"library\.so cannot be loaded: "):
        Kernels(path)


def test_library_can_be_named_and_the_instruction_set_chosen() -> None:
    mobile_backend()
    code = "from bonsai_edge_mobile.plugin import MobileBackend; print(MobileBackend().probe().reason)"

    def reason(**variables: str) -> str:
        environment = os.environ | variables
        command = [sys.executable, "-c", code]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True).stdout

    path = str(library_path())
    slowest = "portable" if platform.machine() == "x86_64" else "neon"
    assert reason(**{LIBRARY_VARIABLE: path, ISA_VARIABLE: slowest}) == f"{slowest} kernels pass their smoke test.\n"
    assert reason(**{ISA_VARIABLE: "mmx"}).startswith(f"{ISA_VARIABLE} asks for 'mmx'; this processor supports ")
    assert reason(**{LIBRARY_VARIABLE: "/nowhere.so"}).startswith("/nowhere.so cannot be loaded: ")
