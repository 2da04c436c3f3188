"""The robot's control loop beside a real server that is killed and started again."""

from __future__ import annotations

import json
import runpy
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from wire.served import ServedProcess

DEADLINE_S = 120.0
SILENCE_MS = 2_000  # what a call that waits for a dead server takes at least: _SILENCE_S of examples/robot/planner.py
CONTROL_LOOP = Path(__file__).parents[2] / "examples" / "robot" / "control_loop.py"


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ('{"actions":', "Expecting value"),
        ("[1]", "which is no plan"),
        ('{"reply":"Hello."}', "which is no plan"),
        ('{"actions":["go"]}', "which is no plan"),
        ('{"actions":[{"action":"move","distance_m":"far"}]}', "The plan has distance_m 'far'"),
        ('{"actions":[{"action":"turn","angle_deg":-1}]}', "expected a number from 0 to 1000"),
        ('{"actions":[{"action":"move","duration_s":NaN}]}', "The plan has duration_s nan"),
    ],
)
def test_answer_that_is_no_plan_is_refused(answer: str, problem: str) -> None:
    planner = runpy.run_path(str(CONTROL_LOOP.with_name("planner.py")))
    with pytest.raises(ValueError, match=problem):
        planner["checked_actions"](answer)


@pytest.fixture
def served() -> Iterator[ServedProcess]:
    with ServedProcess(backend="reference") as served:
        yield served


class ObservedRobot:
    """The program, its instructions typed by the test, its events read one by one."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.events: list[dict[str, Any]] = []

    def tell(self, *instructions: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.writelines(f"{each}\n" for each in instructions)
        self._process.stdin.flush()

    def next_event(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        self.events.append(json.loads(self._process.stdout.readline()))
        return self.events[-1]

    def stop(self) -> dict[str, Any]:
        """Have it end as its user would, and return its report."""
        self._process.send_signal(signal.SIGINT)
        return self.wait_for("report")

    def wait_for(self, kind: str) -> dict[str, Any]:
        while (event := self.next_event())["event"] != kind:
            pass
        return event


@pytest.fixture
def robot(served: ServedProcess) -> Iterator[ObservedRobot]:
    command = [sys.executable, str(CONTROL_LOOP), "--json", "--typed", "--connect", served.endpoint]
    command += ["--seconds", str(DEADLINE_S)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield ObservedRobot(process)
        process.kill()


def test_control_loop_survives_a_killed_server_and_knows_the_fate_of_every_instruction(
    served: ServedProcess, robot: ObservedRobot
) -> None:
    robot.tell("drive forward one meter")
    assert robot.wait_for("planned")["actions"] == [{"action": "move", "direction": "forward", "distance_m": 1}]
    robot.tell("go to the kitchen and open the fridge", "dock now")  # barge-in
    assert robot.next_event()["event"] == "cancelled"
    assert robot.next_event()["actions"] == [{"action": "dock"}]
    robot.tell("drive forward for 60 seconds")
    robot.wait_for("planned")
    served.kill()
    robot.wait_for("stopped")
    robot.tell("drive forward two meters")  # nobody is there to plan it
    served.start()
    planned = robot.wait_for("planned")
    assert planned["instruction"] == "drive forward two meters"
    report = robot.stop()
    assert report["fates"] == {"planned": 4, "cancelled": 1}
    assert report["instructions"] == 5
    assert report["watchdog_stops"] >= 1
    assert report["distance_m"] > 0
    assert report["longest_tick_ms"] < SILENCE_MS, "a tick waited for the server"
    print(report)
