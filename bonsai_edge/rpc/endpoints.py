"""Which addresses are allowed, checked before ZeroMQ sees them; needs nothing but the standard library.

Without keys nothing is encrypted and nobody is asked who they are, so only this machine may be addressed.
"""

from __future__ import annotations

import ipaddress
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

from bonsai_edge.errors import EndpointError

DEFAULT_TCP_ENDPOINT = "tcp://127.0.0.1:5571"
_EXAMPLES = f"Use {DEFAULT_TCP_ENDPOINT} or ipc:///path/to/a.sock."
_IPC_PATH_MAX_BYTES = 107 if sys.platform == "linux" else 103  # sun_path of sockaddr_un, less its final zero byte
_INTERFACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,14}")  # IFNAMSIZ of Linux and macOS is 16, with its final zero
_HOST_NAME = re.compile(
    r"(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*"
)


def check_bind_endpoint(endpoint: str, *, has_keys: bool = False) -> str:
    """Return the endpoint in the form that ZeroMQ takes. Raises EndpointError.

    Port 0 or `*` lets the system choose a free one. With keys the host may be any address of this machine, the name of
    an interface, or `*` for all addresses.
    """
    return _checked(endpoint, 0, _is_bindable if has_keys else None, _BIND_NEEDS_KEYS)


def check_connect_endpoint(endpoint: str, *, has_keys: bool = False) -> str:
    """Return the endpoint in the form that ZeroMQ takes; with keys the host may be any. Raises EndpointError."""
    if has_keys and ipc_path(endpoint) is not None:
        raise EndpointError(
            f"{endpoint!r} is a socket file, which its permissions protect and not keys.", "Leave out the keys."
        )
    return _checked(endpoint, 1, _is_connectable if has_keys else None, _CONNECT_NEEDS_KEYS)


def is_ipv6(endpoint: str) -> bool:
    """Return whether ZeroMQ must be told to use IPv6 for a checked endpoint."""
    return endpoint.startswith("tcp://[")


def ipc_path(endpoint: str) -> Path | None:
    """Return the path of an `ipc://` endpoint, None for any other."""
    return Path(endpoint[len("ipc://") :]) if endpoint.startswith("ipc://") else None


_BIND_NEEDS_KEYS = (
    "can be reached from other machines, and there are no keys.",
    "Give them with --keys (docs/security.md), or use 127.0.0.1 and reach it from elsewhere with "
    "`ssh -L 5571:127.0.0.1:5571 HOST`.",
)
_CONNECT_NEEDS_KEYS = (
    "does not stay on this machine, and there are no keys.",
    "Give them with `keys` or --keys (docs/security.md), or use 127.0.0.1 and `ssh -L 5571:127.0.0.1:5571 HOST`.",
)


def _checked(
    endpoint: str, lowest_port: int, is_allowed: Callable[[str], bool] | None, needs_keys: tuple[str, str]
) -> str:
    transport, separator, address = endpoint.partition("://")
    if not separator or transport not in ("ipc", "tcp"):
        raise EndpointError(f"{endpoint!r} is not an endpoint.", _EXAMPLES)
    if transport == "ipc":
        _check_ipc_path(endpoint, address)
        return endpoint
    host, separator, port = address.rpartition(":")
    if not separator or not host or not port:
        raise EndpointError(f"{endpoint!r} lacks a host or a port.", _EXAMPLES)
    if host == "localhost":
        host = "127.0.0.1"
    if not _is_loopback(host):
        if is_allowed is None:
            raise EndpointError(f"{endpoint!r} {needs_keys[0]}", needs_keys[1])
        if not is_allowed(host):
            raise EndpointError(f"{endpoint!r} has no valid host.", "Use an address, such as tcp://192.168.1.20:5571.")
    return f"tcp://{host}:{_checked_port(endpoint, port, lowest_port)}"


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


def _address_of(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the address that a host is written as; IPv6 stands in brackets. None for a name or anything else."""
    try:
        if host.startswith("[") and host.endswith("]"):
            return ipaddress.IPv6Address(host[1:-1])
        return ipaddress.IPv4Address(host)
    except ValueError:
        return None


def _is_loopback(host: str) -> bool:
    address = _address_of(host)
    return address is not None and address.is_loopback


def _is_bindable(host: str) -> bool:
    return host == "*" or _address_of(host) is not None or _INTERFACE.fullmatch(host) is not None


def _is_connectable(host: str) -> bool:
    address = _address_of(host)
    return not address.is_unspecified if address is not None else _HOST_NAME.fullmatch(host) is not None


def _checked_port(endpoint: str, port: str, lowest: int) -> int:
    if port == "*" and lowest == 0:
        return 0
    if not (port.isascii() and port.isdecimal() and len(port) <= 5 and lowest <= int(port) <= 65_535):
        raise EndpointError(
            f"{endpoint!r} has no valid port.", f"Use a number from {lowest} to 65535, such as {DEFAULT_TCP_ENDPOINT}."
        )
    return int(port)
