"""How a backend is chosen."""

import re

import pytest

from bonsai_edge import plugin_manager
from bonsai_edge.backend import Availability, Backend, ModelRunner
from bonsai_edge.errors import BackendUnavailableError, UnknownBackendError
from bonsai_edge.plugin_manager import BackendChoice, select_backend


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
    monkeypatch.setattr(plugin_manager, "_installed_backends", lambda: offered)
    return {backend.name: backend for backend in offered}


def test_auto_takes_the_best_that_can_run_and_says_which_would_be_better(backends) -> None:
    choice = select_backend("auto")
    assert choice.backend is backends["fast"]
    assert choice.note == "fast computes instead of faster, which cannot run here: No such device."


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
