"""The client's side of the protocol without a socket: both clients pump frames through it and share its rules.

A server is given up after `timeout_s` of silence, not after `timeout_s` of work: while an answer is awaited the server
is pinged, its network thread answers whatever its engine does, and says so when it does not know the request.
"""

from __future__ import annotations

import math
import time
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

import msgspec

from bonsai_edge.errors import BonsaiError, InvalidRequestError, ProtocolError, RpcError, ServerUnreachableError
from bonsai_edge.generation import TextChunk
from bonsai_edge.rpc.codec import decode_server_message, encode, request_id_of, with_header
from bonsai_edge.rpc.messages import (
    Accepted,
    Bye,
    Cancel,
    Credit,
    ErrorMessage,
    Final,
    Header,
    Ping,
    Pong,
    Progress,
    Rejected,
    Welcome,
)
from bonsai_edge.rpc.problems import UNKNOWN_REQUEST, exception_of

Arrival: TypeAlias = Accepted | TextChunk | Final | Welcome | BonsaiError
"""What comes of a request: its answers in order, or the reason why there will be no more."""

_PING_INTERVAL_S = 1.0
_MAX_PINGED_REQUESTS = 256
_SEND_RETRY_S = 0.005  # while there is no connection


@dataclass(eq=False)
class Exchange:
    """One request and the place where its answers go; `deliver` is called by whoever drives the `Exchanges`."""

    request_id: bytes
    frames: list[bytes]
    deliver: Callable[[Arrival], None]
    header: Header | None = None
    """Of a generation, which can be resumed on another connection."""
    begun_at: float = field(default=math.inf, init=False)
    num_chunks: int = field(default=0, init=False)
    is_resumed: bool = field(default=False, init=False)


@dataclass(frozen=True)
class _Outgoing:
    request_id: bytes
    frames: list[bytes]
    expires_at: float


class Exchanges:
    """The requests of one connection that are under way. Not thread-safe.

    The driver sends `next_frames` and says `mark_sent`, gives what it receives to `receive`, and calls `tick` at least
    every `wait_s` seconds. What cannot be sent while there is no connection is forgotten with its request, so that a
    server never gets it late.
    """

    def __init__(self, endpoint: str, timeout_s: float) -> None:
        self._endpoint = endpoint
        self._timeout_s = timeout_s
        self._ping_interval_s = min(_PING_INTERVAL_S, timeout_s / 3)
        self._live: dict[bytes, Exchange] = {}
        self._outgoing: deque[_Outgoing] = deque()
        self._heard_at = -math.inf
        self._pinged_at = -math.inf
        self.suspicion: str | None = None
        """Why there may be no connection, where the driver knows more than that there is none."""

    @property
    def is_busy(self) -> bool:
        """Whether an answer is awaited or something is still to be sent."""
        return bool(self._live or self._outgoing)

    def begin(self, exchange: Exchange) -> None:
        """Queue a request."""
        if exchange.request_id in self._live:
            request_id = uuid.UUID(bytes=exchange.request_id)
            exchange.deliver(
                InvalidRequestError(f"A request with the id {request_id} is under way.", "Give each request its own.")
            )
            return
        exchange.begun_at = time.monotonic()
        self._live[exchange.request_id] = exchange
        self._queue(exchange.request_id, exchange.frames)

    def allow(self, exchange: Exchange, num_chunks: int) -> None:
        """Give the server credit for more chunks of a request, because so many were taken."""
        if self._live.get(exchange.request_id) is exchange:
            credit_id = uuid.uuid4().bytes
            self._queue(credit_id, encode(Credit(exchange.request_id, num_chunks), credit_id))

    def end(self, exchange: Exchange) -> None:
        """Take no more interest in a request; it is cancelled if it has not ended by itself."""
        if self._live.get(exchange.request_id) is not exchange:
            return
        del self._live[exchange.request_id]
        if self._is_unsent(exchange.request_id):
            self._outgoing = deque(each for each in self._outgoing if each.request_id != exchange.request_id)
            return
        cancel_id = uuid.uuid4().bytes
        self._queue(cancel_id, encode(Cancel((exchange.request_id,)), cancel_id))

    def fail_all(self, cause: str, remedy: str, kind: type[RpcError] = RpcError) -> None:
        """Let all requests fail."""
        for exchange in list(self._live.values()):
            self._fail(exchange, kind(cause, remedy))

    def leave(self) -> None:
        """Queue the message that ends the connection."""
        bye_id = uuid.uuid4().bytes
        self._queue(bye_id, encode(Bye(), bye_id))

    def next_frames(self) -> list[bytes] | None:
        """Return what to send next, None when there is nothing."""
        return self._outgoing[0].frames if self._outgoing else None

    def mark_sent(self) -> None:
        """Note that what `next_frames` returned is on its way."""
        self._outgoing.popleft()

    def receive(self, frames: list[bytes]) -> None:
        """Deliver a message; stale ones, whose request nobody waits for any more, are dropped."""
        self._heard_at = time.monotonic()
        exchange = self._live.get(request_id_of(frames))
        try:
            message = decode_server_message(frames).message
        except ProtocolError as exc:
            if exchange is not None:
                self._fail(exchange, exc)
            return
        if isinstance(message, Pong):
            self._tend_lost(message)
        elif exchange is not None and not isinstance(message, Progress):
            self._take(exchange, message)

    def tick(self) -> None:
        """Give up on a silent server, and ping one that has been silent for a moment."""
        now = time.monotonic()
        for exchange in list(self._live.values()):
            if now >= self._silent_since(exchange) + self._timeout_s:
                self._fail(exchange, self._unreachable(exchange))
        self._outgoing = deque(each for each in self._outgoing if each.expires_at > now)
        if self._live and not self._outgoing and now >= self._next_ping_at():
            self._pinged_at = now
            ping_id = uuid.uuid4().bytes
            self._queue(ping_id, encode(Ping(tuple(self._live)[:_MAX_PINGED_REQUESTS]), ping_id))

    def wait_s(self) -> float | None:
        """Return the seconds until the next `tick`; None when only a new request can bring work."""
        if self._outgoing:
            return _SEND_RETRY_S
        if not self._live:
            return None
        give_up_at = min(map(self._silent_since, self._live.values())) + self._timeout_s
        return max(0.0, min(give_up_at, self._next_ping_at()) - time.monotonic())

    def _take(
        self, exchange: Exchange, message: Accepted | TextChunk | Final | Welcome | Rejected | ErrorMessage
    ) -> None:
        if isinstance(message, Rejected | ErrorMessage):
            del self._live[exchange.request_id]
            is_unknown = exchange.is_resumed and message.code == UNKNOWN_REQUEST.code
            exchange.deliver(self._forgotten() if is_unknown else exception_of(message))
            return
        if isinstance(message, TextChunk):
            if message.index != exchange.num_chunks:
                cause = f"Chunk {message.index} of the answer arrived where chunk {exchange.num_chunks} was expected."
                self._fail(exchange, ProtocolError(cause, "Send the request again."))
                return
            exchange.num_chunks += 1
        elif not isinstance(message, Accepted):
            del self._live[exchange.request_id]
        exchange.deliver(message)

    def _tend_lost(self, pong: Pong) -> None:
        """Ask for the rest of generations that this connection would not be sent, and let other requests fail."""
        for request_id in pong.lost:
            exchange = self._live.get(request_id)
            if exchange is None or self._is_unsent(request_id):
                continue
            if exchange.header is None:
                self._fail(exchange, self._forgotten())
                continue
            exchange.is_resumed = True
            header = msgspec.structs.replace(exchange.header, resume_from=exchange.num_chunks)
            self._queue(request_id, with_header(exchange.frames, header))

    def _forgotten(self) -> ServerUnreachableError:
        cause = f"The connection to {self._endpoint} broke, and the server does not know the request any more."
        return ServerUnreachableError(cause, "Send the request again.")

    def _fail(self, exchange: Exchange, error: BonsaiError) -> None:
        self.end(exchange)
        exchange.deliver(error)

    def _unreachable(self, exchange: Exchange) -> ServerUnreachableError:
        remedy = "Start it with `bonsai-edge serve`, or check the endpoint."
        if self._is_unsent(exchange.request_id):
            suspicion = self.suspicion or "no server listens there"
            cause = f"No connection to {self._endpoint} within {self._timeout_s:g} s; {suspicion}."
        else:
            cause = f"The server at {self._endpoint} has been silent for {self._timeout_s:g} s."
        return ServerUnreachableError(cause, remedy)

    def _queue(self, request_id: bytes, frames: list[bytes]) -> None:
        self._outgoing.append(_Outgoing(request_id, frames, time.monotonic() + self._timeout_s))

    def _is_unsent(self, request_id: bytes) -> bool:
        return any(each.request_id == request_id for each in self._outgoing)

    def _silent_since(self, exchange: Exchange) -> float:
        return max(self._heard_at, exchange.begun_at)

    def _next_ping_at(self) -> float:
        first_begun_at = min(exchange.begun_at for exchange in self._live.values())
        return max(self._heard_at, self._pinged_at, first_begun_at) + self._ping_interval_s
