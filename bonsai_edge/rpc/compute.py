"""The compute thread: loads the model, steps what the schedule says, and posts what comes out.

A model that nobody has used for some time may be unloaded until the next generation.
It knows no socket and no client; the network thread decides what becomes of the events.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeAlias

from bonsai_edge.errors import BonsaiError, KVCacheFullError
from bonsai_edge.generation import GenerationEvent
from bonsai_edge.rpc.job import Job
from bonsai_edge.rpc.served_model import ServedGeneration, ServedModel
from bonsai_edge.scheduling.priority import Priority
from bonsai_edge.scheduling.schedule import Schedule

logger = logging.getLogger(__name__)

_PREPARING_THREADS = 4  # so that a short prompt need not wait for a long one to be tokenized


@dataclass(frozen=True)
class Loaded:
    """The model is ready, for the first time or again."""

    model: ServedModel


@dataclass(frozen=True)
class Unloaded:
    """The model has given its memory back, until the next job."""


@dataclass(frozen=True)
class LoadFailed:
    """There will be no model; the thread has ended."""

    error: Exception


@dataclass(frozen=True)
class Started:
    """A job came to run, for the first time or again."""

    job: Job


@dataclass(frozen=True)
class Suspended:
    """A job must wait again, because a more urgent one needed its place."""

    job: Job


@dataclass(frozen=True)
class Produced:
    """A job made chunks, and perhaps its result, which is the last that is heard of it."""

    job: Job
    events: Sequence[GenerationEvent]


@dataclass(frozen=True)
class Failed:
    """A job ended without a result."""

    job: Job
    error: BonsaiError | None
    """None for a defect of ours, which is in the log."""


ComputeEvent: TypeAlias = Loaded | Unloaded | LoadFailed | Started | Suspended | Produced | Failed


class ComputeThread:
    """Computes what is submitted, as many jobs together as `max_active`.

    `submit`, `withdraw` and `stop` are for the network thread. After `idle_unload_s` seconds without a job the model is
    closed; the next one has it loaded again.
    """

    def __init__(
        self,
        load: Callable[[], ServedModel],
        post: Callable[[ComputeEvent], None],
        max_active: int,
        idle_unload_s: float | None = None,
    ) -> None:
        self._load = load
        self._post = post
        self._idle_unload_s = idle_unload_s
        self._model: ServedModel | None = None
        self._schedule: Schedule[Job] = Schedule(max_active)
        self._changed = threading.Condition()  # guards the schedule and the three below
        self._unprepared: list[Job] = []
        self._blocked: Job | None = None
        self._is_stopping = False
        self._preparing = ThreadPoolExecutor(_PREPARING_THREADS, thread_name_prefix="bonsai-edge-prompt")
        self._preparing_safety = ThreadPoolExecutor(1, thread_name_prefix="bonsai-edge-safety")  # behind no long prompt
        # A daemon, so that a step that hangs cannot keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="bonsai-edge-compute", daemon=True)
        self.steps = 0
        self.last_step_at: float | None = None

    def start(self) -> None:
        """Begin to load the model."""
        self._thread.start()

    def submit(self, job: Job) -> None:
        """Let a job run when its turn comes."""
        with self._changed:
            job.waiting_since = time.monotonic()
            self._schedule.add(job)
            self._unprepared.append(job)
            self._prepare_all()
            self._changed.notify()

    def withdraw(self, job: Job) -> None:
        """Forget a job: at once if it never ran, else before its next step. Nothing more need be heard of it."""
        with self._changed:
            job.cancel()
            if job in self._unprepared:
                self._unprepared.remove(job)
            if job in self._schedule.waiting and job.admitted_as is None:
                self._schedule.remove(job)
                job.generation = None

    def stop(self, timeout_s: float) -> bool:
        """Close the model after the current step and return whether the thread ended in time."""
        with self._changed:
            self._is_stopping = True
            self._changed.notify()
        for executor in (self._preparing, self._preparing_safety):
            executor.shutdown(wait=False, cancel_futures=True)
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._load_model()
        except Exception as exc:  # noqa: BLE001  (the network thread raises it)
            self._post(LoadFailed(exc))
            return
        try:
            while self._wait_for_work():
                if self._model is None and not self._load_again():
                    continue
                self._admit()
                self._step()
        finally:
            self._unload()

    def _wait_for_work(self) -> bool:
        """Wait until a job can be computed, and unload the model if that takes too long; False ends the thread."""
        with self._changed:
            while not self._is_stopping:
                if self._schedule.running or self._schedule.head(time.monotonic()) is not None:
                    return True
                if self._model is None and self._unprepared:
                    return True
                is_idle = self._model is not None and not self._schedule.waiting
                if not self._changed.wait(self._idle_unload_s if is_idle else None) and not self._schedule.waiting:
                    self._unload()
                    self._post(Unloaded())
            return False

    def _load_model(self) -> None:
        model = self._load()
        with self._changed:
            self._model = model
            self._post(Loaded(model))
            self._prepare_all()

    def _load_again(self) -> bool:
        """Load the model, or fail the jobs that wait for it, not the server."""
        error: BonsaiError | None = None
        try:
            self._load_model()
            return True
        except BonsaiError as exc:
            error = exc
        except Exception:
            logger.exception("The model cannot be loaded again.")
        with self._changed:
            failed, self._unprepared = self._unprepared, []
            for job in failed:
                self._schedule.remove(job)
        for job in failed:
            self._post(Failed(job, error))
        return False

    def _unload(self) -> None:
        if self._model is not None:
            self._model.close()
            self._model = None

    def _prepare_all(self) -> None:
        """Have prompts tokenized once there is a model; the lock is held."""
        if self._model is None or self._is_stopping:
            return
        for job in self._unprepared:
            executor = self._preparing_safety if job.priority is Priority.SAFETY else self._preparing
            executor.submit(self._prepare, self._model, job)
        self._unprepared = []

    def _prepare(self, model: ServedModel, job: Job) -> None:
        error: BonsaiError | None = None
        generation: ServedGeneration | None = None
        try:
            generation = model.begin(job.prompt, job.options, job.is_cancelled)
        except BonsaiError as exc:
            error = exc
        except Exception:
            logger.exception("A prompt could not be prepared.")
        with self._changed:
            if job not in self._schedule.waiting:  # it was withdrawn
                return
            if generation is None:
                self._schedule.remove(job)
                self._post(Failed(job, error))
            job.generation, job.ready_at = generation, time.monotonic()
            self._changed.notify()

    def _admit(self) -> None:
        """Start what may run now, in the place of less urgent jobs where there is none."""
        while (job := self._next_to_start()) is not None:
            try:
                self._open(job)
            except BonsaiError as exc:
                self._fail(job, exc)
            except Exception:
                logger.exception("A generation cannot be opened.")
                self._fail(job, None)

    def _next_to_start(self) -> Job | None:
        """Give a place to the job at the head of the line; None if it must wait."""
        now = time.monotonic()
        with self._changed:
            schedule = self._schedule
            job = schedule.head(now)
            if job is None or job is self._blocked:
                return None
            if len(schedule.running) == schedule.max_running:
                victims = schedule.victims(job, now)
                if not victims:
                    return None
                self._suspend(victims[0])
            schedule.start(job, now)
            return job

    def _open(self, job: Job) -> None:
        """Open a job that has a place, in the memory of less urgent ones if it must, or let it wait for some.

        Raises KVCacheFullError if no other job has the memory.
        """
        while True:
            try:
                _generation_of(job).open()
            except KVCacheFullError:
                with self._changed:
                    victims = self._schedule.victims(job, time.monotonic())
                    if victims:
                        self._suspend(victims[0])
                        continue
                    if len(self._schedule.running) == 1:
                        raise
                    self._schedule.suspend(job)
                    self._blocked = job
                    return
            now = time.monotonic()
            job.waited_s += now - (job.waiting_since or now)
            self._post(Started(job))
            return

    def _suspend(self, job: Job) -> None:
        """Take its place and its memory from a job; the lock is held."""
        _generation_of(job).suspend()
        self._schedule.suspend(job)
        self._blocked = None
        job.waiting_since = time.monotonic()
        self._post(Suspended(job))

    def _step(self) -> None:
        with self._changed:
            jobs = list(self._schedule.to_step())
            # Those that pause or were suspended are not in the step, but must learn that they are cancelled.
            suspended = [job for job in self._schedule.waiting if job.admitted_as is not None]
            resting = [*self._schedule.running, *suspended]
            jobs += [job for job in resting if job.is_cancelled() and job not in jobs]
        if not jobs or self._model is None:
            return
        num_computed = [_generation_of(job).num_computed for job in jobs]
        self.steps += 1
        self.last_step_at = time.monotonic()
        try:
            outcomes = self._model.advance([_generation_of(job) for job in jobs])
        except Exception:
            logger.exception("A step failed.")
            for job in jobs:
                self._fail(job, None)
            return
        for job, events, before in zip(jobs, outcomes, num_computed, strict=True):
            generation = _generation_of(job)
            with self._changed:
                self._schedule.charge(job, generation.num_computed - before)
            if isinstance(events, BonsaiError):
                self._fail(job, events)
                continue
            if generation.is_finished:
                self._leave(job)
            if events:
                self._post(Produced(job, events))

    def _fail(self, job: Job, error: BonsaiError | None) -> None:
        self._leave(job)
        self._post(Failed(job, error))

    def _leave(self, job: Job) -> None:
        """Take a job that runs out of the schedule, which may make room for another."""
        _generation_of(job).close()
        job.generation = None  # the job itself is kept for a while
        with self._changed:
            self._schedule.remove(job)
            self._blocked = None


def _generation_of(job: Job) -> ServedGeneration:
    assert job.generation is not None, "a job is prepared before it is scheduled"
    return job.generation
