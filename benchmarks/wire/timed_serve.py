"""`bonsai-edge serve`, timing what the control thread does with each message: `timed_serve.py FILE serve …`.

From the moment at which the thread has a message in hand to the one at which ZeroMQ has the answer. At its end the
process writes the durations in seconds to FILE: all of it, the processor's time, the time in which the thread waited
for a processor (Linux, /proc/self/task/*/schedstat), and the rest, which is waiting for the interpreter.
"""

from __future__ import annotations

import atexit
import json
import sys
import threading
import time
from pathlib import Path
from typing import Any, TextIO

from bonsai_edge.cli import main
from bonsai_edge.rpc import control


class _Stopwatch:
    def __init__(self) -> None:
        self.durations: dict[str, list[float]] = {"all": [], "processor": [], "run queue": [], "interpreter": []}
        self._schedstat: TextIO | None = None
        self._began: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def begin(self) -> None:
        self._began = self._now()

    def end(self) -> None:
        whole, processor, queue = (now - began for now, began in zip(self._now(), self._began, strict=True))
        for name, seconds in zip(
            self.durations, (whole, processor, queue, max(0.0, whole - processor - queue)), strict=True
        ):
            self.durations[name].append(seconds)

    def _now(self) -> tuple[float, float, float]:
        if self._schedstat is None:  # for the control thread, which alone is timed
            self._schedstat = open(f"/proc/self/task/{threading.get_native_id()}/schedstat")  # noqa: SIM115
        self._schedstat.seek(0)
        waited_ns = int(self._schedstat.read().split()[1])
        return time.monotonic(), time.thread_time(), waited_ns / 1e9


def _install(stopwatch: _Stopwatch) -> None:
    receive, send = control.receive, control.ControlThread._send

    def timed_receive(*arguments: Any) -> Any:
        received = receive(*arguments)
        stopwatch.begin()
        return received

    def timed_send(*arguments: Any) -> None:
        send(*arguments)
        stopwatch.end()

    control.receive = timed_receive  # type: ignore[assignment]
    control.ControlThread._send = timed_send  # type: ignore[method-assign]


if __name__ == "__main__":
    path = Path(sys.argv.pop(1))
    stopwatch = _Stopwatch()
    _install(stopwatch)
    atexit.register(lambda: path.write_text(json.dumps(stopwatch.durations)))
    main()
