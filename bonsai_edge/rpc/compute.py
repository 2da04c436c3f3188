"""The compute thread: loads the model, runs one generation after the other, and posts what comes out.

A model that nobody has used for some time may be unloaded until the next generation.
It knows no socket and no client; the network thread decides what runs next and what becomes of the events.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from bonsai_edge.errors import BonsaiError
from bonsai_edge.generation import GenerationEvent, GenerationOptions, GenerationResult, Message
from bonsai_edge.rpc.job import Job

logger = logging.getLogger(__name__)


class ServedTokenizer(Protocol):
    """What the server needs of a tokenizer; called by another thread than `ServedModel.stream`."""

    def encode(self, text: str, special: bool = False) -> list[int]:
        """Return the token ids of a text."""

    def decode(self, token_ids: Sequence[int]) -> str:
        """Return the text of token ids."""


class ServedSpec(Protocol):
    """What the server tells about the shape of a model."""

    @property
    def architecture(self) -> str: ...  # noqa: D102
    @property
    def vocab_size(self) -> int: ...  # noqa: D102
    @property
    def num_layers(self) -> int: ...  # noqa: D102
    @property
    def hidden_size(self) -> int: ...  # noqa: D102


class ServedModel(Protocol):
    """What the server needs of a model; `bonsai_edge.model.Model` has it, and tests bring their own."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def backend_name(self) -> str: ...  # noqa: D102
    @property
    def context(self) -> int: ...  # noqa: D102
    @property
    def threads(self) -> int: ...  # noqa: D102
    @property
    def load_s(self) -> float: ...  # noqa: D102
    @property
    def spec(self) -> ServedSpec: ...  # noqa: D102
    @property
    def tokenizer(self) -> ServedTokenizer: ...  # noqa: D102

    def stream(
        self,
        prompt: str | Sequence[Message],
        options: GenerationOptions,
        cancelled: Callable[[], bool] | None = None,
    ) -> Iterator[GenerationEvent]:
        """Yield TextChunks and last the GenerationResult; ask `cancelled` before every forward step."""

    def close(self) -> None:
        """Release what generations need; the tokenizer goes on."""


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
class Produced:
    """A job made a chunk, or its result, which is the last that is heard of it."""

    job: Job
    event: GenerationEvent


@dataclass(frozen=True)
class Failed:
    """A job ended without a result."""

    job: Job
    error: BonsaiError | None
    """None for a defect of ours, which is in the log."""


ComputeEvent: TypeAlias = Loaded | Unloaded | LoadFailed | Produced | Failed


class ComputeThread:
    """Runs jobs in the order in which they are submitted. `submit` and `stop` are for the network thread.

    After `idle_unload_s` seconds without a job the model is closed; the next one has it loaded again.
    """

    def __init__(
        self,
        load: Callable[[], ServedModel],
        post: Callable[[ComputeEvent], None],
        idle_unload_s: float | None = None,
    ) -> None:
        self._load = load
        self._post = post
        self._idle_unload_s = idle_unload_s
        self._model: ServedModel | None = None
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        # A daemon, so that a step that hangs cannot keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="bonsai-edge-compute", daemon=True)
        self.steps = 0
        self.last_step_at: float | None = None

    def start(self) -> None:
        """Begin to load the model."""
        self._thread.start()

    def submit(self, job: Job) -> None:
        """Let a job run after those submitted before."""
        self._jobs.put(job)

    def stop(self, timeout_s: float) -> bool:
        """Close the model after the current job and return whether the thread ended in time."""
        self._jobs.put(None)
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._load_model()
        except Exception as exc:  # noqa: BLE001  (the network thread raises it)
            self._post(LoadFailed(exc))
            return
        try:
            while (job := self._next_job()) is not None:
                model = self._model or self._load_again_for(job)
                if model is not None:
                    self._generate(model, job)
        finally:
            self._unload()

    def _next_job(self) -> Job | None:
        """Wait for a job, and unload the model if that takes too long; None ends the thread."""
        try:
            return self._jobs.get(timeout=None if self._model is None else self._idle_unload_s)
        except queue.Empty:
            self._unload()
            self._post(Unloaded())
            return self._jobs.get()

    def _load_model(self) -> ServedModel:
        self._model = self._load()
        self._post(Loaded(self._model))
        return self._model

    def _load_again_for(self, job: Job) -> ServedModel | None:
        """Return the model, or None if it cannot be loaded, which fails the job and not the server."""
        try:
            return self._load_model()
        except BonsaiError as exc:
            self._post(Failed(job, exc))
        except Exception:
            logger.exception("The model cannot be loaded again.")
            self._post(Failed(job, None))
        return None

    def _unload(self) -> None:
        if self._model is not None:
            self._model.close()
            self._model = None

    def _generate(self, model: ServedModel, job: Job) -> None:
        def cancelled() -> bool:
            self.steps += 1
            self.last_step_at = time.monotonic()
            return job.is_cancelled()

        last: GenerationEvent | None = None
        try:
            for last in model.stream(job.prompt, job.options, cancelled):
                self._post(Produced(job, last))
        except BonsaiError as exc:
            self._post(Failed(job, exc))
        except Exception:
            logger.exception("A generation failed.")
            self._post(Failed(job, None))
        else:
            if not isinstance(last, GenerationResult):
                logger.error("%s ended a generation without a result.", model.name)
                self._post(Failed(job, None))
