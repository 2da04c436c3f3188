"""Noise, verdict and the sustained run: what makes a profile valid."""

from __future__ import annotations

from array import array

import psutil
import pytest

from bonsai_edge.engine.engine import Engine
from bonsai_edge.profiling import noise
from bonsai_edge.profiling.model_speeds import SpeedTest
from bonsai_edge.profiling.noise import Disturbance, Watch
from bonsai_edge.profiling.sampling import Series, SeriesKey
from bonsai_edge.profiling.sustained import summarize, sustain
from bonsai_edge.profiling.verdict import Verdict, judge
from bonsai_edge.sensors import Quantity
from fake_runner import CountingRunner

QUIET = Disturbance(60.0, 0.05, 0, 10)
STEADY = [SpeedTest("tg", 128, 0, [20.0, 20.5])]


def series(quantity: Quantity, *values: float) -> Series:
    key = SeriesKey(quantity, "core0", "core")
    return Series(key, "/sys/x", array("d", range(len(values))), array("d", values))


def reasons(disturbance: Disturbance = QUIET, *recorded: Series, tests=STEADY, sustained=None) -> tuple[str, ...]:
    return judge(disturbance, 2, recorded, tests, sustained).reasons


def test_a_quiet_steady_measurement_is_valid() -> None:
    verdict = judge(QUIET, 2, [series(Quantity.TEMPERATURE, 50, 90), series(Quantity.THROTTLED, 0, 0)], STEADY, None)
    assert verdict == Verdict(True)
    assert str(verdict) == "VALID"


def test_where_others_cannot_be_seen_they_do_not_count() -> None:
    assert reasons(Disturbance(60.0, None, 0, 0)) == ()


def test_every_disturbance_is_a_reason() -> None:
    found = reasons(Disturbance(60.0, 0.5, 3_000_000, 5000))
    assert found == (
        "noisy machine: others kept 0.50 of 2 cores busy",
        "swapped: 3.0 MB went to swap or came from it",
        "short of memory: 5,000 pages were read from storage again",
    )


@pytest.mark.parametrize(
    ("recorded", "reason"),
    [
        (series(Quantity.THROTTLED, 0, 1, 0), "throttled: core0 (core)"),
        (series(Quantity.THROTTLE_EVENTS, 7, 9), "throttled: core0 rose from 7 to 9 (core)"),
        (series(Quantity.THROTTLE_TIME, 0.0, 0.5), "throttled: core0 rose from 0 to 0.5 (core)"),
    ],
)
def test_throttling_is_a_reason(recorded: Series, reason: str) -> None:
    assert reasons(QUIET, recorded) == (reason,)


@pytest.mark.parametrize(
    "recorded",
    [series(Quantity.THROTTLE_EVENTS, 7, 7), series(Quantity.THROTTLED_BEFORE, 1, 1), series(Quantity.THROTTLED)],
)
def test_throttling_of_the_past_is_none(recorded: Series) -> None:
    assert reasons(QUIET, recorded) == ()


def test_a_test_that_varies_is_a_reason() -> None:
    assert reasons(tests=[SpeedTest("pp", 512, 0, [100.0, 150.0])]) == ("unsteady: pp512 varies by 28%",)


def test_slowing_down_is_a_reason() -> None:
    slowed = summarize([float(second) for second in range(1, 121)] + [122.0 + 2 * lap for lap in range(60)], 128)
    assert slowed.ratio == pytest.approx(0.5)
    assert reasons(sustained=slowed) == ("not sustained: the last minute ran at 50% of the first",)


def test_the_halves_of_a_short_run_are_compared() -> None:
    short = summarize([1.0, 2.0, 4.0], 128)
    assert (short.first_tokens_per_s, short.last_tokens_per_s) == (128.0, 64.0)


def test_a_sustained_run_decodes_until_the_time_is_over_and_two_laps_at_least() -> None:
    runner = CountingRunner()
    advanced: list[float] = []
    sustained = sustain(Engine(runner), 0.0, advanced.append)
    assert len(sustained.times_s) == len(sustained.tokens_per_s) == len(advanced) == 2
    assert sum(advanced) == pytest.approx(sustained.times_s[-1])
    assert len(runner.batches) == 2 * 128


def test_watch_tells_what_others_did_beside_us(monkeypatch: pytest.MonkeyPatch) -> None:
    counters = iter([(100.0, 50.0, 10.0, 0, 5), (110.0, 65.0, 18.0, 4096, 8)])
    monkeypatch.setattr(Watch, "_counters", lambda self: next(counters))
    with Watch() as watch:
        pass
    assert watch.disturbance == Disturbance(10.0, 0.7, 4096, 3)


def test_own_work_is_no_disturbance() -> None:
    assert not noise._busy_s() <= 0  # NaN where the system does not tell
    with Watch() as watch:
        sum(range(10_000))
    assert watch.disturbance.seconds > 0
    assert watch.disturbance.other_cores is None or watch.disturbance.other_cores >= 0


@pytest.mark.parametrize("error", [PermissionError("/proc/stat"), psutil.AccessDenied()])
def test_a_system_that_hides_its_load_is_not_taken_for_busy_or_idle(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def refuse(*, percpu: bool) -> None:
        raise error

    monkeypatch.setattr(noise.psutil, "cpu_times", refuse)
    with Watch() as watch:
        pass
    assert watch.disturbance.other_cores is None
