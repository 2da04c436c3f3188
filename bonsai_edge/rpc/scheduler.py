"""The life of generations: accepted, queued, run one at a time, and ended by exactly one terminal message.

Lives on the network thread, so its state needs no lock.
"""

from __future__ import annotations

import logging
import time

import msgspec

from bonsai_edge.generation import GenerationResult, TextChunk, Timings, Usage
from bonsai_edge.rpc.compute import ComputeThread, Failed, Produced, ServedModel
from bonsai_edge.rpc.fair_queue import FairQueue
from bonsai_edge.rpc.job import Job, JobState, Route
from bonsai_edge.rpc.messages import Accepted, Chat, ErrorMessage, Generate, Header, Limits
from bonsai_edge.rpc.outbox import Delivery, Outbox
from bonsai_edge.rpc.problems import (
    DEADLINE_EXCEEDED,
    DUPLICATE_REQUEST,
    INTERNAL_ERROR,
    QUEUE_FULL,
    SERVER_STOPPING,
    SLOW_READER,
    problem_of,
    rejection,
)

logger = logging.getLogger(__name__)

_GUESSED_GENERATION_S = 1.0  # until one has been measured
_RETRY_AFTER_RANGE_MS = (100, 60_000)


class Scheduler:
    """Decides what the compute thread does next, and tells the clients."""

    def __init__(self, compute: ComputeThread, outbox: Outbox, limits: Limits) -> None:
        self._compute = compute
        self._outbox = outbox
        self._limits = limits
        self._model: ServedModel | None = None
        self._queue: FairQueue[Job] = FairQueue()
        self._jobs: dict[bytes, Job] = {}
        self._computing: Job | None = None
        self._generation_s = _GUESSED_GENERATION_S
        self._stopping = False

    @property
    def num_active(self) -> int:
        """1 while the compute thread works, be it on a job that has ended for its client."""
        return int(self._computing is not None)

    @property
    def num_queued(self) -> int:
        """Jobs that wait for their turn."""
        return len(self._queue)

    def knows(self, request_id: bytes) -> bool:
        """Return whether the request is queued or running."""
        return request_id in self._jobs

    def start(self, model: ServedModel) -> None:
        """Begin to run what was queued while the model was loading."""
        self._model = model
        self._start_next()

    def accept(self, route: Route, request_id: bytes, message: Generate | Chat, header: Header) -> None:
        """Queue a generation, or reject it, and tell the client which."""
        position = self._queue.position_of_next(route.client) + self.num_active
        problem = self._reason_to_reject(route, request_id)
        if problem is not None:
            is_full = problem is QUEUE_FULL
            refusal = rejection(
                problem,
                queue_position=position if is_full else None,
                retry_after_ms=self._retry_after_ms() if is_full else None,
            )
            self._outbox.send(route, request_id, refusal)
            return
        now = time.monotonic()
        job = Job(
            route=route,
            queue_position=position,
            request_id=request_id,
            prompt=message.prompt if isinstance(message, Generate) else message.messages,
            options=message.options,
            received_at=now,
            deadline=None if header.deadline_ms is None else now + header.deadline_ms / 1000,
            streams=header.stream == "tokens" and not route.delimited,
        )
        self._jobs[request_id] = job
        self._queue.push(route.client, job)
        self._tell_position(job, position)
        self._start_next()

    def cancel(self, request_id: bytes) -> bool:
        """Cancel a request and return whether it was alive; its terminal message follows, at once if it was queued."""
        job = self._jobs.get(request_id)
        if job is None:
            return False
        if job.state is JobState.QUEUED:
            self._end(job, self._cancelled_before_start(job))
        else:
            job.cancel()
        return True

    def end_client(self, client: bytes) -> None:
        """Cancel all requests of a client that left; nothing is sent to it any more."""
        self._outbox.forget(client)
        for job in [job for job in self._jobs.values() if job.route.client == client]:
            self._release(job)

    def next_deadline(self) -> float | None:
        """Return the earliest deadline on the monotonic clock."""
        return min((job.deadline for job in self._jobs.values() if job.deadline is not None), default=None)

    def end_expired(self) -> None:
        """End the jobs whose deadline has passed."""
        now = time.monotonic()
        for job in [job for job in self._jobs.values() if job.deadline is not None and job.deadline <= now]:
            self._end(job, DEADLINE_EXCEEDED)

    def stop(self) -> None:
        """End all jobs and reject new ones."""
        self._stopping = True
        for job in list(self._jobs.values()):
            self._end(job, SERVER_STOPPING)

    def take_event(self, event: Produced | Failed) -> None:
        """Pass on what the compute thread made."""
        if isinstance(event, Produced) and isinstance(event.event, TextChunk):
            self._pass_on(event.job, event.event)
            return
        job = event.job
        if job is not self._computing:
            return  # it failed in cleaning up, after its result
        self._computing = None
        if isinstance(event, Produced) and isinstance(event.event, GenerationResult):
            timings = msgspec.structs.replace(event.event.timings, queue_s=job.queue_s)
            self._end(job, msgspec.structs.replace(event.event, timings=timings))
        elif isinstance(event, Failed):
            self._end(job, INTERNAL_ERROR if event.error is None else problem_of(event.error))
        if job.started_at is not None:
            self._generation_s += 0.25 * (time.monotonic() - job.started_at - self._generation_s)
        self._start_next()

    def _reason_to_reject(self, route: Route, request_id: bytes) -> ErrorMessage | None:
        if self._stopping:
            return SERVER_STOPPING
        if request_id in self._jobs:
            return DUPLICATE_REQUEST
        is_client_full = self._queue.num_of(route.client) >= self._limits.max_queued_per_client
        return QUEUE_FULL if is_client_full or len(self._queue) >= self._limits.max_queued else None

    def _start_next(self) -> None:
        while self._model is not None and self._computing is None and (job := self._queue.pop()) is not None:
            job.state = JobState.RUNNING
            if job.queue_position > 0:
                self._tell_position(job, 0)  # finds out before the prefill whether the client is still there
            if job.state is JobState.RUNNING:
                job.started_at = time.monotonic()
                self._computing = job
                self._compute.submit(job)

    def _tell_position(self, job: Job, position: int) -> None:
        if job.route.delimited:
            return
        if self._outbox.send(job.route, job.request_id, Accepted(position)) is Delivery.CLIENT_GONE:
            self.end_client(job.route.client)

    def _pass_on(self, job: Job, chunk: TextChunk) -> None:
        if job.state is JobState.ENDED or not job.streams:
            return
        delivery = self._outbox.send(job.route, job.request_id, chunk, must_arrive=False)
        if delivery is Delivery.CLIENT_GONE:
            self.end_client(job.route.client)
        elif delivery is Delivery.REFUSED:
            logger.warning("A client reads too slowly; its generation is cancelled.")
            self._end(job, SLOW_READER)

    def _end(self, job: Job, terminal: GenerationResult | ErrorMessage) -> None:
        if job.state is JobState.ENDED:
            return
        self._release(job)
        if self._outbox.send(job.route, job.request_id, terminal) is Delivery.CLIENT_GONE:
            self.end_client(job.route.client)

    def _release(self, job: Job) -> None:
        if job.state is JobState.QUEUED:
            self._queue.remove(job.route.client, job)
        job.cancel()
        job.state = JobState.ENDED
        del self._jobs[job.request_id]

    def _retry_after_ms(self) -> int:
        lowest, highest = _RETRY_AFTER_RANGE_MS
        return round(min(max(self._generation_s * 1000, lowest), highest))

    def _cancelled_before_start(self, job: Job) -> GenerationResult:
        model = self._model
        return GenerationResult(
            text="",
            token_ids=[],
            finish_reason="cancelled",
            usage=Usage(0, 0),
            timings=Timings(
                load_s=0.0 if model is None else model.load_s,
                queue_s=time.monotonic() - job.received_at,
                prefill_s=0.0,
                decode_s=0.0,
                prefill_tokens_per_s=None,
                decode_tokens_per_s=None,
            ),
            backend="" if model is None else model.backend_name,
            model="" if model is None else model.name,
            seed=job.options.seed or 0,
        )
