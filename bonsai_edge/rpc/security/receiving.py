"""Taking a message from a ROUTER together with what is known of its connection."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from dataclasses import dataclass

import zmq

from bonsai_edge.rpc.connection import Connection
from bonsai_edge.rpc.job import Route


@dataclass(frozen=True)
class Received:
    """A message, the way back, and the user id that the authenticator gave to its connection, None without one."""

    route: Route
    frames: Sequence[bytes]
    user: str | None


def receive(router: zmq.Socket[bytes]) -> Received:
    """Return the next message, without the empty frame of a REQ socket. Raises zmq.Again."""
    identity = router.recv(zmq.DONTWAIT, copy=False)  # a ROUTER puts it before the message
    frames = router.recv_multipart(zmq.DONTWAIT)
    is_delimited = len(frames) > 0 and not frames[0]
    route = Route(identity.bytes, is_delimited, Connection.of(identity))
    return Received(route, frames[is_delimited:], user_of(identity))


def user_of(frame: zmq.Frame) -> str | None:
    """Return the user id of the connection that a frame came by, None without one."""
    try:
        return str(frame.get("User-Id"))
    except zmq.ZMQError as exc:
        if exc.errno == errno.EINVAL:  # the connection has none
            return None
        raise
