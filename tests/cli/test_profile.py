from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from bonsai_edge.cli import main
from bonsai_edge.profiling.progress import Progress
from bonsai_edge.profiling.taking import Wishes
from bonsai_edge.profiling.verdict import Verdict
from sample_profile import MACHINE_ONLY, PROFILE


@pytest.fixture
def wishes(monkeypatch: pytest.MonkeyPatch) -> list[Wishes]:
    """What was wished for; the profile is a made-up one."""
    asked: list[Wishes] = []

    def take(wished: Wishes, progress: Progress) -> object:
        progress.begin("machine")
        progress.advance(1.0)
        asked.append(wished)
        return MACHINE_ONLY if wished.model is None else PROFILE

    monkeypatch.setattr("bonsai_edge.profiling.taking.take_profile", take)
    return asked


def test_words_end_with_the_verdict(cli: CliRunner, wishes: list[Wishes]) -> None:
    result = cli.invoke(main, ["profile", "--model", "robot.gguf", "--sustained", "10m", "--remeasure", "--kv", "q8"])
    assert result.exit_code == 0
    assert result.stderr == ""
    lines = result.stdout.splitlines()
    assert lines[0] == "machine         Raspberry <Pi>"
    assert lines[-1] == "VALID"
    assert "bonsai-8b     q8    4,096  800    30.0     20.0     150     130     55.0" in lines
    (wished,) = wishes
    assert (wished.model, wished.sustained_s, wished.remeasure) == ("robot.gguf", 600.0, True)
    assert (wished.loading["kv"], wished.loading["backend"]) == ("q8", "auto")


def test_json_is_the_whole_profile(cli: CliRunner, wishes: list[Wishes]) -> None:
    printed = cli.invoke(main, ["profile", "--json"]).stdout
    assert json.loads(printed) == json.loads(msgspec.json.encode(MACHINE_ONLY))


def test_table_alone_is_printed(cli: CliRunner, wishes: list[Wishes]) -> None:
    printed = cli.invoke(main, ["profile", "--model", "robot.gguf", "--llama-bench"]).stdout
    assert printed.startswith("| model | size | params |")
    assert printed.endswith("\nbuild: bonsai-edge 0.1.0\n")


def test_an_invalid_profile_says_why(cli: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    noisy = msgspec.structs.replace(MACHINE_ONLY, verdict=Verdict(False, ("noisy machine", "throttled")))
    monkeypatch.setattr("bonsai_edge.profiling.taking.take_profile", lambda wished, progress: noisy)
    assert cli.invoke(main, ["profile"]).stdout.endswith("\nINVALID: noisy machine; throttled\n")


def test_comparison_stands_below_or_apart_from_json(cli: CliRunner, wishes: list[Wishes], tmp_path: Path) -> None:
    old = tmp_path / "old.json"
    old.write_bytes(msgspec.json.encode(msgspec.structs.replace(MACHINE_ONLY, memory_read_bytes_per_s=8e9)))
    expected = "   2.00 x  memory_read_bytes_per_s: 8e+09 -> 1.6e+10"
    assert expected in cli.invoke(main, ["profile", "--compare", str(old)]).stdout.splitlines()
    as_json = cli.invoke(main, ["profile", "--compare", str(old), "--json"])
    assert expected in as_json.stderr.splitlines()
    assert json.loads(as_json.stdout)["memory_read_bytes_per_s"] == 1.6e10


def test_a_damaged_old_profile_is_refused_before_anything_is_measured(
    cli: CliRunner, wishes: list[Wishes], tmp_path: Path
) -> None:
    (tmp_path / "old.json").write_text("{}")
    result = cli.invoke(main, ["profile", "--compare", str(tmp_path / "old.json")])
    assert result.exit_code == 1
    assert "old.json is no profile: " in result.stderr
    assert wishes == []


def test_html_report_is_written(cli: CliRunner, wishes: list[Wishes], tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    assert cli.invoke(main, ["profile", "--html", str(path)]).exit_code == 0
    assert path.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_missing_matplotlib_is_told_before_anything_is_measured(
    cli: CliRunner, wishes: list[Wishes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    result = cli.invoke(main, ["profile", "--html", "report.html"])
    assert result.stderr == (
        "Error [invalid_request]: The HTML report needs matplotlib, which is not installed. "
        "Run: pip install 'bonsai-edge[report]'\n"
    )
    assert wishes == []


@pytest.mark.parametrize("arguments", [["--sustained", "10m"], ["--llama-bench"]])
def test_what_needs_a_model_is_wrong_use_without(cli: CliRunner, wishes: list[Wishes], arguments: list[str]) -> None:
    result = cli.invoke(main, ["profile", *arguments])
    assert result.exit_code == 2
    assert result.stderr.endswith("Error: --sustained and --llama-bench need a --model.\n")
