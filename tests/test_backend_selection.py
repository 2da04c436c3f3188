"""How a backend is chosen."""

import re
from pathlib import Path

import pytest

from bonsai_edge import backend_selection, plugin_manager
from bonsai_edge.backend import Availability, Backend, ModelRunner
from bonsai_edge.backend_selection import BackendChoice, choose_auto, select_backend
from bonsai_edge.errors import BackendUnavailableError, UnknownBackendError
from bonsai_edge.measuring import keeping
from bonsai_edge.measuring.trial import TrialResult


class FakeBackend(Backend):
    summary = "for tests"

    def __init__(self, name: str, availability: Availability) -> None:
        self.name = name
        self.availability = availability
        self.num_probes = 0

    def probe(self) -> Availability:
        self.num_probes += 1
        return self.availability

    def load(self, *arguments: object) -> ModelRunner:
        raise AssertionError("choosing must not load")


@pytest.fixture
def backends(monkeypatch: pytest.MonkeyPatch) -> dict[str, FakeBackend]:
    offered = [
        FakeBackend("slow", Availability(True, "It works.", score=0)),
        FakeBackend("fast", Availability(True, "It works.", score=100)),
        FakeBackend("faster", Availability(False, "No such device.", score=200)),
    ]
    monkeypatch.setattr(plugin_manager, "installed_backends", lambda: offered)
    monkeypatch.setattr(backend_selection, "installed_backends", lambda: offered)
    return {backend.name: backend for backend in offered}


def test_auto_takes_the_best_that_can_run_and_says_which_would_be_better(backends) -> None:
    choice = select_backend("auto")
    assert choice.backend is backends["fast"]
    assert choice.note == "fast computes instead of faster, which cannot run here: No such device."
    assert choice.is_fallback


def test_the_first_choice_needs_no_note(backends) -> None:
    backends["faster"].availability = Availability(False, "This machine has no such hardware.", score=0)
    assert select_backend("auto") == BackendChoice(backends["fast"])
    assert select_backend("auto", require=True) == BackendChoice(backends["fast"])


def test_a_backend_that_is_named_is_the_only_one_that_is_probed(backends) -> None:
    assert select_backend("slow") == BackendChoice(backends["slow"])
    assert [backend.num_probes for backend in backends.values()] == [1, 0, 0]


def test_a_named_backend_that_cannot_run_is_replaced_with_a_note(backends) -> None:
    choice = select_backend("faster")
    assert choice.backend is backends["fast"]
    assert choice.note == "fast computes instead of faster, which cannot run here: No such device."


@pytest.mark.parametrize("name", ["faster", "auto"])
def test_what_is_required_is_not_replaced(backends, name: str) -> None:
    with pytest.raises(BackendUnavailableError, match=re.escape("Backend 'faster' cannot run here: No such device.")):
        select_backend(name, require=True)


@pytest.mark.parametrize("require", [False, True])
def test_an_unknown_name_is_refused_with_those_there_are(backends, require: bool) -> None:
    with pytest.raises(
        UnknownBackendError, match=re.escape("There is no backend 'fats'; installed are fast, faster, slow.")
    ):
        select_backend("fats", require=require)


def test_auto_never_takes_a_backend_of_score_0(backends) -> None:
    backends["fast"].availability = Availability(False, "Broken.", score=100)
    with pytest.raises(
        BackendUnavailableError, match=re.escape("faster: No such device. fast: Broken. slow: It works.")
    ):
        select_backend("auto")


class FakeTrial:
    """Stands for the measurement: tells what it was asked to compare, and answers with given times."""

    def __init__(self, request_s: dict[str, float]) -> None:
        self.request_s = request_s
        self.asked: list[list[str]] = []

    def __call__(self, backends, threads: int, available_bytes: int) -> tuple[TrialResult, ...]:
        self.asked.append([backend.name for backend in backends])
        results = [
            TrialResult(backend.name, 32 / seconds, 1e12)
            if (seconds := self.request_s[backend.name]) < float("inf")
            else TrialResult(backend.name, failure="out of memory")
            for backend in backends
        ]
        return tuple(sorted(results, key=lambda result: result.request_s))


@pytest.fixture
def trial(backends, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeTrial:
    """Make "faster" a GPU that may be worth 200, or not."""
    backends["faster"].availability = Availability(True, "It works.", score=200, needs_trial=True)
    fake = FakeTrial({"fast": 1.0, "faster": 0.5, "slow": 9.0})
    monkeypatch.setattr(backend_selection, "run_trial", fake)
    monkeypatch.setattr(keeping.platformdirs, "user_cache_path", lambda name: tmp_path / name)
    return fake


def test_a_trial_decides_where_a_score_is_only_what_may_be(backends, trial: FakeTrial) -> None:
    choice = select_backend("auto")
    assert choice.backend is backends["faster"]
    assert trial.asked == [["faster", "fast"]]
    assert not choice.is_fallback
    assert choice.note is not None
    assert choice.note.startswith("faster was the fastest in a trial on 20")
    assert choice.note.endswith("from a few layers took: faster 0.5 s, fast 1 s.")


def test_the_sure_one_is_taken_where_it_wins(backends, trial: FakeTrial) -> None:
    trial.request_s["faster"] = 1.5
    assert select_backend("auto", require=True).backend is backends["fast"]


def test_a_trial_is_remembered_until_it_is_asked_for_or_a_contender_changes(backends, trial: FakeTrial) -> None:
    statuses = plugin_manager.list_backends()
    first = choose_auto(statuses)
    assert choose_auto(statuses) == first
    assert len(trial.asked) == 1
    choose_auto(statuses, remeasure=True)
    assert len(trial.asked) == 2
    updated = Availability(True, "It works.", score=200, needs_trial=True, details={"driver": "2"})
    backends["faster"].availability = updated
    choose_auto(plugin_manager.list_backends())
    assert len(trial.asked) == 3


@pytest.mark.parametrize(
    ("name", "availability"),
    [
        ("faster", Availability(True, "Sure.", score=200)),  # nobody doubts
        ("faster", Availability(True, "Too weak.", score=50, needs_trial=True)),  # cannot win
        ("faster", Availability(False, "Broken.", score=200, needs_trial=True)),
        ("fast", Availability(False, "Broken.", score=100)),  # nobody to compare with
    ],
)
def test_nothing_is_measured_where_scores_can_tell(
    backends, trial: FakeTrial, name: str, availability: Availability
) -> None:
    backends[name].availability = availability
    select_backend("auto")
    assert trial.asked == []


def test_equal_scores_are_tried_and_better_sure_ones_end_it(backends, trial: FakeTrial) -> None:
    backends["faster"].availability = Availability(True, "It works.", score=100, needs_trial=True)
    backends["slow"].availability = Availability(True, "It works.", score=150, needs_trial=True)
    select_backend("auto")
    assert trial.asked == [["slow", "fast", "faster"]]


def test_one_that_fails_in_the_trial_is_not_taken_and_said(backends, trial: FakeTrial) -> None:
    trial.request_s["faster"] = float("inf")
    choice = select_backend("auto")
    assert choice.backend is backends["fast"]
    assert choice.note is not None
    assert choice.note.endswith("took: fast 1 s, faster failed (out of memory).")


def test_where_all_fail_the_sure_one_is_taken(backends, trial: FakeTrial) -> None:
    trial.request_s |= {"fast": float("inf"), "faster": float("inf")}
    assert select_backend("auto").backend is backends["fast"]


def test_a_fallback_tells_of_the_trial_as_well(backends, trial: FakeTrial) -> None:
    backends["slow"].availability = Availability(False, "No driver.", score=900)
    for name in ("auto", "slow"):
        choice = select_backend(name)
        assert choice.backend is backends["faster"]
        assert choice.is_fallback
        assert choice.note is not None
        assert choice.note.startswith("faster computes instead of slow, which cannot run here: No driver. faster was")
