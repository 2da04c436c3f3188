"""Deadlines are counted on the monotonic clock: whoever sets the time of day changes nothing."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from bonsai_edge.rpc.messages import Header
from rpc_requests import begin, expect_error, expect_result

if TYPE_CHECKING:
    from conftest import FakeModel, RawPeer

_DAY_S = 86_400.0


@pytest.mark.parametrize("jump_s", [-_DAY_S, _DAY_S])
def test_jump_of_the_clock_neither_passes_nor_postpones_a_deadline(
    peer: RawPeer, model: FakeModel, monkeypatch: pytest.MonkeyPatch, jump_s: float
) -> None:
    patient = begin(peer, "abc", Header(stream="none", deadline_ms=60_000))
    hasty = begin(peer, "never", Header(stream="none", deadline_ms=300))
    real_time, real_time_ns = time.time, time.time_ns
    monkeypatch.setattr(time, "time", lambda: real_time() + jump_s)
    monkeypatch.setattr(time, "time_ns", lambda: real_time_ns() + int(jump_s * 1e9))
    assert expect_error(peer, hasty).code == "deadline_exceeded"
    model.run_freely()
    assert expect_result(peer, patient).finish_reason == "stop"
