"""What an SD card may be written in a day, by a clock that cannot be trusted."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bonsai_edge.errors import SessionStorageError, WriteBudgetError
from bonsai_edge.sessions import atomic_write
from bonsai_edge.sessions.store import SessionStore
from bonsai_edge.sessions.write_budget import LEDGER_NAME, WriteBudget
from faulty_os import FaultyOs, disk_full
from session_content import content, encode, is_whole, proven

NOON = 1_800_000_000.0
HOUR = 3600.0
UNSET = 3600.0  # 1970: a board without a battery, before the network tells the time


class Clock:
    def __init__(self, now_s: float = NOON) -> None:
        self.now_s = now_s

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def budget(tmp_path: Path, clock: Clock) -> WriteBudget:
    return WriteBudget(1000, tmp_path, clock)


def test_saves_within_the_budget_are_booked(budget: WriteBudget) -> None:
    budget.spend(600)
    budget.spend(400)
    assert budget.spent() == 1000


def test_a_save_beyond_the_budget_is_refused_with_the_numbers_and_not_booked(budget: WriteBudget) -> None:
    budget.spend(600)
    with pytest.raises(WriteBudgetError) as caught:
        budget.spend(401)
    assert str(caught.value) == (
        "Saving would write 401 bytes; of the 1000 that may be written in 24 hours 600 are used. "
        "Save less often, or raise the write budget."
    )
    assert caught.value.code == "write_budget_exceeded"
    assert budget.spent() == 600


def test_what_was_written_more_than_a_day_ago_counts_no_more(budget: WriteBudget, clock: Clock) -> None:
    budget.spend(1000)
    clock.now_s = NOON + 24 * HOUR
    assert budget.spent() == 1000
    clock.now_s = NOON + 25 * HOUR
    budget.spend(1000)


@given(steps=st.lists(st.tuples(st.floats(0, 30 * HOUR), st.integers(1, 1000)), max_size=20))
@settings(max_examples=60, deadline=None)
def test_no_24_hours_ever_have_more_than_the_budget(
    steps: list[tuple[float, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    clock, written = Clock(), []
    budget = WriteBudget(1000, tmp_path_factory.mktemp("ledger"), clock)
    for wait_s, num_bytes in steps:
        clock.now_s += wait_s
        try:
            budget.spend(num_bytes)
        except WriteBudgetError:
            continue
        written.append((clock.now_s, num_bytes))
    for start, _ in written:
        assert sum(num_bytes for time_s, num_bytes in written if start <= time_s < start + 24 * HOUR) <= 1000


def test_a_clock_that_is_not_set_neither_forgets_nor_begins_a_new_day(budget: WriteBudget, clock: Clock) -> None:
    budget.spend(600)
    for _ in range(3):  # three cold starts, each with a save before the clock is set
        clock.now_s = UNSET
        budget.spend(100)
        clock.now_s = NOON + HOUR
    assert budget.spent() == 900
    with pytest.raises(WriteBudgetError):
        budget.spend(101)
    clock.now_s = NOON + 25 * HOUR
    assert budget.spent() == 0


def test_a_clock_that_is_never_set_still_keeps_the_budget(budget: WriteBudget, clock: Clock) -> None:
    clock.now_s = UNSET
    budget.spend(1000)
    clock.now_s += HOUR
    with pytest.raises(WriteBudgetError):
        budget.spend(1)


@pytest.mark.parametrize("ahead_s", [2 * HOUR, 30 * HOUR, 1e9])
def test_a_clock_that_was_ahead_delays_saves_by_a_day_at_most(
    ahead_s: float, budget: WriteBudget, clock: Clock
) -> None:
    clock.now_s = NOON + ahead_s
    budget.spend(1000)
    clock.now_s = NOON
    for _ in range(2):
        with pytest.raises(WriteBudgetError):
            budget.spend(1)
    clock.now_s = NOON + 25 * HOUR
    budget.spend(1000)


@pytest.mark.parametrize(
    "junk", [b"", b"\xff\xfe", b"[1]", b'{"a": 1}', b'{"500000": -5}', b'{"500000": 1', b"9" * 70_000]
)
def test_a_damaged_ledger_is_begun_anew_and_told(
    junk: bytes, budget: WriteBudget, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / LEDGER_NAME).write_bytes(junk)
    budget.spend(1000)
    assert "cannot be read and is begun anew" in caplog.text
    assert budget.spent() == 1000


def test_the_ledger_stays_small(budget: WriteBudget, tmp_path: Path, clock: Clock) -> None:
    for _ in range(200):
        clock.now_s += HOUR
        budget.spend(1)
    assert (tmp_path / LEDGER_NAME).stat().st_size < 1000


class TestInAStore:
    SIZE = len(encode(content()))

    def test_a_refused_save_leaves_the_earlier_session(self, tmp_path: Path, clock: Clock) -> None:
        sessions = SessionStore(tmp_path, write_budget_bytes_per_day=self.SIZE, clock=clock)
        sessions.save("dock", content(1))
        with pytest.raises(WriteBudgetError):
            sessions.save("dock", content(2))
        assert is_whole(proven(tmp_path / "dock.session"), content(1))
        clock.now_s += 25 * HOUR
        sessions.save("dock", content(2))
        assert is_whole(proven(tmp_path / "dock.session"), content(2))

    def test_all_processes_share_the_budget(self, tmp_path: Path, clock: Clock) -> None:
        SessionStore(tmp_path, write_budget_bytes_per_day=self.SIZE, clock=clock).save("dock", content(1))
        with pytest.raises(WriteBudgetError):
            SessionStore(tmp_path, write_budget_bytes_per_day=self.SIZE, clock=clock).save("dock", content(2))

    def test_a_fork_by_link_is_free(self, tmp_path: Path, clock: Clock) -> None:
        sessions = SessionStore(tmp_path, write_budget_bytes_per_day=self.SIZE, clock=clock)
        sessions.save("dock", content(1))
        sessions.fork("dock", "kitchen")
        assert is_whole(proven(tmp_path / "kitchen.session"), content(1))

    def test_a_disk_that_fills_up_under_the_ledger_loses_nothing(
        self, tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for number in range(8):
            directory = tmp_path / str(number)
            sessions = SessionStore(directory, write_budget_bytes_per_day=10 * self.SIZE, clock=clock)
            sessions.save("dock", content(1))
            with monkeypatch.context() as patch:
                patch.setattr(atomic_write, "os", FaultyOs(number, disk_full))
                with pytest.raises(SessionStorageError, match="No space left on device"):
                    sessions.save("dock", content(2))
            assert is_whole(proven(directory / "dock.session"), content(1))
            sessions.save("dock", content(2))
            assert is_whole(proven(directory / "dock.session"), content(2))
