"""The compute thread: loads the model, runs one generation after the other, and posts what comes out.

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
        """Release what the model holds."""


@dataclass(frozen=True)
class Loaded:
    """The model is ready."""

    model: ServedModel


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


ComputeEvent: TypeAlias = Loaded | LoadFailed | Produced | Failed


class ComputeThread:
    """Runs jobs in the order in which they are submitted. `submit` and `stop` are for the network thread."""

    def __init__(self, load: Callable[[], ServedModel], post: Callable[[ComputeEvent], None]) -> None:
        self._load = load
        self._post = post
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
            model = self._load()
        except Exception as exc:  # noqa: BLE001  (the network thread raises it)
            self._post(LoadFailed(exc))
            return
        try:
            self._post(Loaded(model))
            while (job := self._jobs.get()) is not None:
                self._generate(model, job)
        finally:
            model.close()

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
