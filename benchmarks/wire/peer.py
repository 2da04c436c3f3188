"""A DEALER that speaks the protocol in plain maps, as docs/protocol.md writes them."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import msgspec
import zmq

PROTOCOL = b"BE/1"
ENDS = frozenset({"FINAL", "ERROR", "REJECTED"})
"""Kinds after which nothing more comes for a request."""


@dataclass(frozen=True)
class Message:
    """What came from the server, and when on the monotonic clock, which all processes of a machine share."""

    kind: str
    request_id: bytes
    body: dict[str, Any]
    at: float


class Peer:
    """One connection. Connecting happens in the background; a message that is sent before waits for it."""

    def __init__(self, endpoint: str) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.socket: zmq.Socket[bytes] = self._context.socket(zmq.DEALER)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt(zmq.RCVHWM, 0)  # what is measured is the server's queue, not ours
        self.socket.connect(endpoint)

    def __enter__(self) -> Peer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Leave without a BYE, as a process that dies does."""
        self._context.destroy(linger=0)

    def send(
        self,
        kind: str,
        body: Mapping[str, Any] | None = None,
        header: Mapping[str, Any] | None = None,
        request_id: bytes | None = None,
    ) -> bytes:
        """Send a message, with a fresh id unless one is given, and return its id."""
        request_id = request_id or uuid.uuid4().bytes
        self.send_frames([PROTOCOL, kind.encode(), request_id, _encoded(header or {}), _encoded(body or {})])
        return request_id

    def send_frames(self, frames: Sequence[bytes]) -> None:
        """Send what may not be a message."""
        self.socket.send_multipart(frames)

    def receive(self, timeout_s: float) -> Message | None:
        """Return the next message, None when none comes in time."""
        if not self.socket.poll(max(0, round(timeout_s * 1000))):
            return None
        frames = self.socket.recv_multipart()
        at = time.monotonic()
        if not frames[0]:  # the delimiter of a REQ socket, which the server echoes
            del frames[0]
        _, kind, request_id, _, body = frames[:5]
        return Message(kind.decode(), request_id, msgspec.msgpack.decode(body), at)

    def ask(self, kind: str, body: Mapping[str, Any] | None = None, timeout_s: float = 10.0) -> Message:
        """Return the answer to a question; messages of other requests are dropped. Raises TimeoutError."""
        request_id = self.send(kind, body)
        give_up_at = time.monotonic() + timeout_s
        while (message := self.receive(give_up_at - time.monotonic())) is not None:
            if message.request_id == request_id:
                return message
        raise TimeoutError(f"No answer to {kind} within {timeout_s:g} s.")


def generation(prompt: str, max_tokens: int, **options: Any) -> dict[str, Any]:
    """Return the body of a REQUEST that continues a text."""
    return {"method": "generate", "prompt": prompt, "options": {"max_tokens": max_tokens, **options}}


def _encoded(value: Mapping[str, Any]) -> bytes:
    return msgspec.msgpack.encode(value)
