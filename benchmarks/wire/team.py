"""Worker processes that begin at the same moment."""

from __future__ import annotations

import queue
from collections.abc import Sequence
from multiprocessing import get_context
from multiprocessing.context import SpawnProcess
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Event

from wire.workers import Assignment, Report, Work

_CONTEXT = get_context("spawn")  # forked processes would share the parent's sockets
_START_DEADLINE_S = 120.0  # for imports and connections
_POLL_S = 0.2


class Signal:
    """The moment at which all begin; who waits for it has said that it is connected."""

    def __init__(self) -> None:
        self._ready, self._begin = _CONTEXT.Semaphore(0), _CONTEXT.Event()

    def wait(self) -> None:
        """Wait, in a worker that is ready."""
        self._ready.release()
        self._begin.wait()

    def give(self, num_workers: int) -> None:
        """Let them begin when so many are ready. Raises RuntimeError when that takes too long."""
        for _ in range(num_workers):
            if not self._ready.acquire(timeout=_START_DEADLINE_S):
                raise RuntimeError("A worker did not connect.")
        self._begin.set()


class Team:
    """Add workers, let them begin, and collect their reports."""

    def __init__(self) -> None:
        self._begin, self._end = Signal(), _CONTEXT.Event()
        self._reports: Queue[tuple[int, Report]] = _CONTEXT.Queue()
        self._processes: list[SpawnProcess] = []
        self._received: dict[int, Report] = {}

    def add(self, work: Work, assignment: Assignment) -> int:
        """Start a process and return its number."""
        number = len(self._processes)
        arguments = (work, assignment, self._begin, self._end, self._reports, number)
        self._processes.append(_CONTEXT.Process(target=_run, args=arguments, daemon=True))
        self._processes[-1].start()
        return number

    def begin(self) -> None:
        """Let all of them work, once they are connected."""
        self._begin.give(len(self._processes))

    def end(self) -> None:
        """Tell those that work without end to finish."""
        self._end.set()

    def reports_of(self, numbers: Sequence[int]) -> list[Report]:
        """Wait for the reports of some workers. Raises RuntimeError when one of them died."""
        while missing := set(numbers) - self._received.keys():
            try:
                number, report = self._reports.get(timeout=_POLL_S)
            except queue.Empty:
                dead = [number for number in missing if self._processes[number].exitcode]
                if dead:
                    raise RuntimeError(f"Workers {dead} failed; their reasons stand above.") from None
            else:
                self._received[number] = report
        return [self._received[number] for number in numbers]

    def kill(self) -> None:
        """End what is left."""
        for process in self._processes:
            process.kill()
            process.join()


def _run(
    work: Work, assignment: Assignment, begin: Signal, end: Event, reports: Queue[tuple[int, Report]], number: int
) -> None:
    reports.put((number, work(assignment, begin, end)))
