"""Connecting a client's socket, and finding out why a server does not take it, which only ZeroMQ's events tell."""

from __future__ import annotations

import uuid
from typing import Any

import zmq
from zmq.utils.monitor import recv_monitor_message

from bonsai_edge.rpc.endpoints import is_ipv6
from bonsai_edge.rpc.security.key_files import ClientKeys
from bonsai_edge.rpc.security.sockets import secure_connection

_EVENTS = (
    zmq.EVENT_HANDSHAKE_SUCCEEDED
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
)
_ENDED_HANDSHAKES = 3  # in a row; one alone may be a server that stops


class Link:
    """The connection of one socket, made anew by ZeroMQ whenever it breaks. For the thread that owns the socket."""

    def __init__(self, socket: zmq.Socket[Any], endpoint: str, keys: ClientKeys | None) -> None:
        self._socket = socket
        self._endpoint = endpoint
        self._has_keys = keys is not None
        self._num_ended = 0
        self._is_given_up = False
        if keys is not None:
            secure_connection(socket, keys)
        socket.setsockopt(zmq.IPV6, is_ipv6(endpoint))
        address = f"inproc://bonsai-edge-{uuid.uuid4()}"
        socket.monitor(address, _EVENTS)
        self.events: zmq.Socket[bytes] = socket.context.socket(zmq.PAIR, socket_class=zmq.Socket)
        self.events.connect(address)
        socket.connect(endpoint)

    def refusal(self) -> tuple[str, str] | None:
        """Return cause and remedy if the server has refused the connection since the last call; never waits."""
        refusal = None
        while self.events.poll(0):
            event = recv_monitor_message(self.events)
            refusal = self._judge(event["event"], event["value"])
        return refusal

    def suspicion(self) -> str | None:
        """Return why there is no connection, if handshakes have begun and ended without a word."""
        return (
            "what listens there ends the handshakes, as a server does that asks for a key" if self._num_ended else None
        )

    def renew(self) -> None:
        """Try again what ZeroMQ has given up: after a refusal it does not connect by itself any more."""
        if self._is_given_up:
            self._is_given_up = False
            self._socket.disconnect(self._endpoint)
            self._socket.connect(self._endpoint)

    def close(self) -> None:
        """Stop listening to events; the socket is closed by its owner."""
        self._socket.disable_monitor()
        self.events.close(linger=0)

    def _judge(self, event: int, value: int) -> tuple[str, str] | None:
        if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
            self._num_ended = 0
            return None
        if event == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
            self._is_given_up = True
            return (
                f"The server at {self._endpoint} does not allow the key of this client.",
                "Allow it there with `bonsai-edge keys allow`.",
            )
        if value == zmq.PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH:
            self._is_given_up = True
            return self._mismatch()
        self._num_ended += 1
        return self._wrong_server() if self._has_keys and self._num_ended % _ENDED_HANDSHAKES == 0 else None

    def _mismatch(self) -> tuple[str, str]:
        if self._has_keys:
            return f"The server at {self._endpoint} uses no keys.", "Connect without them, or start it with --keys."
        cause = f"The server at {self._endpoint} asks for a key, and none was given."
        return cause, "Give the keys with `keys` or --keys; docs/security.md says how to make them."

    def _wrong_server(self) -> tuple[str, str]:
        return (
            f"The server at {self._endpoint} ended {_ENDED_HANDSHAKES} handshakes: it uses no keys, or is another one "
            "than `server.key` belongs to.",
            "Compare that file with the server's own, and check the endpoint.",
        )
