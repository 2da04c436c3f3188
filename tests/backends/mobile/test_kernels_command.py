"""`bonsai-edge kernels build`, with a stand-in for the compilers, which take minutes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from bonsai_edge.cli import main
from bonsai_edge_mobile import building, kernels_command
from bonsai_edge_mobile.building import KernelBuildError, build_library
from bonsai_edge_mobile.library import this_target
from bonsai_edge_mobile.targets import TARGETS, Target


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Return the targets that the command has built, with the number of jobs."""
    calls = []

    def build(target: Target, folder: Path, jobs: int) -> Path:
        calls.append((target.name, jobs))
        path = folder / target.library
        path.write_bytes(b"library")
        return path

    monkeypatch.setattr(kernels_command, "build_library", build)
    return calls


def test_without_a_target_this_kind_of_machine_is_built_for(built: list[tuple[str, int]], tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["kernels", "build", "--out", str(tmp_path), "--jobs", "3"])
    target = this_target()
    assert target is not None
    assert result.stdout == f"{tmp_path / target.library}\n"
    assert built == [(target.name, 3)]


def test_all_targets_are_told_as_json(built: list[tuple[str, int]], tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["kernels", "build", "--target", "all", "--out", str(tmp_path), "--json"])
    found = json.loads(result.stdout)
    assert list(found) == [name for name, _ in built] == list(TARGETS)
    assert found["linux-arm64"] == {"path": str(tmp_path / TARGETS["linux-arm64"].library), "bytes": 7}


def test_unknown_target_is_refused_with_those_that_there_are(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["kernels", "build", "--target", "amiga", "--out", str(tmp_path)])
    assert result.exit_code == 2
    assert "'linux-x86_64', 'linux-arm64', 'macos-arm64', 'ios-arm64', 'all'" in result.stderr


def test_failure_of_a_compiler_is_told_with_what_it_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho no such processor >&2\nexit 3\n")
    broken.chmod(0o755)
    monkeypatch.setattr(building.sys, "executable", str(broken))
    with pytest.raises(KernelBuildError, match=r"`python -m bonsai_edge_cpu\.ahead_of_time …` failed .* 3:\nno such"):
        build_library(TARGETS["linux-arm64"], tmp_path / "out", 1)
    assert list((tmp_path / "out").iterdir()) == []
