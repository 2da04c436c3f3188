"""How clients listen to what a server publishes; the loop of the asyncio client is in its own module."""

from __future__ import annotations

import contextlib
import math
from collections import deque
from collections.abc import Generator
from typing import Any

import zmq

from bonsai_edge.errors import ServerUnreachableError
from bonsai_edge.rpc.endpoint_roles import events_endpoint
from bonsai_edge.rpc.endpoints import is_ipv6
from bonsai_edge.rpc.event_codec import MAX_EVENT_BYTES, STATUS_TOPIC, TELEMETRY_TOPIC, decode_event
from bonsai_edge.rpc.messages import EVENT_INTERVAL_MS, HEARTBEAT_INTERVAL_MS, HEARTBEAT_TIMEOUT_MS, Event
from bonsai_edge.rpc.security.key_files import ClientKeys
from bonsai_edge.rpc.security.sockets import secure_connection

_KEPT = 8  # events that wait for a reader who is busy; older ones are dropped


def subscribe(endpoint: str, timeout_s: float, keys: ClientKeys | None = None) -> Generator[Event, None, None]:
    """Yield the events of the server that takes work at an endpoint. Raises ServerUnreachableError, ProtocolError."""
    events_from = events_endpoint(endpoint)
    subscriber: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.SUB)
    try:
        connect_subscriber(subscriber, events_from, keys)
        while subscriber.poll(silence_ms(timeout_s)):
            for frames in latest(subscriber):
                yield decode_event(frames)
        raise silent_error(events_from, timeout_s)
    finally:
        subscriber.close(linger=0)


def latest(subscriber: zmq.Socket[bytes]) -> deque[list[bytes]]:
    """Return the events that are there, without waiting; of many the newest."""
    kept: deque[list[bytes]] = deque(maxlen=_KEPT)
    with contextlib.suppress(zmq.Again):
        while True:
            kept.append(subscriber.recv_multipart(zmq.DONTWAIT))
    return kept


def connect_subscriber(subscriber: zmq.Socket[Any], endpoint: str, keys: ClientKeys | None) -> None:
    """Subscribe to all events and begin to connect."""
    subscriber.setsockopt(zmq.MAXMSGSIZE, MAX_EVENT_BYTES)
    subscriber.setsockopt(zmq.RCVHWM, 0)  # a full queue and heartbeats make libzmq abort, see sockets.py
    subscriber.setsockopt(zmq.HEARTBEAT_IVL, HEARTBEAT_INTERVAL_MS)
    subscriber.setsockopt(zmq.HEARTBEAT_TIMEOUT, HEARTBEAT_TIMEOUT_MS)
    for topic in (STATUS_TOPIC, TELEMETRY_TOPIC):
        subscriber.setsockopt(zmq.SUBSCRIBE, topic)
    if keys is not None:
        secure_connection(subscriber, keys)
    subscriber.setsockopt(zmq.IPV6, is_ipv6(endpoint))
    subscriber.connect(endpoint)


def silence_ms(timeout_s: float) -> int:
    """Return how long nothing may come from a server that is there."""
    return EVENT_INTERVAL_MS + math.ceil(timeout_s * 1000)


def silent_error(endpoint: str, timeout_s: float) -> ServerUnreachableError:
    """Return the error for a server that publishes nothing."""
    return ServerUnreachableError(
        f"No event came from {endpoint} for {silence_ms(timeout_s) / 1000:g} s.",
        "Start the server with `bonsai-edge serve`, or check the endpoint.",
    )
