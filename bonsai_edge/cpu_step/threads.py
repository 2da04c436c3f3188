"""A team of threads that make the same compiled call together."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import TypeAlias

from bonsai_edge.errors import BackendUnavailableError

Part: TypeAlias = Callable[[int], None]
_Order: TypeAlias = "tuple[Part, SimpleQueue[BaseException | None]]"


class ThreadTeam:
    """Runs a part of the work in each of `num_threads` threads at once; a team of one is the caller itself.

    A conductor thread starts and joins the others: Ctrl-C, which raises in the main thread wherever that is, can then
    not leave some of them waiting at a barrier for the rest. The caller waits at queues, which are safe to interrupt;
    what it ordered is done nevertheless, before what it orders next. Raises BackendUnavailableError if the system does
    not give so many threads.
    """

    def __init__(self, num_threads: int) -> None:
        self._num_threads = num_threads
        self._process_id = os.getpid()
        self._orders: SimpleQueue[_Order | None] = SimpleQueue()
        self._helpers = ThreadPoolExecutor(num_threads, "bonsai-step")
        self._conductor = threading.Thread(target=self._conduct, name="bonsai-step-0", daemon=True)
        self._start()

    def run(self, part: Part) -> None:
        """Call `part(thread)` once in every thread; return when all have returned.

        Raises what a part raises, and BackendUnavailableError in a process that was forked from the one of the team.
        """
        if self._num_threads == 1:
            part(0)
            return
        if os.getpid() != self._process_id:
            raise BackendUnavailableError(
                "The model was loaded before this process was forked.", "Load it in the process that uses it."
            )
        answer: SimpleQueue[BaseException | None] = SimpleQueue()
        self._orders.put((part, answer))
        failure = answer.get()
        if failure is not None:
            raise failure

    def close(self) -> None:
        """End the threads after what was ordered."""
        self._orders.put(None)
        self._conductor.join()
        self._helpers.shutdown()

    def _start(self) -> None:
        """Make every thread now, where failing leaves none behind that waits for the rest."""
        gate = threading.Barrier(self._num_threads)
        try:
            for _ in range(1, self._num_threads):
                self._helpers.submit(gate.wait)
            self._conductor.start()
            gate.wait()
        except RuntimeError as exc:
            gate.abort()
            raise BackendUnavailableError(
                f"{self._num_threads} threads cannot be started: {exc}.", "Use fewer threads (--threads)."
            ) from exc

    def _conduct(self) -> None:
        while (order := self._orders.get()) is not None:
            part, answer = order
            try:
                self._run_together(part)
            except BaseException as exc:  # noqa: BLE001  (raised again where it was ordered)
                answer.put(exc)
            else:
                answer.put(None)

    def _run_together(self, part: Part) -> None:
        helpers = [self._helpers.submit(part, thread) for thread in range(1, self._num_threads)]
        part(0)
        for helper in helpers:
            helper.result()
