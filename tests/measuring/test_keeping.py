from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

import msgspec
import pytest

from bonsai_edge.device_description import Battery, DeviceDescription, Memory, PowerMode, Problem
from bonsai_edge.measuring import keeping
from bonsai_edge.measuring.keeping import identity_of, keep, recall
from bonsai_edge.profiling.measurements import Measurements
from sample_profile import MEASUREMENTS

DESCRIPTION = DeviceDescription(memory=Memory(total_bytes=1 << 30, available_bytes=1 << 29))
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(keeping.platformdirs, "user_cache_path", lambda name: tmp_path / name)
    return tmp_path / "bonsai-edge" / "measurements"


def measured(ago: timedelta) -> Measurements:
    return msgspec.structs.replace(MEASUREMENTS, measured_at=(datetime.now(timezone.utc) - ago).isoformat())


def test_measurements_of_today_are_recalled() -> None:
    keep(measured(timedelta(hours=23)))
    recalled = recall("abc", Measurements, DAY)
    assert recalled is not None
    assert recalled.costs == MEASUREMENTS.costs
    assert recalled.memory_read_bytes_per_s == 1.6e10


@pytest.mark.parametrize("ago", [timedelta(hours=25), timedelta(hours=-1)])
def test_measurements_of_another_day_or_of_the_future_are_not(ago: timedelta) -> None:
    keep(measured(ago))
    assert recall("abc", Measurements, DAY) is None


def test_another_machine_has_none() -> None:
    keep(measured(timedelta()))
    assert recall("def", Measurements, DAY) is None


@pytest.mark.parametrize(
    "damage",
    [b"", b"{}", b"\xff", msgspec.json.encode(msgspec.structs.replace(MEASUREMENTS, measured_at="2026-01-02"))],
)
def test_damaged_measurements_are_told_and_not_used(
    cache: Path, damage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    cache.mkdir(parents=True)
    (cache / "abc.json").write_bytes(damage)
    assert recall("abc", Measurements, DAY) is None
    assert caplog.messages[0].startswith("Earlier measurements cannot be used: ")


def test_a_cache_that_cannot_be_written_is_told(cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    cache.parent.mkdir()
    cache.write_text("in the way")
    keep(MEASUREMENTS)
    assert caplog.messages[0].startswith("The measurements cannot be kept for later: ")


def identity(description: DeviceDescription = DESCRIPTION, threads: int = 2, isa: str = "avx2") -> str:
    return identity_of(description, "reference", {"isa": isa}, threads)


def test_identity_is_of_what_lasts() -> None:
    changed = msgspec.structs.replace(
        DESCRIPTION,
        memory=Memory(total_bytes=1 << 30, available_bytes=5),
        batteries=(Battery("BAT0", charge_percent=3),),
        problems=(Problem("/sys", "gone"),),
    )
    assert identity(changed) == identity()


def test_identity_changes_with_what_decides_speed() -> None:
    slower = msgspec.structs.replace(DESCRIPTION, power_mode=PowerMode("15W", "nvpmodel"))
    assert len({identity(), identity(slower), identity(threads=1), identity(isa="neon")}) == 4
