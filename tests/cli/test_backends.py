from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from bonsai_edge import backend_selection
from bonsai_edge.backend import Availability, Backend, ModelRunner
from bonsai_edge.cli import main
from bonsai_edge.measuring import keeping
from bonsai_edge.measuring.trial import TrialResult
from bonsai_edge.plugin_manager import BackendStatus


class ProbedBackend(Backend):
    def __init__(self, name: str) -> None:
        self.name = name
        self.summary = f"computes {name}ly"

    def probe(self) -> Availability:
        raise AssertionError("the status already tells")

    def load(self, *arguments: object) -> ModelRunner:
        raise AssertionError("listing loads nothing")


@pytest.fixture
def statuses(monkeypatch: pytest.MonkeyPatch) -> list[BackendStatus]:
    """Three backends that `backends` finds, in this order; a test may take some away."""
    found = [
        BackendStatus(ProbedBackend("quick"), Availability(True, "AVX2 [found].", score=100, details={"isa": "avx2"})),
        BackendStatus(ProbedBackend("slow"), Availability(True, "Always there.", score=0)),
        BackendStatus(ProbedBackend("gone"), Availability(False, "No GPU was found.", score=900)),
    ]
    monkeypatch.setattr("bonsai_edge.plugin_manager.list_backends", lambda: found)
    return found


def test_json_has_every_backend_and_the_choice(cli: CliRunner, statuses: list[BackendStatus]) -> None:
    listing = json.loads(cli.invoke(main, ["backends", "--json"]).stdout)
    assert listing["auto"] == "quick"
    assert listing["backends"][0] == {
        "name": "quick",
        "summary": "computes quickly",
        "available": True,
        "reason": "AVX2 [found].",
        "score": 100,
        "needs_trial": False,
        "details": {"isa": "avx2"},
        "trial": None,
    }
    assert listing["auto_note"] is None
    assert [(entry["name"], entry["available"]) for entry in listing["backends"]] == [
        ("quick", True),
        ("slow", True),
        ("gone", False),
    ]


def test_table_says_why_and_what_auto_takes(cli: CliRunner, statuses: list[BackendStatus]) -> None:
    lines = cli.invoke(main, ["backends"]).stdout.splitlines()
    assert [line.split() for line in lines] == [
        ["backend", "computes", "with", "score", "usable", "why"],
        ["quick", "computes", "quickly", "100", "yes,", "auto", "AVX2", "[found]."],
        ["slow", "computes", "slowly", "0", "yes", "Always", "there."],
        ["gone", "computes", "gonely", "900", "no", "No", "GPU", "was", "found."],
    ]


def test_a_trial_is_shown_with_its_figures(
    cli: CliRunner, statuses: list[BackendStatus], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(keeping.platformdirs, "user_cache_path", lambda name: tmp_path / name)
    monkeypatch.setenv("COLUMNS", "200")
    results = (TrialResult("quick", 64.0, 256.0), TrialResult("integrated", 20.0, 512.0))
    monkeypatch.setattr(backend_selection, "run_trial", lambda *arguments: results)
    weak = Availability(True, "Shared.", score=150, needs_trial=True)
    statuses.insert(0, BackendStatus(ProbedBackend("integrated"), weak))
    output = cli.invoke(main, ["backends", "--remeasure"]).stdout
    rows = [line.split() for line in output.splitlines()]
    assert rows[1][3:9] == ["up", "to", "150", "20/s", "512/s", "yes"]
    assert rows[2][3:8] == ["100", "64/s", "256/s", "yes,", "auto"]
    assert rows[3][3:5] == ["0", "yes"]
    assert "quick was the fastest in a trial" in output
    assert "quick 1 s, integrated 1.85 s." in output
    listing = json.loads(cli.invoke(main, ["backends", "--json"]).stdout)
    assert listing["auto"] == "quick"
    assert listing["backends"][0]["trial"]["decode_tokens_per_s"] == 20.0
    assert listing["auto_note"].startswith("quick was the fastest")


def test_nothing_for_auto_is_said(cli: CliRunner, statuses: list[BackendStatus]) -> None:
    del statuses[0]
    assert cli.invoke(main, ["backends"]).stdout.endswith("\n'auto' finds no backend to take.\n")
    assert json.loads(cli.invoke(main, ["backends", "--json"]).stdout)["auto"] is None


def test_the_reference_is_always_found(cli: CliRunner) -> None:
    listing = json.loads(cli.invoke(main, ["backends", "--json"]).stdout)
    reference = next(entry for entry in listing["backends"] if entry["name"] == "reference")
    assert reference["available"]
    assert reference["reason"]
