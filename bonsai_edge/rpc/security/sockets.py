"""The options that put a socket under CURVE; ZeroMQ copies them when an endpoint is bound or connected."""

from __future__ import annotations

from typing import Any

import zmq

from bonsai_edge.rpc.endpoints import ipc_path
from bonsai_edge.rpc.security.key_files import ClientKeys, ServerKeys

FILE_DOMAIN = b"file"
"""The domain of connections over socket files, told to the authenticator."""
NETWORK_DOMAIN = b"network"
"""The domain of connections over TCP."""


def secure_next_bind(socket: zmq.Socket[Any], endpoint: str, keys: ServerKeys) -> None:
    """Ask for a key at an endpoint that is bound next, or, at a socket file, for none: its permissions protect it.

    Both kinds are announced to the authenticator, and closed while there is none.
    """
    is_file = ipc_path(endpoint) is not None
    socket.setsockopt(zmq.CURVE_SERVER, 0 if is_file else 1)
    if not is_file:
        socket.setsockopt(zmq.CURVE_SECRETKEY, keys.secret)
    socket.setsockopt(zmq.ZAP_DOMAIN, FILE_DOMAIN if is_file else NETWORK_DOMAIN)
    socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)


def secure_connection(socket: zmq.Socket[Any], keys: ClientKeys) -> None:
    """Prove who we are, and insist on the server of this key, at the endpoint that is connected next."""
    socket.setsockopt(zmq.CURVE_SERVERKEY, keys.server_public)
    socket.setsockopt(zmq.CURVE_PUBLICKEY, keys.public)
    socket.setsockopt(zmq.CURVE_SECRETKEY, keys.secret)
