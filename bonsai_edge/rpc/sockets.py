"""The sockets of a server, with the options that keep one client from harming another."""

from __future__ import annotations

import zmq

from bonsai_edge.rpc.messages import HEARTBEAT_INTERVAL_MS, HEARTBEAT_TIMEOUT_MS

_HANDSHAKE_TIMEOUT_MS = 5_000
_MAX_SUBSCRIPTION_BYTES = 4_096  # the commands of a CURVE handshake count too
_EVENT_QUEUE = 8  # events for a subscriber that does not read; later ones are dropped


def router_socket(
    context: zmq.Context[zmq.Socket[bytes]], send_queue_messages: int, max_message_bytes: int
) -> zmq.Socket[bytes]:
    """Make a socket that takes messages of any client and answers each of them."""
    router = context.socket(zmq.ROUTER)
    _configure(router, max_message_bytes)
    router.setsockopt(zmq.ROUTER_MANDATORY, 1)  # else messages to a vanished client are dropped in silence
    router.setsockopt(zmq.SNDHWM, send_queue_messages)
    return router


def events_socket(context: zmq.Context[zmq.Socket[bytes]]) -> zmq.Socket[bytes]:
    """Make a socket that publishes, and tells of every subscription."""
    publisher = context.socket(zmq.XPUB)
    _configure(publisher, _MAX_SUBSCRIPTION_BYTES)
    publisher.setsockopt(zmq.XPUB_VERBOSE, 1)
    publisher.setsockopt(zmq.SNDHWM, _EVENT_QUEUE)
    return publisher


def _configure(socket: zmq.Socket[bytes], max_message_bytes: int) -> None:
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.MAXMSGSIZE, max_message_bytes)
    # Never full: libzmq 4.3.5 aborts the process when heartbeats meet a connection that broke while it was not read
    # (https://github.com/zeromq/libzmq/issues/4364). Who sends without reading the answers is cut off instead.
    socket.setsockopt(zmq.RCVHWM, 0)
    socket.setsockopt(zmq.HANDSHAKE_IVL, _HANDSHAKE_TIMEOUT_MS)
    socket.setsockopt(zmq.HEARTBEAT_IVL, HEARTBEAT_INTERVAL_MS)
    socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, HEARTBEAT_TIMEOUT_MS)
    socket.setsockopt(zmq.HEARTBEAT_TTL, HEARTBEAT_TIMEOUT_MS)
