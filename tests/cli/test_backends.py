from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from bonsai_edge.backend import Availability, Backend, ModelRunner
from bonsai_edge.cli import main
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
        "details": {"isa": "avx2"},
    }
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


def test_nothing_for_auto_is_said(cli: CliRunner, statuses: list[BackendStatus]) -> None:
    del statuses[0]
    assert cli.invoke(main, ["backends"]).stdout.endswith("\n'auto' finds no backend to take.\n")
    assert json.loads(cli.invoke(main, ["backends", "--json"]).stdout)["auto"] is None


def test_the_reference_is_always_found(cli: CliRunner) -> None:
    listing = json.loads(cli.invoke(main, ["backends", "--json"]).stdout)
    reference = next(entry for entry in listing["backends"] if entry["name"] == "reference")
    assert reference["available"]
    assert reference["reason"]
