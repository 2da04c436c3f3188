"""A control loop at 100 Hz that drives a simulated base by the plans of a language model, and never waits for it.

    bonsai-edge serve &
    python examples/robot/control_loop.py [--connect ENDPOINT] [--seconds 10] [--every 1.0 | --typed] [--json]

A new instruction comes every second, or whenever one is typed, and takes the place of the one before. Kill the server
with SIGKILL while it runs, and start it again: the base stands still after half a second, and drives on when there is a
plan again.
"""

from __future__ import annotations

import argparse
import json
import math
import queue
import signal
import sys
import threading
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from itertools import cycle
from typing import Any

from planner import Fate, Planner
from simulated_base import STANDSTILL, SimulatedBase, Velocity

PERIOD_S = 0.01
INSTRUCTIONS = (
    "drive forward two meters",
    "turn left 90 degrees, then back up 50 cm",
    "go to the kitchen and open the fridge",
    "stop",
)
_FORWARD_MPS = 0.5
_TURN_DPS = 45.0
_METRES = {"distance_m": 1.0, "distance_cm": 0.01, "distance_ft": 0.3048}
_GUESSED_S = 2.0  # for what says no amount, such as going to a place that this robot has no map of


@dataclass
class Timing:
    """How well the loop kept its period."""

    num_ticks: int = 0
    num_missed: int = 0
    """Periods that were skipped because the loop was late by more than one."""
    longest_tick_s: float = 0.0
    late_s: list[float] = field(default_factory=list)

    def late_ms(self, part: float) -> float:
        """Return how late at most this part of the ticks began."""
        ordered = sorted(self.late_s)
        return round(1000 * ordered[max(0, math.ceil(part * len(ordered)) - 1)], 3) if ordered else 0.0


class Robot:
    """What happens in one tick."""

    def __init__(self, planner: Planner, base: SimulatedBase) -> None:
        self.planner = planner
        self.base = base
        self.fates: list[Fate] = []
        self._motions: list[tuple[Velocity, float]] = []  # each with the seconds that are left of it

    def instruct(self, instruction: str) -> None:
        """Forget what was planned, and have this planned."""
        self._motions.clear()
        self.planner.ask(instruction)

    def tick(self, now: float) -> list[Fate]:
        """Read the news, command the base, and return the news."""
        news = self.planner.fates()
        self.fates += news
        for fate in news:
            if fate.ending == "planned":
                self._motions = [motion_of(action) for action in fate.actions]
        self.base.drive(self._velocity(), fresh_at=self.planner.heard_at)
        self.base.step(now, PERIOD_S)
        return news

    def _velocity(self) -> Velocity:
        while self._motions:
            velocity, left_s = self._motions.pop(0)
            if left_s > 0:
                self._motions.insert(0, (velocity, left_s - PERIOD_S))
                return velocity
        return STANDSTILL


def motion_of(action: dict[str, Any]) -> tuple[Velocity, float]:
    """Translate an action of docs/robot-commands.md into a velocity and its duration, as far as a base can do it."""
    name, direction = action.get("action"), action.get("direction")
    if name == "turn":
        sign = -1.0 if direction == "right" else 1.0
        return Velocity(turn_dps=sign * _TURN_DPS), action.get("angle_deg", 90) / _TURN_DPS
    if name in ("move", "go", "dock"):
        sign = -1.0 if direction == "backward" else 1.0
        distances_m = (factor * action.get(unit, 0.0) for unit, factor in _METRES.items())
        duration_s = max(distances_m) / _FORWARD_MPS or action.get("duration_s", _GUESSED_S)
        return Velocity(forward_mps=sign * _FORWARD_MPS), duration_s
    return STANDSTILL, 0.0


class Recited:
    """Gives the same instructions over and over, one every few seconds."""

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._instructions = cycle(INSTRUCTIONS)
        self._next_at = -math.inf

    def heard(self, now: float) -> list[str]:
        """Return the instructions that have come since the last call."""
        if now < self._next_at:
            return []
        self._next_at = now + self._every_s
        return [next(self._instructions)]


class Typed:
    """Gives the lines of standard input, which a thread waits for."""

    def __init__(self) -> None:
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=self._read, name="typed", daemon=True).start()

    def heard(self, now: float) -> list[str]:
        """Return the instructions that have come since the last call."""
        return [self._lines.get_nowait() for _ in range(self._lines.qsize())]

    def _read(self) -> None:
        for line in sys.stdin:
            self._lines.put(line.strip())


class Stopped:
    """Becomes true at SIGINT or SIGTERM."""

    def __init__(self) -> None:
        self._is_set = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._set)

    def __bool__(self) -> bool:
        return self._is_set

    def _set(self, *_: object) -> None:
        self._is_set = True


def run(robot: Robot, instructions: Recited | Typed, seconds: float, as_json: bool) -> tuple[Timing, int]:
    """Drive for some time; return the timing and how many instructions were given."""
    timing, stopped = Timing(), Stopped()
    num_instructions = num_stops = 0
    next_at = began_at = time.monotonic()
    while (now := time.monotonic()) - began_at < seconds and not stopped:
        timing.late_s.append(now - next_at)
        timing.num_ticks += 1
        for instruction in instructions.heard(now):
            robot.instruct(instruction)
            num_instructions += 1
        news = robot.tick(now)
        timing.longest_tick_s = max(timing.longest_tick_s, time.monotonic() - now)
        for fate in news:
            show(fate, as_json)
        if robot.base.num_watchdog_stops > num_stops:
            num_stops = robot.base.num_watchdog_stops
            print(json.dumps({"event": "stopped"}) if as_json else "the server is silent: standing still", flush=True)
        num_skipped = max(0, math.floor((time.monotonic() - next_at) / PERIOD_S))
        timing.num_missed += num_skipped
        next_at += (1 + num_skipped) * PERIOD_S
        time.sleep(max(0.0, next_at - time.monotonic()))
    return timing, num_instructions


def show(fate: Fate, as_json: bool) -> None:
    """Print what became of an instruction."""
    if as_json:
        print(json.dumps({"event": fate.ending, **asdict(fate)}), flush=True)
    else:
        names = ", ".join(action["action"] for action in fate.actions)
        print(
            f"{fate.ending:8} {fate.instruction!r} after {fate.attempts} attempts: {names or fate.reason}", flush=True
        )


def main() -> int:
    """Drive, print how it went, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--connect", default="tcp://127.0.0.1:5571", metavar="ENDPOINT")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--every", type=float, default=1.0, help="seconds between instructions")
    parser.add_argument("--typed", action="store_true", help="take the lines of standard input as instructions instead")
    parser.add_argument("--json", action="store_true", help="print every event as a line of JSON")
    options = parser.parse_args()
    planner, base = Planner(options.connect), SimulatedBase()
    robot = Robot(planner, base)
    try:
        instructions = Typed() if options.typed else Recited(options.every)
        timing, num_instructions = run(robot, instructions, options.seconds, options.json)
    finally:
        planner.close()
    robot.fates += planner.fates()
    endings = Counter(fate.ending for fate in robot.fates)
    report = {
        "ticks": timing.num_ticks,
        "missed_ticks": timing.num_missed,
        "late_p50_ms": timing.late_ms(0.5),
        "late_p99_ms": timing.late_ms(0.99),
        "late_max_ms": timing.late_ms(1.0),
        "longest_tick_ms": round(1000 * timing.longest_tick_s, 3),
        "instructions": num_instructions,
        "fates": dict(endings),
        "repeated": sum(fate.attempts > 1 for fate in robot.fates),
        "watchdog_stops": base.num_watchdog_stops,
        "distance_m": round(base.distance_m, 2),
    }
    if options.json:
        print(json.dumps({"event": "report", **report}))
    else:
        print("\n" + "\n".join(f"{name:16} {value}" for name, value in report.items()))
    return 0 if endings.total() == num_instructions else 1


if __name__ == "__main__":
    sys.exit(main())
