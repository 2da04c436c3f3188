"""Threads that answer clients may go before all normal programs; those that compute never do."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from bonsai_edge.cli import main
from bonsai_edge.errors import InvalidRequestError
from bonsai_edge.generation import TextChunk
from bonsai_edge.rpc.client import Client
from bonsai_edge.rpc.real_time import go_first
from bonsai_edge.rpc.server import Server

if TYPE_CHECKING:
    from conftest import FakeModel


def _real_time_threads() -> set[str]:
    names = set()
    for task in Path("/proc/self/task").iterdir():
        if os.sched_getscheduler(int(task.name)) & ~os.SCHED_RESET_ON_FORK == os.SCHED_RR:
            names.add((task / "comm").read_text().strip())
    return names


def _may_go_first() -> bool:
    allowed: list[bool] = []

    def try_it() -> None:
        try:
            go_first()
        except InvalidRequestError:
            return
        allowed.append(True)

    thread = threading.Thread(target=try_it)
    thread.start()
    thread.join()
    return bool(allowed)


@pytest.mark.skipif(not _may_go_first(), reason="needs a real-time class: Linux, and root or RLIMIT_RTPRIO")
def test_what_answers_goes_first_and_what_computes_does_not(model: FakeModel, endpoint: str) -> None:
    before = _real_time_threads()
    with Server(lambda: model, [endpoint], is_real_time=True), Client(endpoint) as client:
        model.allow(2)
        assert [each.text for each in client.generate("ab") if isinstance(each, TextChunk)] == ["a", "b"]
        answering = {each.native_id for each in threading.enumerate() if each.name.startswith("bonsai-edge-")}
        classes = {
            each.name: os.sched_getscheduler(each.native_id)
            for each in threading.enumerate()
            if each.native_id in answering and each.native_id is not None
        }
        first = os.SCHED_RR | os.SCHED_RESET_ON_FORK
        assert classes.pop("bonsai-edge-network") == first
        assert classes.pop("bonsai-edge-control") == first
        assert classes["bonsai-edge-compute"] == os.SCHED_OTHER
        assert not any(each & os.SCHED_RR for each in classes.values())
        assert any("IO" in name for name in _real_time_threads() - before)


def test_without_the_right_to_it_nothing_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    result = CliRunner().invoke(main, ["serve", "--real-time"])
    assert result.exit_code == 1
    assert result.stderr.endswith(
        "Error [invalid_request]: This process may not have a real-time class. Raise RLIMIT_RTPRIO to 1 "
        "(`LimitRTPRIO=1` in a systemd unit), or leave out --real-time.\n"
    )


def test_system_without_such_a_class_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "SCHED_RESET_ON_FORK")
    with pytest.raises(InvalidRequestError, match="does not let a program choose a real-time class"):
        go_first()
