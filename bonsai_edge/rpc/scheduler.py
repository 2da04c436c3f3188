"""The life of generations: accepted, queued, run, and ended by exactly one terminal message.

Lives on the network thread, so its state needs no lock; the compute thread decides whose turn it is.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Literal

import msgspec

from bonsai_edge.generation import GenerationOptions, GenerationResult, Timings, Usage
from bonsai_edge.rpc.answer_stream import AnswerStream
from bonsai_edge.rpc.compute import ComputeThread, Failed, Produced, Started, Suspended
from bonsai_edge.rpc.ended_jobs import EndedJobs
from bonsai_edge.rpc.job import Job, JobState, Route
from bonsai_edge.rpc.line import LineEstimate
from bonsai_edge.rpc.messages import (
    Accepted,
    Chat,
    Credit,
    ErrorMessage,
    Generate,
    Header,
    Limits,
    Progress,
    ServerMessage,
)
from bonsai_edge.rpc.outbox import Delivery, Outbox
from bonsai_edge.rpc.problems import (
    DEADLINE_EXCEEDED,
    DUPLICATE_REQUEST,
    INTERNAL_ERROR,
    QUEUE_FULL,
    SERVER_STOPPING,
    SLOW_READER,
    UNKNOWN_REQUEST,
    problem_of,
    rejection,
)
from bonsai_edge.rpc.served_model import ServedModel
from bonsai_edge.scheduling.priority import Priority

logger = logging.getLogger(__name__)

_PROGRESS_INTERVAL_S = 0.4  # at least twice a second, whatever else is going on
_LOOK_INTERVAL_S = 0.25  # between two looks whether the clients are still there
_VANISHED_GRACE_S = 1.5  # for a client whose connection broke to come back, before its requests are cancelled
_NO_OPTIONS = GenerationOptions()
_SAFETY_RESERVE = 8  # places in the queue that only requests of the class SAFETY may take


class Scheduler:
    """Takes requests in, hands them to the compute thread, and tells the clients what becomes of them."""

    def __init__(
        self, compute: ComputeThread, outbox: Outbox, limits: Limits, is_throttled: Callable[[], bool | None]
    ) -> None:
        self._compute = compute
        self._is_throttled = is_throttled
        self._is_loaded = False
        self._outbox = outbox
        self._limits = limits
        self._model: ServedModel | None = None
        self._jobs: dict[bytes, Job] = {}
        self._ended = EndedJobs()
        self._line = LineEstimate(limits.max_active)
        self._stopping = False
        self._look_at = 0.0

    @property
    def num_active(self) -> int:
        """Jobs that are computed together."""
        return sum(job.is_running for job in self._jobs.values())

    @property
    def num_queued(self) -> int:
        """Jobs that wait for their turn."""
        return len(self._jobs) - self.num_active

    def is_alive(self, request_id: bytes) -> bool:
        """Return whether a request waits or runs; for any thread."""
        return request_id in self._jobs

    def answers(self, request_id: bytes, client: bytes) -> bool:
        """Return whether this connection will be sent more about a request."""
        job = self._jobs.get(request_id)
        return job is not None and job.route is not None and job.route.client == client

    def start(self, model: ServedModel) -> None:
        """Note what computes."""
        self._model = model
        self._is_loaded = True

    def note_unloaded(self) -> None:
        """Note that the model has to be loaded first."""
        self._is_loaded = False

    def accept(self, route: Route, request_id: bytes, message: Generate | Chat, header: Header) -> None:
        """Queue a generation, or reject it, and tell the client which; one that is known already is taken over."""
        now = time.monotonic()
        known = self._jobs.get(request_id) or self._ended.get(request_id, now)
        if known is not None and not self._is_repeated(known, route, header):
            self._take_over(known, route, header)
            return
        priority = Priority[header.priority.upper()]
        position = self._line.position(self._jobs.values(), route.client, priority, now)
        problem = self._reason_to_reject(route, priority, known, header)
        if problem is not None:
            is_full = problem is QUEUE_FULL
            refusal = rejection(
                problem,
                queue_position=position if is_full else None,
                retry_after_ms=self._line.retry_after_ms() if is_full else None,
            )
            self._outbox.send(route, request_id, refusal)
            return
        job = Job(
            client=route.client,
            priority=priority,
            arrived_at=now,
            request_id=request_id,
            route=route,
            prompt=message.prompt if isinstance(message, Generate) else message.messages,
            options=message.options,
            deadline=None if header.deadline_ms is None else now + header.deadline_ms / 1000,
            session=header.session,
            is_detached=header.detached,
            answer=AnswerStream("none" if route.delimited else header.stream, header.credit),
        )
        self._jobs[request_id] = job
        self._tell_position(job, position)
        if job.state is JobState.QUEUED:
            self._compute.submit(job)

    def retry_after_ms(self) -> int:
        """Return when it makes sense to ask again, for who was told that the server is busy."""
        return self._line.retry_after_ms()

    def add_credit(self, client: bytes, credit: Credit) -> None:
        """Allow a job of this connection to send more chunks."""
        job = self._jobs.get(credit.request_id)
        if job is not None and job.route is not None and job.route.client == client:
            for chunk in job.answer.add_credit(credit.chunks):
                self._tell(job, chunk)

    def cancel(self, request_id: bytes) -> bool:
        """Cancel a request and return whether it was alive; its terminal message follows, at once if it never ran."""
        job = self._jobs.get(request_id)
        if job is None:
            return False
        if job.state is JobState.QUEUED and not job.has_run:
            self._end(job, self._cancelled_before_start(job))
        else:
            job.cancel()
        return True

    def end_client(self, client: bytes, *, says_bye: bool = False) -> None:
        """Send nothing more to a client; its jobs are cancelled, at once if it said so, or if it does not come back."""
        self._outbox.forget(client)
        for job in [job for job in self._jobs.values() if job.route is not None and job.route.client == client]:
            job.route = None
            job.vanished_at = time.monotonic()
            if says_bye and not job.is_detached:
                self.cancel(job.request_id)

    def next_moment(self) -> float | None:
        """Return when `tick` has something to do, on the monotonic clock."""
        moments = [self._look_at] if self._jobs else []
        moments += [job.deadline for job in self._jobs.values() if job.deadline is not None]
        moments += [self._give_up_at(job) for job in self._jobs.values() if job.route is None and not job.is_detached]
        moments += [job.told_at + _PROGRESS_INTERVAL_S for job in self._jobs.values() if self._wants_progress(job)]
        return min(moments, default=None)

    def tick(self) -> None:
        """End what is too late, cancel what nobody waits for, and tell the others that their work goes on."""
        now = time.monotonic()
        if now >= self._look_at:
            self._look_at = now + _LOOK_INTERVAL_S
            self._look_for_clients()
        for job in list(self._jobs.values()):
            if job.deadline is not None and job.deadline <= now:
                self._end(job, DEADLINE_EXCEEDED)
            elif job.route is None and not job.is_detached and self._give_up_at(job) <= now:
                job.vanished_at = now  # one that runs is cancelled at its next step
                self.cancel(job.request_id)
            elif self._wants_progress(job) and now >= job.told_at + _PROGRESS_INTERVAL_S:
                self._tell(job, self._progress_of(job), must_arrive=False)

    def _look_for_clients(self) -> None:
        """Notice whose connection is gone: nothing that is sent to a REQ socket before the end would tell."""
        routes = [job.route for job in self._jobs.values() if job.route is not None]
        for client in {route.client for route in routes if not route.is_open()}:
            self.end_client(client)

    def stop(self) -> None:
        """End all jobs and reject new ones."""
        self._stopping = True
        self.end_all(SERVER_STOPPING)

    def end_all(self, problem: ErrorMessage) -> None:
        """End all jobs with a problem."""
        for job in self.jobs():
            self._end(job, problem)

    def jobs(self) -> list[Job]:
        """Return the jobs that wait or run; any thread may ask, since copying a dictionary's values is one step."""
        return list(self._jobs.values())

    def take_event(self, event: Started | Suspended | Produced | Failed) -> None:
        """Pass on what the compute thread did."""
        job = event.job
        if job.state is JobState.ENDED:
            return
        if isinstance(event, Started):
            job.state = JobState.RUNNING
            job.has_run = True
            self._line.note_start(job, time.monotonic())
            if job.told_position != 0:
                self._tell_position(job, 0)
        elif isinstance(event, Suspended):
            job.state, job.told_position = JobState.QUEUED, None
            self._tell(job, self._progress_of(job))
        elif isinstance(event, Failed):
            self._end(job, INTERNAL_ERROR if event.error is None else problem_of(event.error))
        else:
            self._pass_on(job, event)

    def _pass_on(self, job: Job, produced: Produced) -> None:
        job.was_throttled = job.was_throttled or self._is_throttled()
        for event in produced.events:
            if isinstance(event, GenerationResult):
                timings = msgspec.structs.replace(event.timings, queue_s=job.waited_s)
                self._end(job, msgspec.structs.replace(event, timings=timings, throttled=job.was_throttled))
                return
            for chunk in job.answer.push(event):
                if self._tell(job, chunk, must_arrive=False) is Delivery.REFUSED:
                    logger.warning("A client reads too slowly; its generation is cancelled.")
                    self._end(job, SLOW_READER)
                    return

    def _is_repeated(self, known: Job, route: Route, header: Header) -> bool:
        """Return whether a message asks a second time for what this connection is being sent."""
        is_here = known.route is not None and known.route.client == route.client
        return known.state is not JobState.ENDED and is_here and header.resume_from is None

    def _take_over(self, job: Job, route: Route, header: Header) -> None:
        """Send an answer on another way from now on, beginning with what the client has missed."""
        ended_with = job.terminal
        job.route, job.vanished_at = route, None
        self._tell_position(job, 0 if job.state is not JobState.QUEUED else self._position_of(job))
        if not route.delimited:
            for chunk in job.answer.sent_from(header.resume_from or 0):
                self._tell(job, chunk)
            for chunk in job.answer.begin_credit(header.credit):
                self._tell(job, chunk)
        if ended_with is not None:
            self._tell(job, ended_with)

    def _reason_to_reject(
        self, route: Route, priority: Priority, known: Job | None, header: Header
    ) -> ErrorMessage | None:
        if self._stopping:
            return SERVER_STOPPING
        if known is not None:
            return DUPLICATE_REQUEST
        if header.resume_from is not None:
            return UNKNOWN_REQUEST
        limits = self._limits
        in_line = [job for job in self._jobs.values() if job.is_in_line]
        num_own = sum(job.client == route.client for job in in_line)
        most = limits.max_queued + (_SAFETY_RESERVE if priority is Priority.SAFETY else 0)
        return QUEUE_FULL if num_own >= limits.max_queued_per_client or len(in_line) >= most else None

    def _position_of(self, job: Job) -> int:
        others = [each for each in self._jobs.values() if each is not job]
        return self._line.position(others, job.client, job.priority, time.monotonic(), job.arrived_at)

    def _tell_position(self, job: Job, position: int) -> None:
        job.told_position = position
        self._tell(job, Accepted(position, self._line.estimate_ms(position)))

    def _progress_of(self, job: Job) -> Progress:
        if job.state is JobState.QUEUED:
            position = self._position_of(job)
            phase: Literal["loading", "queued"] = "queued" if self._is_loaded else "loading"
            return Progress(phase=phase, queue_position=position, estimate_ms=self._line.estimate_ms(position))
        generation = job.generation  # which the compute thread takes away at its end
        done, total = (0, 0) if generation is None else generation.prefill_progress
        return Progress(phase="prefill" if done < total else "decode", done=done, total=total)

    def _wants_progress(self, job: Job) -> bool:
        return job.route is not None and not job.route.delimited

    def _give_up_at(self, job: Job) -> float:
        return (job.vanished_at or 0.0) + _VANISHED_GRACE_S

    def _tell(self, job: Job, message: ServerMessage, *, must_arrive: bool = True) -> Delivery:
        """Send a message about a job to whoever waits for it; a REQ socket gets only the last."""
        is_last = not isinstance(message, Accepted | Progress) and message is job.terminal
        if job.route is None or (job.route.delimited and not is_last):
            return Delivery.TAKEN
        client = job.route.client
        job.told_at = time.monotonic()
        delivery = self._outbox.send(job.route, job.request_id, message, must_arrive=must_arrive)
        if delivery is Delivery.CLIENT_GONE:
            self.end_client(client)
        return delivery

    def _end(self, job: Job, terminal: GenerationResult | ErrorMessage) -> None:
        if job.state is JobState.ENDED:
            return
        self._line.note_end(job, time.monotonic())
        job.state = JobState.ENDED
        job.terminal = terminal
        job.prompt, job.options = "", _NO_OPTIONS  # the rest is kept for a while
        del self._jobs[job.request_id]
        self._compute.withdraw(job)
        for chunk in job.answer.finish():
            self._tell(job, chunk)
        self._tell(job, terminal)
        self._ended.add(job, time.monotonic())

    def _cancelled_before_start(self, job: Job) -> GenerationResult:
        model = self._model
        return GenerationResult(
            text="",
            token_ids=[],
            finish_reason="cancelled",
            usage=Usage(0, 0),
            timings=Timings(
                load_s=0.0 if model is None else model.load_s,
                queue_s=time.monotonic() - job.arrived_at,
                prefill_s=0.0,
                decode_s=0.0,
                prefill_tokens_per_s=None,
                decode_tokens_per_s=None,
            ),
            backend="" if model is None else model.backend_name,
            model="" if model is None else model.name,
            seed=job.options.seed or 0,
            backend_note=None if model is None else model.backend_note,
        )
