"""Taking a message from a ROUTER together with the user id that the authenticator gave to its connection."""

from __future__ import annotations

import errno

import zmq


def receive(router: zmq.Socket[bytes]) -> tuple[list[bytes], str | None]:
    """Return the frames of a message and its user id, None where nobody was asked for one. Raises zmq.Again."""
    first = router.recv(zmq.DONTWAIT, copy=False)
    frames = [first.bytes, *router.recv_multipart(zmq.DONTWAIT)]  # a ROUTER puts the identity before the message
    return frames, _user_id(first)


def _user_id(frame: zmq.Frame) -> str | None:
    try:
        return str(frame.get("User-Id"))
    except zmq.ZMQError as exc:
        if exc.errno == errno.EINVAL:  # the connection has none
            return None
        raise
