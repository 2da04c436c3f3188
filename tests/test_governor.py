"""Pausing between steps, on a machine whose heat and clock are made up."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from bonsai_edge import runtime
from bonsai_edge.backend import Batch
from bonsai_edge.engine.engine import Engine
from bonsai_edge.errors import InvalidRequestError
from bonsai_edge.governor import DutyCycle, GovernedRunner, thermometers
from bonsai_edge.sensors import Quantity, Reading, Sensor, Unavailable
from fake_runner import CountingRunner
from gguf_files import write_random_model

AMBIENT_C = 30.0
BATCH = Batch(*(np.zeros(1, np.int32) for _ in range(3)), np.zeros((1, 1), np.int32), np.zeros(1, np.int32))
MISSING = Unavailable(Quantity.TEMPERATURE, "thermal zones", "a virtual machine does not see its host's")


class Machine(Sensor):
    """A processor that computing heats towards 95 °C and resting cools, within half a minute; the clock as well."""

    source = "synthetic"
    quantities = frozenset({Quantity.TEMPERATURE})

    def __init__(self) -> None:
        self.now_s = 0.0
        self.computing_s = 0.0
        self.temperature_c = AMBIENT_C
        self.history: list[float] = []
        self.is_readable = True
        self.is_closed = False

    def now(self) -> float:
        return self.now_s

    def compute(self, seconds: float) -> None:
        self.computing_s += seconds
        self._pass(seconds, 95.0)

    def rest(self, seconds: float) -> None:
        self._pass(seconds, AMBIENT_C)

    def read(self) -> Sequence[Reading]:
        if not self.is_readable:
            raise OSError(5, "Input/output error")
        return [
            Reading(Quantity.TEMPERATURE, "cpu", "zone", self.temperature_c),
            Reading(Quantity.TEMPERATURE, "case", "zone", AMBIENT_C),
        ]

    def close(self) -> None:
        self.is_closed = True

    def _pass(self, seconds: float, towards_c: float) -> None:
        self.now_s += seconds
        self.temperature_c += (towards_c - self.temperature_c) * (1 - np.exp(-seconds / 30.0))
        self.history.append(self.temperature_c)


class Meter(Machine):
    quantities = frozenset({Quantity.POWER})


class HotRunner(CountingRunner):
    """Each step takes a tenth of a second of the machine's time."""

    def __init__(self, machine: Machine) -> None:
        super().__init__()
        self.machine = machine
        self.is_closed = False

    def forward(self, batch: Batch):
        self.machine.compute(0.1)
        return super().forward(batch)

    def close(self) -> None:
        self.is_closed = True


def run(machine: Machine, limit_c: float, steps: int) -> GovernedRunner:
    governed = GovernedRunner(HotRunner(machine), limit_c, [machine], machine.now, machine.rest)
    for _ in range(steps):
        governed.forward(BATCH)
    return governed


@pytest.mark.parametrize("limit_c", [50.0, 70.0, 85.0])
def test_temperature_stays_under_the_limit_and_what_it_allows_is_used(limit_c: float) -> None:
    machine = Machine()
    run(machine, limit_c, 6000)
    assert max(machine.history) < limit_c
    sustainable = (limit_c - AMBIENT_C) / (95.0 - AMBIENT_C)  # of the time
    assert machine.computing_s / machine.now_s > 0.85 * sustainable
    assert machine.history[-1] == pytest.approx(limit_c - 3, abs=1)


def test_a_cool_machine_never_pauses() -> None:
    machine = Machine()
    run(machine, 100.0, 2000)
    assert machine.now_s == pytest.approx(machine.computing_s)


def test_pausing_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="bonsai_edge.progress")
    run(Machine(), 50.0, 1000)
    assert caplog.messages == ["Pausing between steps to stay below 50 °C."]


def test_pauses_stay_what_they_were_while_the_sensor_cannot_be_read() -> None:
    machine = Machine()
    governed = run(machine, 50.0, 1000)
    share = governed.duty.pause_share
    machine.is_readable = False
    for _ in range(100):
        governed.forward(BATCH)
    assert governed.duty.pause_share == share > 0


def test_no_pause_is_so_long_that_a_cancellation_would_wait() -> None:
    duty = DutyCycle(50.0)
    duty.update(120.0, 60.0)
    assert duty.pause_share == 0.95
    assert duty.pause_s(10.0) == 2.0


def test_an_engine_cannot_tell_a_governed_runner_from_another() -> None:
    machine = Machine()
    runner = HotRunner(machine)
    engine = Engine(GovernedRunner(runner, 200.0, [machine]))
    with engine.sequence(40) as sequence:
        logits = sequence.prefill(list(range(34)))
        assert logits is not None
        assert logits.argmax() == 34
    engine.runner.write_page(6, engine.runner.read_page(5))
    assert (runner.pages[6] == runner.pages[5]).all()
    engine.close()
    assert runner.is_closed
    assert machine.is_closed


def test_only_temperatures_are_kept_open() -> None:
    machine, meter = Machine(), Meter()
    assert thermometers([meter, MISSING, machine]) == [machine]
    assert (machine.is_closed, meter.is_closed) == (False, True)


def test_without_a_temperature_the_limit_is_refused_before_anything_is_loaded(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(runtime, "find_sensors", lambda description: [MISSING])
    monkeypatch.setattr("bonsai_edge.reference.ReferenceBackend.load", lambda *arguments: pytest.fail("it was loaded"))
    with pytest.raises(InvalidRequestError) as caught:
        runtime.load(write_random_model(tmp_path / "m.gguf"), backend="reference", context=32, max_temperature_c=70.0)
    assert caught.value.cause == (
        "No temperature can be read here (unavailable: a virtual machine does not see its host's)."
    )


def test_a_model_that_is_loaded_with_a_limit_is_governed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    machine = Machine()
    monkeypatch.setattr(runtime, "find_sensors", lambda description: [machine])
    path = write_random_model(tmp_path / "m.gguf")
    with runtime.load(path, backend="reference", context=32, max_temperature_c=70.0) as model:
        assert isinstance(model.engine.runner, GovernedRunner)
        assert model.generate_text("a", max_tokens=2).usage.completion_tokens == 2
    assert machine.is_closed
