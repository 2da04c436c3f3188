"""Whether every request got what the protocol promises: an answer, chunks without gaps, and one end."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field, replace

from wire.peer import ENDS, Message


@dataclass(frozen=True)
class Counts:
    """How many requests, and what became of them; the last four must be 0."""

    sent: int = 0
    rejected: int = 0
    finished: int = 0
    failed: int = 0
    """Ended by an ERROR."""
    lost: int = 0
    """Sent, and never ended."""
    doubled: int = 0
    """Messages after the end of their request."""
    gaps: int = 0
    """Chunks with another index than the next."""
    torn: int = 0
    """Results whose text is not that of their chunks."""

    def __add__(self, other: Counts) -> Counts:
        mine, theirs = asdict(self), asdict(other)
        return Counts(**{name: mine[name] + theirs[name] for name in mine})

    @property
    def num_broken(self) -> int:
        """Promises that were not kept."""
        return self.lost + self.doubled + self.gaps + self.torn


@dataclass
class _Request:
    sent_at: float = field(default_factory=time.monotonic)
    is_accepted: bool = False
    num_chunks: int = 0
    text: str = ""


class Account:
    """Follows the streamed generations of one connection by what was sent and what came."""

    def __init__(self) -> None:
        self._counts = Counts()
        self._open: dict[bytes, _Request] = {}
        self._ended: set[bytes] = set()
        self.accept_s: list[float] = []
        """From the request to its first answer."""
        self.tokens: list[tuple[float, int]] = []
        """When tokens arrived, on the monotonic clock, and how many."""

    @property
    def num_open(self) -> int:
        """Requests that have not ended."""
        return len(self._open)

    def note_sent(self, request_id: bytes) -> None:
        """Expect the answers of a generation that is sent now."""
        self._add(sent=1)
        self._open[request_id] = _Request()

    def take(self, message: Message) -> None:
        """Note what came."""
        request = self._open.get(message.request_id)
        if request is None:
            self._add(doubled=int(message.request_id in self._ended))
            return
        if message.kind == "ACCEPTED" and not request.is_accepted:
            request.is_accepted = True
            self.accept_s.append(message.at - request.sent_at)
        elif message.kind == "CHUNK":
            self._add(gaps=int(message.body["index"] != request.num_chunks))
            request.num_chunks += 1
            request.text += message.body["text"]
            self.tokens.append((message.at, len(message.body["token_ids"])))
        elif message.kind in ENDS:
            self._end(message, request)

    def counts(self) -> Counts:
        """Return the counts, with what is still open as lost."""
        return replace(self._counts, lost=len(self._open))

    def _end(self, message: Message, request: _Request) -> None:
        is_result = message.kind == "FINAL"
        self._add(
            rejected=int(message.kind == "REJECTED"),
            failed=int(message.kind == "ERROR"),
            finished=int(is_result),
            torn=int(is_result and message.body["text"] != request.text),
        )
        del self._open[message.request_id]
        self._ended.add(message.request_id)

    def _add(self, **numbers: int) -> None:
        self._counts += Counts(**numbers)
