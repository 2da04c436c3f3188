"""A mobile base that is only simulated, with the watchdog that a real one must have."""

from __future__ import annotations

import math
from dataclasses import dataclass

WATCHDOG_S = 0.5
"""LeKiwi's rule: without news for so long, the base stands still, whoever is to blame."""


@dataclass(frozen=True)
class Velocity:
    """Forwards, and to the left."""

    forward_mps: float = 0.0
    turn_dps: float = 0.0


STANDSTILL = Velocity()


class SimulatedBase:
    """Moves as it was last told, as long as the reason for it is fresh."""

    def __init__(self) -> None:
        self.velocity = STANDSTILL
        self.x_m = 0.0
        self.y_m = 0.0
        self.heading_deg = 0.0
        self.distance_m = 0.0
        self.num_watchdog_stops = 0
        self._fresh_at = -math.inf

    def drive(self, velocity: Velocity, fresh_at: float) -> None:
        """Take a command; `fresh_at` is when it was last known to be right, on the monotonic clock."""
        self.velocity = velocity
        self._fresh_at = fresh_at

    def step(self, now: float, duration_s: float) -> None:
        """Move for one period of the control loop, or stop when the command has grown old."""
        if now - self._fresh_at > WATCHDOG_S:
            self.num_watchdog_stops += self.velocity != STANDSTILL
            self.velocity = STANDSTILL
        heading = math.radians(self.heading_deg)
        self.x_m += math.cos(heading) * self.velocity.forward_mps * duration_s
        self.y_m += math.sin(heading) * self.velocity.forward_mps * duration_s
        self.heading_deg = (self.heading_deg + self.velocity.turn_dps * duration_s) % 360.0
        self.distance_m += abs(self.velocity.forward_mps) * duration_s
