"""Times what several threads do at once."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor


def best_time_together(
    parts: Sequence[Callable[[], object]], repetitions: int, cpus: Collection[int] | None = None
) -> float:
    """Run each part in a thread of its own, all at once, several times; return the shortest time from first to last.

    The parts have to release the GIL. With `cpus` the threads stay on these logical processors, where the system lets
    a program choose.
    """
    start = threading.Barrier(len(parts))

    def run(part: Callable[[], object]) -> list[tuple[float, float]]:
        if cpus is not None and hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, cpus)  # of this thread
        spans = []
        for _ in range(repetitions):
            start.wait()
            began = time.perf_counter()
            part()
            spans.append((began, time.perf_counter()))
        return spans

    with ThreadPoolExecutor(len(parts)) as pool:
        spans_by_thread = list(pool.map(run, parts))
    return min(
        max(end for _, end in spans) - min(began for began, _ in spans) for spans in zip(*spans_by_thread, strict=True)
    )
