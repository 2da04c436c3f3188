"""A team of threads that run the same compiled function together and sleep in between."""

from __future__ import annotations

import threading
from collections.abc import Callable


class ThreadTeam:
    """`num_threads` threads, the caller's among them.

    Between runs the others wait on a lock, at no cost; inside a run they meet at compiled barriers.
    """

    def __init__(self, num_threads: int) -> None:
        self.num_threads = num_threads
        self._work: Callable[[int], None] | None = None
        self._starts = [threading.Semaphore(0) for _ in range(num_threads - 1)]
        self._done = threading.Semaphore(0)
        self._threads = [
            threading.Thread(target=self._serve, args=(index,), name=f"bonsai-cpu-{index}", daemon=True)
            for index in range(1, num_threads)
        ]
        for thread in self._threads:
            thread.start()

    def run(self, work: Callable[[int], None]) -> None:
        """Call `work(thread)` once in every thread and return when all have returned."""
        self._work = work
        for start in self._starts:
            start.release()
        work(0)
        for _ in self._starts:
            self._done.acquire()

    def close(self) -> None:
        """End the threads."""
        self._work = None
        for start in self._starts:
            start.release()
        for thread in self._threads:
            thread.join()

    def _serve(self, index: int) -> None:
        while True:
            self._starts[index - 1].acquire()
            if self._work is None:
                return
            self._work(index)
            self._done.release()
