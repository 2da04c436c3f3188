from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from bonsai_edge.backend import Availability, Backend, ModelRunner, WarmReport
from bonsai_edge.backend_selection import BackendChoice
from bonsai_edge.cli import main
from bonsai_edge.progress import progress


class CompilingBackend(Backend):
    name = "compiling"
    summary = "for tests"

    def __init__(self, report: WarmReport | None) -> None:
        self.report = report

    def probe(self) -> Availability:
        raise AssertionError("it was selected, so it is usable")

    def load(self, *arguments: object) -> ModelRunner:
        raise AssertionError("warm is another method")

    def warm(self) -> WarmReport | None:
        progress.info("Compiling the %s.", "kernels")
        return self.report


@pytest.fixture
def offer(monkeypatch: pytest.MonkeyPatch):
    """Return a function that makes a backend with a report the one that is selected."""

    def install(report: WarmReport | None) -> None:
        def select(name: str, *, require: bool) -> BackendChoice:
            assert require
            return BackendChoice(CompilingBackend(report))

        monkeypatch.setattr("bonsai_edge.backend_selection.select_backend", select)

    return install


def test_report_says_where_what_and_how_much(cli: CliRunner, offer) -> None:
    offer(WarmReport("avx2 on haswell", Path("/opt/kernels"), ("step", "embed", "step"), 1_800_000))
    result = cli.invoke(main, ["warm"])
    assert result.exit_code == 0
    assert result.stdout.splitlines()[:-1] == [
        "backend   compiling, for avx2 on haswell",
        "folder    /opt/kernels",
        "size      1.8 MB",
        "compiled  3 functions (embed, step)",
    ]
    assert result.stdout.splitlines()[-1].startswith("took      0.")
    assert result.stderr == "Compiling the kernels.\n"


def test_report_says_when_all_was_there(cli: CliRunner, offer) -> None:
    offer(WarmReport("avx2 on haswell", Path("/opt/kernels"), (), 1))
    assert "compiled  nothing, all was there\n" in cli.invoke(main, ["warm"]).stdout


def test_json_has_the_whole_report(cli: CliRunner, offer) -> None:
    offer(WarmReport("avx2 on haswell", Path("/opt/kernels"), ("step",), 7))
    record = json.loads(cli.invoke(main, ["warm", "--json"]).stdout)
    assert record.pop("seconds") >= 0
    assert record == {
        "backend": "compiling",
        "target": "avx2 on haswell",
        "folder": "/opt/kernels",
        "compiled": ["step"],
        "bytes": 7,
    }


def test_backend_that_compiles_nothing_says_so(cli: CliRunner) -> None:
    assert cli.invoke(main, ["warm", "--backend", "reference"]).stdout == "reference has nothing to compile.\n"
    record = json.loads(cli.invoke(main, ["warm", "--backend", "reference", "--json"]).stdout)
    assert (record["backend"], record["folder"], record["compiled"]) == ("reference", None, None)
