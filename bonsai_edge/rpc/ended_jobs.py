"""Answers that are kept for a while after their end, for clients that lost the connection meanwhile."""

from __future__ import annotations

from collections import OrderedDict

from bonsai_edge.rpc.job import Job

KEPT_S = 60.0
_MOST_JOBS = 1_024
_MOST_BYTES = 16 << 20


class EndedJobs:
    """The latest jobs that ended, by request id, bounded in age, number and memory."""

    def __init__(self) -> None:
        self._jobs: OrderedDict[bytes, tuple[Job, float, int]] = OrderedDict()
        self._num_bytes = 0

    def add(self, job: Job, now: float) -> None:
        """Keep a job, in place of older ones if there are too many."""
        num_bytes = job.num_bytes
        self._jobs[job.request_id] = (job, now, num_bytes)
        self._num_bytes += num_bytes
        self._drop_old(now)

    def get(self, request_id: bytes, now: float) -> Job | None:
        """Return a job that is kept."""
        self._drop_old(now)
        found = self._jobs.get(request_id)
        return None if found is None else found[0]

    def _drop_old(self, now: float) -> None:
        while self._jobs:
            _, ended_at, num_bytes = next(iter(self._jobs.values()))
            is_too_much = len(self._jobs) > _MOST_JOBS or self._num_bytes > _MOST_BYTES
            if not is_too_much and now < ended_at + KEPT_S:
                return
            self._jobs.popitem(last=False)
            self._num_bytes -= num_bytes
