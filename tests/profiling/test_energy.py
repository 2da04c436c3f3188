from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bonsai_edge.profiling.energy import EnergyPerToken, Span, energy_j, energy_per_token
from bonsai_edge.profiling.sampling import Series, SeriesKey
from bonsai_edge.sensors import Quantity, Scope, Unavailable


def sampled(watts: Callable[[float], float], begin_s: float, end_s: float, period_s: float = 0.1) -> Series:
    series = Series(SeriesKey(Quantity.POWER, "VDD_IN", Scope.MODULE), "ina3221")
    for index in range(round((end_s - begin_s) / period_s) + 1):
        series.times_s.append(begin_s + index * period_s)
        series.values.append(watts(series.times_s[-1]))
    return series


def counted(watts: float, begin_s: float, end_s: float) -> Series:
    series = Series(SeriesKey(Quantity.ENERGY, "package-0", Scope.PACKAGE), "intel-rapl:0")
    for index in range(round(end_s - begin_s) + 1):
        series.times_s.append(begin_s + index)
        series.values.append(watts * index)
    return series


@given(
    begin_s=st.floats(0, 5),
    seconds=st.floats(1, 20),
    watts=st.floats(0.1, 100),
    slope=st.floats(0, 2),
)
def test_energy_of_power_on_a_straight_line_is_exact(
    begin_s: float, seconds: float, watts: float, slope: float
) -> None:
    """The trapezoid rule is exact on lines, also where a span begins and ends between two samples."""
    series = sampled(lambda t: watts + slope * t, 0, 30)
    expected = watts * seconds + slope * ((begin_s + seconds) ** 2 - begin_s**2) / 2
    assert energy_j(series, Span(begin_s, begin_s + seconds)) == pytest.approx(expected, rel=1e-9)


def test_energy_of_a_counter_is_a_difference() -> None:
    assert energy_j(counted(7.0, 0, 20), Span(2.5, 12.25)) == pytest.approx(7.0 * 9.75)


def power(t: float) -> float:
    """Idle until 10; prefill at 20 W from 10 to 11 and from 20 to 21; decoding at 12 W after each."""
    if t < 10 or 12 <= t < 20 or t >= 61:
        return 4.0
    return 20.0 if 10 <= t < 11 or 20 <= t < 21 else 12.0


SHORT, LONG, IDLE = Span(10.0, 12.0, 10), Span(20.0, 61.0, 410), Span(0.0, 9.0)


@pytest.mark.parametrize("period_s", [0.01, 0.1])
def test_long_minus_short_leaves_decoding_alone(period_s: float) -> None:
    """400 tokens more in 39 s more, all of them at 12 W: the prompt cancels out."""
    result = energy_per_token(sampled(power, 0, 70, period_s), SHORT, LONG, IDLE)
    assert isinstance(result, EnergyPerToken)
    assert result.raw_j == pytest.approx(12 * 39 / 400, rel=0.01)
    assert result.above_idle_j == pytest.approx(8 * 39 / 400, rel=0.01)
    assert (result.idle_w, result.decode_w) == (pytest.approx(4.0), pytest.approx(12.0, rel=0.01))
    assert result.tokens_per_j == pytest.approx(400 / (12 * 39), rel=0.01)
    assert (result.num_tokens, result.scope, result.source) == (400, "module", "ina3221")


def test_without_an_idle_baseline_only_the_raw_energy_is_known() -> None:
    result = energy_per_token(counted(10.0, 0, 100), Span(1, 5, 1), Span(10, 60, 101))
    assert isinstance(result, EnergyPerToken)
    assert result.raw_j == pytest.approx(10 * 46 / 100)
    assert (result.above_idle_j, result.idle_w) == (None, None)


@pytest.mark.parametrize(
    ("series", "short", "long", "reason"),
    [
        (sampled(power, 0, 70), LONG, SHORT, "the long run was not longer than the short one"),
        (sampled(power, 0, 70), SHORT, Span(20.0, 61.0, 10), "the long run was not longer than the short one"),
        (sampled(power, 0, 60), SHORT, LONG, "the sensor was not read over the whole time"),
        (sampled(power, 11, 70), SHORT, LONG, "the sensor was not read over the whole time"),
        (sampled(power, 0, 70, 2.0), SHORT, LONG, "0 samples in 2.0 s are too few"),
        (sampled(lambda t: 0.0, 0, 70), SHORT, LONG, "the long run took no more energy than the short one"),
        (
            Series(SeriesKey(Quantity.POWER, "x", "rail"), "s"),
            SHORT,
            LONG,
            "the sensor was not read over the whole time",
        ),
    ],
)
def test_what_the_samples_do_not_cover_is_unavailable(series: Series, short: Span, long: Span, reason: str) -> None:
    result = energy_per_token(series, short, long)
    assert isinstance(result, Unavailable)
    assert (result.quantity, result.source, result.reason) == (Quantity.ENERGY, series.source, reason)


def test_a_gap_in_the_samples_is_not_bridged() -> None:
    series = sampled(power, 0, 70)
    kept = [(t, w) for t, w in zip(series.times_s, series.values, strict=True) if not 30 < t < 45]
    gappy = Series(series.key, series.source)
    for time_s, watts in kept:
        gappy.times_s.append(time_s)
        gappy.values.append(watts)
    with pytest.raises(ValueError, match=r"260 samples in 41\.0 s are too few"):
        energy_j(gappy, LONG)
