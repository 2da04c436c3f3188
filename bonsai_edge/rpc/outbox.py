"""The sending half of the ROUTER: never waits, never lets one client's slowness reach another."""

from __future__ import annotations

import errno
import logging
import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from enum import Enum

import zmq

from bonsai_edge.errors import InvalidRequestError
from bonsai_edge.rpc.codec import encode
from bonsai_edge.rpc.job import Route
from bonsai_edge.rpc.messages import MAX_MESSAGE_BYTES, ServerMessage
from bonsai_edge.rpc.problems import INTERNAL_ERROR, REPLY_TOO_LARGE

logger = logging.getLogger(__name__)

MAX_WAITING_MESSAGES = 256
"""For one client; who does not read that many is cut off."""


class Delivery(Enum):
    """What became of a message."""

    TAKEN = "taken"
    """ZeroMQ has it, or it waits here for ZeroMQ to take it."""
    REFUSED = "refused"
    """The client's queue is full, and the message was not one that must arrive."""
    CLIENT_GONE = "client gone"


class Outbox:
    """Sends in order to each client; what must arrive waits here while ZeroMQ's queue for the client is full.

    `on_gone` is called when a client turns out to be gone while its waiting messages are sent. `observers` see every
    message that is to be sent, whether or not there is somebody to get it.
    """

    def __init__(
        self,
        router: zmq.Socket[bytes],
        on_gone: Callable[[bytes], None],
        observers: Sequence[Callable[[bytes, ServerMessage], None]] = (),
    ) -> None:
        self._router = router
        self._on_gone = on_gone
        self._observers = observers
        self._waiting: dict[bytes, deque[list[bytes]]] = {}
        self.last_sent_at = -math.inf

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def send(self, route: Route, request_id: bytes, message: ServerMessage, *, must_arrive: bool = True) -> Delivery:
        """Send a message now, or keep it if it must arrive; an answer that cannot be sent becomes an ERROR."""
        for observe in self._observers:
            observe(request_id, message)
        parts = [*route.envelope(), *_encoded(message, request_id)]
        waiting = self._waiting.get(route.client)
        delivery = self._try(parts) if waiting is None else Delivery.REFUSED
        if delivery is not Delivery.REFUSED or not must_arrive:
            return delivery
        if waiting is not None and len(waiting) >= MAX_WAITING_MESSAGES:
            logger.warning("A client does not read its answers, and is cut off.")
            if route.connection is not None:
                route.connection.cut()
            return Delivery.CLIENT_GONE
        self._waiting.setdefault(route.client, deque()).append(parts)
        return Delivery.TAKEN

    def flush(self) -> None:
        """Try again to send what waits."""
        for client, waiting in list(self._waiting.items()):
            delivery = Delivery.TAKEN
            while waiting and (delivery := self._try(waiting[0])) is Delivery.TAKEN:
                waiting.popleft()
            if not waiting:
                del self._waiting[client]
            elif delivery is Delivery.CLIENT_GONE:
                self._on_gone(client)

    def forget(self, client: bytes) -> None:
        """Drop what waits for a client."""
        self._waiting.pop(client, None)

    def _try(self, parts: list[bytes]) -> Delivery:
        try:
            self._router.send_multipart(parts, zmq.DONTWAIT)
        except zmq.Again:
            return Delivery.REFUSED
        except zmq.ZMQError as exc:
            if exc.errno == errno.EHOSTUNREACH:
                return Delivery.CLIENT_GONE
            raise
        self.last_sent_at = time.monotonic()
        return Delivery.TAKEN


def _encoded(message: ServerMessage, request_id: bytes) -> list[bytes]:
    try:
        frames = encode(message, request_id)
    except InvalidRequestError:
        logger.exception("An answer cannot be encoded.")
        return encode(INTERNAL_ERROR, request_id)
    if sum(map(len, frames)) > MAX_MESSAGE_BYTES:
        return encode(REPLY_TOO_LARGE, request_id)
    return frames
