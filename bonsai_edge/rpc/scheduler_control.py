"""The scheduler, which lives on the network thread, as other threads may use it."""

from __future__ import annotations

import contextlib
import queue
import time
from collections.abc import Callable
from dataclasses import dataclass

from bonsai_edge.rpc.compute import ComputeThread
from bonsai_edge.rpc.job import Job, JobState, Route
from bonsai_edge.rpc.messages import Chat, ErrorMessage, Generate, Header
from bonsai_edge.rpc.outbox import Outbox
from bonsai_edge.rpc.problems import HALTED, SERVER_STOPPING, rejection
from bonsai_edge.rpc.request_control import EngineSnapshot, Selection
from bonsai_edge.rpc.scheduler import Scheduler

_REFUSED_WHILE_HALTED = ("background", "normal")


@dataclass(frozen=True)
class Selected:
    """Requests were cancelled; the network thread has to tell their clients, by `SchedulerControl.finish`."""


class SchedulerControl:
    """A `RequestControl`, and for the network thread the way to the scheduler's `accept`.

    Other threads only read its dictionary, by operations that the interpreter does not interrupt, and set flags;
    `post` has the network thread `finish` what they began.
    """

    def __init__(
        self, scheduler: Scheduler, compute: ComputeThread, outbox: Outbox, post: Callable[[Selected], None]
    ) -> None:
        self._scheduler = scheduler
        self._compute = compute
        self._outbox = outbox
        self._post = post
        self._unfinished: queue.SimpleQueue[list[Job]] = queue.SimpleQueue()
        self._halt_reason: str | None = None
        self._num_halts = 0
        self._is_draining = False
        self._loaded_at: float | None = None

    @property
    def halt_reason(self) -> str | None:
        """What `halt` was told, None while all generations are taken."""
        return self._halt_reason

    def cancel(self, selection: Selection) -> tuple[bytes, ...]:
        """Have the engine stop these requests before its next step and return those that were alive."""
        selected = self._selected(selection)
        for job in selected:
            job.cancel()
        if selected:
            self._unfinished.put(selected)  # not the selection: what is asked for after the answer is not meant
            self._post(Selected())
        return tuple(job.request_id for job in selected)

    def halt(self, reason: str) -> tuple[bytes, ...]:
        """Refuse generations from now on, cancel all that were accepted before, and return those."""
        self._halt_reason = reason
        self._num_halts += 1
        return self.cancel(Selection(everything=True, received_before=time.monotonic()))

    def resume(self) -> None:
        """Take all generations again."""
        self._halt_reason = None

    def knows(self, request_id: bytes, client: bytes | None) -> bool:
        """Return whether a request waits or runs, and if a connection is given, whether it will be sent more of it."""
        if client is None:
            return self._scheduler.is_alive(request_id)
        return self._scheduler.answers(request_id, client)

    def snapshot(self) -> EngineSnapshot:
        """Return how the engine is doing."""
        jobs = self._scheduler.jobs()
        active = sum(job.is_running for job in jobs)
        last_step_at = self._compute.last_step_at
        return EngineSnapshot(
            active=active,
            queued=len(jobs) - active,
            steps=self._compute.steps,
            last_step_at=last_step_at,
            silent_since=self._silent_since(jobs, last_step_at),
        )

    def accept(self, route: Route, request_id: bytes, message: Generate | Chat, header: Header) -> None:
        """Have the scheduler queue or reject a generation, unless the server takes none; for the network thread."""
        num_halts = self._num_halts
        problem = None if self._runs_nothing(request_id, header) else self._refusal(header)
        if problem is not None:
            self._outbox.send(route, request_id, rejection(problem))
            return
        self._scheduler.accept(route, request_id, message, header)
        if self._num_halts != num_halts:  # too late for `halt` to see it
            self._scheduler.cancel(request_id)

    def finish(self) -> None:
        """End what waits of the requests that were cancelled, and tell their clients; for the network thread."""
        with contextlib.suppress(queue.Empty):
            while True:
                for job in self._unfinished.get_nowait():
                    if job.state is not JobState.ENDED:
                        self._scheduler.cancel(job.request_id)

    def drain(self) -> None:
        """Let what was accepted end by itself and reject the rest; for the network thread."""
        self._is_draining = True

    def end_all(self, problem: ErrorMessage) -> None:
        """End all requests with a problem; for the network thread."""
        self._scheduler.end_all(problem)

    def note_loaded(self) -> None:
        """Note that the engine has its model; for the network thread."""
        self._loaded_at = time.monotonic()

    def note_unloaded(self) -> None:
        """Note that the engine would have to load its model first; for the network thread."""
        self._loaded_at = None

    def _selected(self, selection: Selection) -> list[Job]:
        return [
            job
            for job in self._scheduler.jobs()
            if job.state is not JobState.ENDED
            and selection.includes(
                job.request_id, job.session, None if job.route is None else job.route.client, job.arrived_at
            )
        ]

    def _runs_nothing(self, request_id: bytes, header: Header) -> bool:
        return header.resume_from is not None or self._scheduler.is_alive(request_id)

    def _refusal(self, header: Header) -> ErrorMessage | None:
        if self._is_draining:
            return SERVER_STOPPING
        is_refused = self._halt_reason is not None and header.priority in _REFUSED_WHILE_HALTED
        return HALTED if is_refused else None

    def _silent_since(self, jobs: list[Job], last_step_at: float | None) -> float | None:
        # A prompt that is not tokenized yet is no work for the engine, however long that takes.
        ready_at = [moment for job in jobs if (moment := job.ready_at) is not None]
        if not ready_at or self._loaded_at is None:
            return None
        return max(self._loaded_at, min(ready_at), last_step_at or 0.0)
