import os
import threading

import pytest

from bonsai_edge.cpu_step.threads import ThreadTeam
from bonsai_edge.errors import BackendUnavailableError


@pytest.mark.parametrize("num_threads", [1, 4])
def test_every_part_runs_once_and_all_at_the_same_time(num_threads: int) -> None:
    team = ThreadTeam(num_threads)
    gate = threading.Barrier(num_threads, timeout=10)
    parts: list[int] = []

    def part(thread: int) -> None:
        gate.wait()
        parts.append(thread)

    for _ in range(3):
        team.run(part)
    team.close()
    assert sorted(parts) == sorted(list(range(num_threads)) * 3)


def test_what_a_part_raises_is_raised_by_run_and_the_team_goes_on() -> None:
    team = ThreadTeam(2)

    def fail(thread: int) -> None:
        if thread == 1:
            raise ArithmeticError("in a helper")

    with pytest.raises(ArithmeticError, match="in a helper"):
        team.run(fail)
    parts: list[int] = []
    team.run(parts.append)
    team.close()
    assert sorted(parts) == [0, 1]


def test_a_forked_child_is_refused_instead_of_waiting_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    team = ThreadTeam(2)
    process_id = os.getpid()
    with monkeypatch.context() as patch:
        patch.setattr(os, "getpid", lambda: process_id + 1)
        with pytest.raises(BackendUnavailableError, match="loaded before this process was forked"):
            team.run(lambda thread: None)
    team.close()


def test_threads_that_cannot_be_started_are_refused_with_the_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(BackendUnavailableError, match=r"^3 threads cannot be started: can't start new thread\."):
        ThreadTeam(3)
