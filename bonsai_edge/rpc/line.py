"""What a client is told about its place in the line, and how long it may take."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from bonsai_edge.rpc.job import Job
from bonsai_edge.scheduling.priority import Priority, risen

_GUESSED_GENERATION_S = 1.0  # until one has been measured
_RETRY_AFTER_RANGE_MS = (100, 60_000)


class LineEstimate:
    """Estimates from the jobs that are known; who really is next depends on what those before take."""

    def __init__(self, max_active: int) -> None:
        self._max_active = max_active
        self._generation_s: float | None = None

    def position(
        self, jobs: Iterable[Job], client: bytes, priority: Priority, now: float, arrived_at: float | None = None
    ) -> int:
        """Return the place in the line of a request beside other jobs, 1 for the first, 0 if it need not wait.

        Clients of a class take turns. `arrived_at` is None for a request that arrives now.
        """
        arrived_at = now if arrived_at is None else arrived_at
        rank = risen(priority, now - arrived_at)
        num_running, num_urgent = 0, 0
        rivals: Counter[bytes] = Counter()
        for job in jobs:
            if not job.is_in_line:
                num_running += 1
                continue
            other = risen(job.priority, now - job.arrived_at)
            if other > rank:
                num_urgent += 1
            elif other == rank and (job.client != client or job.arrived_at <= arrived_at):
                rivals[job.client] += 1
        num_own = rivals.pop(client, 0)
        num_before = num_urgent + num_own + sum(min(count, num_own + 1) for count in rivals.values())
        return max(0, num_running + num_before + 1 - self._max_active)

    def estimate_ms(self, position: int) -> int | None:
        """Return how long a place in the line may take, judged by the generations so far; None if that is unknown."""
        if position == 0 or self._generation_s is None:
            return None
        return round(1000 * position * self._generation_s / self._max_active)

    def retry_after_ms(self) -> int:
        """Return when a place in a full line may be free."""
        lowest, highest = _RETRY_AFTER_RANGE_MS
        seconds = (self._generation_s or _GUESSED_GENERATION_S) / self._max_active
        return round(min(max(seconds * 1000, lowest), highest))

    def note_start(self, job: Job, now: float) -> None:
        """Begin to time a generation, unless it only goes on."""
        if job.started_at is None:
            job.started_at = now

    def note_end(self, job: Job, now: float) -> None:
        """Learn from a generation that ended."""
        if job.started_at is not None:
            seconds = now - job.started_at
            self._generation_s = seconds if self._generation_s is None else 0.75 * self._generation_s + 0.25 * seconds
