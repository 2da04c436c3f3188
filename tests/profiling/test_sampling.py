import threading
from collections.abc import Sequence

import pytest

from bonsai_edge.profiling.sampling import Recording, Sampler, Series, SeriesKey
from bonsai_edge.sensors import Quantity, Reading, Scope, Sensor


class Counting(Sensor):
    """Tells how often it was read, and when that was often enough."""

    source = "counting"
    quantities = frozenset({Quantity.POWER})

    def __init__(self, enough: int, period_s: float = 0.0) -> None:
        self.period_s = period_s
        self.count = 0
        self.closed = False
        self.read_enough = threading.Event()
        self._enough = enough

    def read(self) -> Sequence[Reading]:
        self.count += 1
        if self.count >= self._enough:
            self.read_enough.set()
        return [Reading(Quantity.POWER, "plug", Scope.BOARD, float(self.count))]

    def close(self) -> None:
        self.closed = True


class Failing(Counting):
    source = "failing"

    def __init__(self, exception: Exception) -> None:
        super().__init__(enough=3)
        self.exception = exception

    def read(self) -> Sequence[Reading]:
        super().read()
        raise self.exception


def test_readings_become_series_over_time() -> None:
    sensor = Counting(enough=4)
    with Sampler([sensor], period_s=0.001) as recording:
        assert sensor.read_enough.wait(10)
    (series,) = recording.of(Quantity.POWER)
    assert series.key == SeriesKey(Quantity.POWER, "plug", "whole board")
    assert series.source == "counting"
    assert series.values[:4].tolist() == [1.0, 2.0, 3.0, 4.0]
    assert sorted(series.times_s) == series.times_s.tolist()
    assert sensor.closed
    assert 0 < recording.cpu_s < recording.wall_s


def test_a_costly_sensor_is_read_more_rarely() -> None:
    quick, slow = Counting(enough=20), Counting(enough=1, period_s=3600)
    with Sampler([quick, slow], period_s=0.001):
        assert quick.read_enough.wait(10)
    assert slow.count == 1


def test_failures_are_counted_by_reason_and_other_sensors_go_on() -> None:
    failing, sensor = Failing(OSError(5, "Input/output error")), Counting(enough=5)
    with Sampler([failing, sensor], period_s=0.001) as recording:
        assert sensor.read_enough.wait(10)
    assert recording.failures.keys() == {("failing", "Input/output error")}
    assert recording.failures["failing", "Input/output error"] >= 4
    assert len(recording.series) == 1


def test_a_mistake_in_a_sensor_comes_out_where_the_sampling_ends() -> None:
    failing = Failing(ZeroDivisionError("mistake"))
    with pytest.raises(ZeroDivisionError, match="mistake"), Sampler([failing], period_s=0.001):
        failing.exception.args = ("mistake",)
    assert failing.closed


def test_a_failure_of_the_body_goes_before_a_mistake_in_a_sensor() -> None:
    with pytest.raises(KeyboardInterrupt), Sampler([Failing(ZeroDivisionError())], period_s=0.001):
        raise KeyboardInterrupt


def test_without_sensors_nothing_is_recorded_and_nothing_waits() -> None:
    with Sampler([]) as recording:
        pass
    assert recording.series == {}


def series(quantity: Quantity, scope: str) -> Series:
    return Series(SeriesKey(quantity, "name", scope), "source")


def test_the_widest_scope_is_chosen_and_a_counter_before_samples() -> None:
    rail = series(Quantity.POWER, Scope.RAIL)
    package = series(Quantity.ENERGY, Scope.PACKAGE)
    module, counted = series(Quantity.POWER, Scope.MODULE), series(Quantity.ENERGY, Scope.MODULE)
    estimate = series(Quantity.POWER, Scope.ESTIMATED_BOARD)

    def widest(*all_series: Series) -> Series | None:
        return Recording({entry.key: entry for entry in all_series}).widest_energy()

    assert widest(rail, estimate) is None
    assert widest(rail, package) is package
    assert widest(rail, package, module) is module
    assert widest(module, counted) is counted


def test_values_between_two_readings_lie_on_a_line() -> None:
    line = series(Quantity.POWER, Scope.BOARD)
    for time_s, watts in ((1.0, 10.0), (2.0, 20.0), (4.0, 20.0)):
        line.times_s.append(time_s)
        line.values.append(watts)
    assert [line.at(time_s) for time_s in (1.0, 1.25, 2.0, 3.0, 4.0)] == [10.0, 12.5, 20.0, 20.0, 20.0]
    for outside in (0.9, 4.1):
        with pytest.raises(ValueError, match="outside the readings"):
            line.at(outside)
