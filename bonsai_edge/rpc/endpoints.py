"""Which addresses are allowed, checked before ZeroMQ sees them; needs nothing but the standard library.

Messages are not encrypted in this version of the protocol, so only this machine may be addressed.
"""

from __future__ import annotations

import ipaddress
import os
import sys
from pathlib import Path

from bonsai_edge.errors import EndpointError

DEFAULT_TCP_ENDPOINT = "tcp://127.0.0.1:5571"
_EXAMPLES = f"Use {DEFAULT_TCP_ENDPOINT} or ipc:///path/to/a.sock."
_IPC_PATH_MAX_BYTES = 107 if sys.platform == "linux" else 103  # sun_path of sockaddr_un, less its final zero byte


def check_bind_endpoint(endpoint: str) -> str:
    """Return the endpoint in the form that ZeroMQ takes. Raises EndpointError.

    Port 0 or `*` lets the system choose a free one.
    """
    return _checked(endpoint, lowest_port=0)


def check_connect_endpoint(endpoint: str) -> str:
    """Return the endpoint in the form that ZeroMQ takes. Raises EndpointError."""
    return _checked(endpoint, lowest_port=1)


def ipc_path(endpoint: str) -> Path | None:
    """Return the path of an `ipc://` endpoint, None for any other."""
    return Path(endpoint[len("ipc://") :]) if endpoint.startswith("ipc://") else None


def _checked(endpoint: str, lowest_port: int) -> str:
    transport, separator, address = endpoint.partition("://")
    if not separator or transport not in ("ipc", "tcp"):
        raise EndpointError(f"{endpoint!r} is not an endpoint.", _EXAMPLES)
    if transport == "ipc":
        _check_ipc_path(endpoint, address)
        return endpoint
    host, separator, port = address.rpartition(":")
    if not separator or not host or not port:
        raise EndpointError(f"{endpoint!r} lacks a host or a port.", _EXAMPLES)
    return f"tcp://{_loopback_address(endpoint, host)}:{_checked_port(endpoint, port, lowest_port)}"


def _check_ipc_path(endpoint: str, path: str) -> None:
    if not path or path.startswith(("@", "*")) or "\0" in path:
        # Abstract names (@) have no permissions, and for * ZeroMQ invents a path.
        raise EndpointError(f"{endpoint!r} does not name a socket file.", "Use ipc:///path/to/a.sock.")
    num_bytes = len(os.fsencode(path))
    if num_bytes > _IPC_PATH_MAX_BYTES:
        raise EndpointError(
            f"The socket path {path!r} has {num_bytes} bytes; the system allows {_IPC_PATH_MAX_BYTES}.",
            "Choose a shorter path, for instance in /tmp or in $XDG_RUNTIME_DIR.",
        )


def _loopback_address(endpoint: str, host: str) -> str:
    if host == "localhost":
        return "127.0.0.1"
    try:
        if ipaddress.IPv4Address(host).is_loopback:
            return host
    except ValueError:
        pass  # a name, an interface, IPv6 or the wildcard: refused like any other address
    raise EndpointError(
        f"{endpoint!r} does not stay on this machine, and messages are not encrypted.",
        "Use 127.0.0.1, and reach it from elsewhere with `ssh -L 5571:127.0.0.1:5571 HOST`.",
    )


def _checked_port(endpoint: str, port: str, lowest: int) -> int:
    if port == "*" and lowest == 0:
        return 0
    if not (port.isascii() and port.isdecimal() and len(port) <= 5 and lowest <= int(port) <= 65_535):
        raise EndpointError(
            f"{endpoint!r} has no valid port.", f"Use a number from {lowest} to 65535, such as {DEFAULT_TCP_ENDPOINT}."
        )
    return int(port)
