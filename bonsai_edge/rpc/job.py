"""One accepted generation, from its acceptance to its terminal message."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

from bonsai_edge.generation import GenerationOptions, GenerationResult, Message
from bonsai_edge.rpc.answer_stream import AnswerStream
from bonsai_edge.rpc.connection import Connection
from bonsai_edge.rpc.messages import ErrorMessage, Final
from bonsai_edge.rpc.served_model import ServedGeneration
from bonsai_edge.scheduling.schedule import Ticket


class JobState(Enum):
    """Where a job is; one that is preempted is `QUEUED` again, and `ENDED` has its terminal message."""

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
    connection: Connection | None = field(default=None, compare=False)
    """None where it is not known; taken for open then."""

    def is_open(self) -> bool:
        """Return whether the connection is still there."""
        return self.connection is None or self.connection.is_open()

    def envelope(self) -> list[bytes]:
        """Return the frames that precede every message on this way."""
        return [self.client, b""] if self.delimited else [self.client]


@dataclass(eq=False, kw_only=True)
class Job(Ticket):
    """Owned by the network thread, but for `generation` and the times of running, which are the compute thread's."""

    request_id: bytes
    route: Route | None
    """None while nobody is there to get the answer."""
    prompt: str | Sequence[Message]
    options: GenerationOptions
    deadline: float | None
    session: str | None
    is_detached: bool
    answer: AnswerStream
    state: JobState = JobState.QUEUED
    terminal: Final | ErrorMessage | None = None
    told_position: int | None = None
    """What the client was last told about its place in the line."""
    told_at: float = 0.0
    """When the client was last sent anything."""
    vanished_at: float | None = None
    has_run: bool = False
    ready_at: float | None = None
    """When its prompt was tokenized."""
    started_at: float | None = None
    generation: ServedGeneration | None = None
    waiting_since: float | None = None
    was_throttled: bool | None = None
    waited_s: float = 0.0
    _cancelled: bool = field(default=False, init=False)

    @property
    def is_ready(self) -> bool:
        """Whether its prompt is tokenized."""
        return self.generation is not None

    @property
    def can_be_suspended(self) -> bool:
        """Whether it may make room for another once it runs."""
        return self.generation is not None and self.generation.can_be_suspended

    @property
    def is_in_line(self) -> bool:
        """Whether it waits for other jobs; one that was told that it need not is about to run."""
        return self.state is JobState.QUEUED and self.told_position != 0

    @property
    def num_bytes(self) -> int:
        """About how much memory it takes when it has ended."""
        result = self.terminal
        of_result = 0
        if isinstance(result, GenerationResult):
            of_result = sys.getsizeof(result.text) + 36 * len(result.token_ids)
        return 1_536 + self.answer.num_bytes + of_result

    def cancel(self) -> None:
        """Ask the compute thread to stop before its next step; any thread may."""
        self._cancelled = True

    def is_cancelled(self) -> bool:
        """Return whether the compute thread should stop."""
        return self._cancelled
