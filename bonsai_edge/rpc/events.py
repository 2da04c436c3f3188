"""The publishing half of a server: whoever subscribes learns how it is doing, and nobody can hold it up."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Container

import zmq

from bonsai_edge.rpc.connection import Connection
from bonsai_edge.rpc.event_codec import STATUS_TOPIC, TELEMETRY_TOPIC, encode_event, topic_of
from bonsai_edge.rpc.messages import EVENT_INTERVAL_MS, Event, ServerStatus
from bonsai_edge.rpc.security.receiving import user_of

_INTERVAL_S = EVENT_INTERVAL_MS / 1000
_SHORTEST_INTERVAL_S = 0.1  # changes that follow one another faster are told together
_TOPICS = (STATUS_TOPIC, TELEMETRY_TOPIC)
_SUBSCRIBE = 1


class EventPublisher:
    """Publishes the status every second and when it changes, and costs nothing while nobody listens.

    The socket is an XPUB: a subscriber that reads too slowly misses events, and a new one gets the status at once.
    Used by the control thread.
    """

    def __init__(self, socket: zmq.Socket[bytes], status: Callable[[], ServerStatus]) -> None:
        self.socket = socket
        self._status = status
        self._prefixes: set[bytes] = set()
        self._users: dict[Connection, str] = {}
        self._published_at = -math.inf
        self._has_changed = False

    def note_change(self) -> None:
        """Publish the status soon."""
        self._has_changed = True

    def take_subscriptions(self) -> None:
        """Learn what is subscribed to."""
        with contextlib.suppress(zmq.Again):
            while True:
                frame = self.socket.recv(zmq.DONTWAIT, copy=False)
                self._take(frame.bytes)
                self._note_user(frame)

    def cut(self, users: Container[str]) -> None:
        """End the connections of users who may not listen any more."""
        for connection in [connection for connection, user in self._users.items() if user in users]:
            connection.cut()
            del self._users[connection]

    def publish(self, event: Event) -> None:
        """Send an event to those who want it and can take it."""
        if self._is_wanted(topic_of(event)):
            with contextlib.suppress(zmq.Again):
                self.socket.send_multipart(encode_event(event), zmq.DONTWAIT)

    def tick(self) -> None:
        """Publish the status if it is time."""
        if time.monotonic() >= self.next_at():
            self._published_at = time.monotonic()
            self._has_changed = False
            self.publish(self._status())

    def next_at(self) -> float:
        """Return when the status is to be published, on the monotonic clock; infinity while nobody wants it."""
        if not self._is_wanted(STATUS_TOPIC):
            return math.inf
        return self._published_at + (_SHORTEST_INTERVAL_S if self._has_changed else _INTERVAL_S)

    def _take(self, message: bytes) -> None:
        prefix = message[1:]
        if not message or not any(topic.startswith(prefix) for topic in _TOPICS):
            return
        if message[0] == _SUBSCRIBE:
            self._prefixes.add(prefix)
            self._has_changed = True  # the new one knows nothing yet
        else:
            self._prefixes.discard(prefix)

    def _note_user(self, frame: zmq.Frame) -> None:
        user, connection = user_of(frame), Connection.of(frame)
        if user is not None and connection is not None:
            self._users = {each: name for each, name in self._users.items() if each.is_open()} | {connection: user}

    def _is_wanted(self, topic: bytes) -> bool:
        return any(topic.startswith(prefix) for prefix in self._prefixes)
