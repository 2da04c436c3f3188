"""One accepted generation, from its acceptance to its terminal message."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

from bonsai_edge.generation import GenerationOptions, Message


class JobState(Enum):
    """Where a job is; `ENDED` means that its terminal message was sent or that nobody is there to get one."""

    QUEUED = "queued"
    RUNNING = "running"
    ENDED = "ended"


@dataclass(frozen=True)
class Route:
    """The way back to whoever sent a message: the identity of the connection, and whether it is a REQ socket.

    A REQ socket puts an empty frame before its message, wants one before the answer, and takes one answer only.
    """

    client: bytes
    delimited: bool

    def envelope(self) -> list[bytes]:
        """Return the frames that precede every message on this way."""
        return [self.client, b""] if self.delimited else [self.client]


@dataclass(eq=False)
class Job:
    """Owned by the network thread; the compute thread reads the prompt and the options, and asks `is_cancelled`."""

    route: Route
    request_id: bytes
    prompt: str | Sequence[Message]
    options: GenerationOptions
    received_at: float
    deadline: float | None
    streams: bool
    queue_position: int
    """When it was accepted."""
    state: JobState = JobState.QUEUED
    started_at: float | None = None
    _cancelled: bool = field(default=False, init=False)

    def cancel(self) -> None:
        """Ask the compute thread to stop before its next step."""
        self._cancelled = True

    def is_cancelled(self) -> bool:
        """Return whether the compute thread should stop."""
        return self._cancelled

    @property
    def queue_s(self) -> float:
        """Seconds from the arrival of the request to the start of the computation."""
        return 0.0 if self.started_at is None else self.started_at - self.received_at
