"""The figures of memory in every status."""

from __future__ import annotations

import psutil
import pytest

from bonsai_edge.rpc.memory_readings import MemoryReadings


def test_figures_are_those_of_this_process_and_machine() -> None:
    readings = MemoryReadings()
    assert readings.rss_bytes == pytest.approx(psutil.Process().memory_info().rss, rel=0.2)
    assert 0 < readings.available_bytes < psutil.virtual_memory().total


def test_memory_is_not_read_again_for_every_question(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    readings = MemoryReadings(lambda: now[0])
    monkeypatch.setattr(psutil, "virtual_memory", lambda: pytest.fail("read again"))
    now[0] = 0.1
    assert readings.available_bytes > 0


def test_figures_stay_while_no_descriptor_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    readings = MemoryReadings(lambda: now[0])
    before = readings.rss_bytes

    def fail(process: psutil.Process) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(psutil.Process, "memory_info", fail)
    now[0] = 1.0
    assert readings.rss_bytes == before
