"""What core asks of sensors: values that can be read again and again, each with its scope.

Power without a scope means nothing: a rail, a package and a whole board differ by watts. A sensor that should be there
and is not says why.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum


class Quantity(Enum):
    """What a reading is of, with its unit.

    Energies, events and times of throttling are counters that only grow. THROTTLED is 1 while a reason holds,
    THROTTLED_BEFORE while the hardware remembers that it did.
    """

    TEMPERATURE = "temperature_c"
    REPORTED_CLOCK = "reported_clock_hz"
    MEASURED_CLOCK = "measured_clock_hz"
    POWER = "power_w"
    ENERGY = "energy_j"
    FAN = "fan_rpm"
    THROTTLED = "throttled"
    THROTTLED_BEFORE = "throttled_before"
    THROTTLE_EVENTS = "throttle_events"
    THROTTLE_TIME = "throttle_time_s"


class Scope:
    """How much of the machine a power sensor sees; `WIDEST_FIRST` ranks those that are totals."""

    BOARD = "whole board"
    DEVICE = "whole device, from the battery"
    ESTIMATED_BOARD = "whole board, estimated"
    MODULE = "module"
    PACKAGE = "processor package"
    GPU_BOARD = "GPU board"
    RAIL_SUM = "sum of the measured rails"
    RAIL = "rail"

    WIDEST_FIRST = (BOARD, DEVICE, MODULE, RAIL_SUM, PACKAGE, GPU_BOARD)


@dataclass(frozen=True)
class Reading:
    """One value. `name` tells it from others of its kind: a zone, a rail, a reason of throttling."""

    quantity: Quantity
    name: str
    scope: str
    value: float


@dataclass(frozen=True)
class Unavailable:
    """A quantity that cannot be read here."""

    quantity: Quantity
    source: str
    reason: str

    def __str__(self) -> str:
        return f"unavailable: {self.reason}"


class Sensor(ABC):
    """Something that gives one or more readings together.

    `source` is the file or call it reads, `quantities` what it may give, `period_s` how often a reading is worth its
    cost.
    """

    source: str
    quantities: frozenset[Quantity]
    period_s: float = 1.0

    @abstractmethod
    def read(self) -> Sequence[Reading]:
        """Return what is known now.

        Raises BlockingIOError where there is nothing just now, as of a GPU that is switched off, and OSError where it
        cannot be read.
        """

    def close(self) -> None:  # noqa: B027 - most sensors hold nothing
        """Give back what reading needed, such as open files."""
