"""Binding a server's socket so that only this user, or at most this machine, can reach it, or who has a key."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import platformdirs
import zmq

from bonsai_edge.errors import EndpointError, EndpointInUseError
from bonsai_edge.rpc.endpoints import DEFAULT_TCP_ENDPOINT, check_bind_endpoint, ipc_path, is_ipv6
from bonsai_edge.rpc.private_directory import is_private, make_private_directory
from bonsai_edge.rpc.security.key_files import ServerKeys
from bonsai_edge.rpc.security.sockets import secure_next_bind

_IN_USE_REMEDY = "Stop it, or choose another endpoint with --bind."


def prepare_default_endpoints() -> tuple[str, str]:
    """Return where a server listens that was not told: a socket in a private directory, which is made, and TCP.

    The directory is `$XDG_RUNTIME_DIR/bonsai-edge` where that is set. Raises EndpointError when it is not private.
    """
    directory = _runtime_directory()
    _prepare_directory(directory)
    return f"ipc://{directory / 'server.sock'}", DEFAULT_TCP_ENDPOINT


def _runtime_directory() -> Path:
    chosen_by_user = os.environ.get("XDG_RUNTIME_DIR")
    if chosen_by_user:
        return Path(chosen_by_user) / "bonsai-edge"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # platformdirs warns of a fallback; what it gives is checked below
        try:
            return platformdirs.user_runtime_path("bonsai-edge", appauthor=False)
        except OSError as exc:
            raise EndpointError(
                f"There is no directory for the user's sockets: {exc}.", "Set XDG_RUNTIME_DIR, or give --bind."
            ) from exc


@dataclass(frozen=True)
class Listener:
    """An endpoint that is bound, with the port that the system chose for port 0."""

    endpoint: str
    inode: int | None
    """Of the socket file, None for TCP."""

    def remove_file(self) -> None:
        """Delete the socket file, unless another server has put its own there; ZeroMQ leaves it behind."""
        path = ipc_path(self.endpoint)
        if path is not None:
            with contextlib.suppress(FileNotFoundError):
                if path.lstat().st_ino == self.inode:
                    path.unlink()


def bind(server_socket: zmq.Socket[bytes], endpoint: str, keys: ServerKeys | None = None) -> Listener:
    """Bind a socket; a socket file of a dead server is replaced, a living one and any other file are left alone.

    With keys TCP is encrypted and asks for one, on loopback too, where other users of this machine are.
    Raises EndpointError and EndpointInUseError.
    """
    checked = check_bind_endpoint(endpoint, has_keys=keys is not None)
    if keys is not None:
        secure_next_bind(server_socket, checked, keys)
    server_socket.setsockopt(zmq.IPV6, is_ipv6(checked))
    path = ipc_path(checked)
    if path is not None:
        _prepare_path(path)
    try:
        with _private_files():
            server_socket.bind(checked)
    except zmq.ZMQError as exc:
        if exc.errno == errno.EADDRINUSE:
            raise EndpointInUseError(f"Another process listens on {endpoint}.", _IN_USE_REMEDY) from exc
        raise EndpointError(
            f"Cannot listen on {endpoint}: {exc.strerror}.", "Choose another endpoint with --bind."
        ) from exc
    if path is not None:
        return Listener(checked, path.lstat().st_ino)
    return Listener(server_socket.getsockopt_string(zmq.LAST_ENDPOINT), None)


def _prepare_path(path: Path) -> None:
    try:
        if not stat.S_ISDIR(path.parent.stat().st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        mode = path.lstat().st_mode if path.is_symlink() or path.exists() else None
    except OSError as exc:
        raise EndpointError(
            f"The directory {path.parent} of the socket cannot be used: {exc.strerror}.",
            "Create it, or choose another.",
        ) from exc
    if mode is None:
        return
    if not stat.S_ISSOCK(mode):  # ZeroMQ would delete it
        raise EndpointError(f"{path} exists and is not a socket.", "Choose another path; nothing was changed.")
    if _answers(path):
        raise EndpointInUseError(f"Another process listens on ipc://{path}.", _IN_USE_REMEDY)


def _prepare_directory(directory: Path) -> None:
    try:
        make_private_directory(directory)
        is_safe = is_private(directory)
    except OSError as exc:
        raise EndpointError(
            f"Cannot make the directory {directory}: {exc.strerror}.", "Set XDG_RUNTIME_DIR, or give --bind."
        ) from exc
    if not is_safe:
        raise EndpointError(
            f"The directory {directory} is open to other users.",
            f"Make it yours with `chmod 700 {directory}`, or set XDG_RUNTIME_DIR, or give --bind.",
        )


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(os.fspath(path))
        except ConnectionRefusedError:
            return False
        except OSError:
            return True  # whatever it is, it is not known to be dead
        return True


@contextmanager
def _private_files() -> Iterator[None]:
    previous = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(previous)
