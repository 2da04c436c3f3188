"""Key pairs in a directory: `server.key` and `client.key` to give away, `….key_secret` for this user alone.

The files are ZeroMQ certificates, as pyzmq, czmq and others read them. Light: a client needs them too.
"""

from __future__ import annotations

import os
import stat
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

import zmq
import zmq.auth
from zmq.utils import z85

from bonsai_edge.errors import KeyFileError
from bonsai_edge.rpc.private_directory import is_private, make_private_directory
from bonsai_edge.sessions.atomic_write import write_atomically

Side: TypeAlias = Literal["server", "client"]

KEY_CHARACTERS = 40  # 32 bytes in Z85
_DOCUMENT = "docs/security.md says how."


@dataclass(frozen=True)
class ServerKeys:
    """What a server proves itself with, and the directory that holds its allow-list."""

    directory: Path
    secret: bytes = field(repr=False)


@dataclass(frozen=True)
class ClientKeys:
    """What a client proves itself with, and the key that its server must have."""

    server_public: bytes
    public: bytes
    secret: bytes = field(repr=False)


def create_key_pair(directory: Path, side: Side) -> str:
    """Make a key pair in a private directory, which is made too, and return the public key. Raises KeyFileError."""
    public_path, secret_path = _public_path(directory, side), _secret_path(directory, side)
    try:
        make_private_directory(directory)
        _check_usable(directory)
        for path in (secret_path, public_path):
            if path.exists():
                raise KeyFileError(f"{path} exists already.", "Keep it, or move it away to make another.")
        public, secret = _new_pair()
        secret_text = _certificate(f"Secret key of a {side} of bonsai-edge: for its user only.", public, secret)
        write_atomically(secret_path, [secret_text.encode()])
        write_atomically(public_path, [_certificate(f"Public key of a {side} of bonsai-edge.", public).encode()])
    except OSError as exc:
        raise KeyFileError(f"No keys can be kept in {directory}: {exc.strerror}.", "Choose another directory.") from exc
    return public


def _new_pair() -> tuple[str, str]:
    """Return a public and a secret key; a public one that began with a dash would be taken for an option."""
    while True:
        public, secret = zmq.curve_keypair()
        if not public.startswith(b"-"):
            return public.decode(), secret.decode()


def load_server_keys(directory: Path) -> ServerKeys:
    """Read the keys of a server. Raises KeyFileError, also when others could read or change them."""
    return ServerKeys(directory, _load_pair(directory, "server")[1])


def load_client_keys(directory: Path) -> ClientKeys:
    """Read the keys of a client and the public key of its server. Raises KeyFileError."""
    public, secret = _load_pair(directory, "client")
    server_path = _public_path(directory, "server")
    if not server_path.exists():
        raise KeyFileError(f"There is no {server_path}.", "Copy that file from the server, over a way that you trust.")
    return ClientKeys(_load_certificate(server_path)[0], public, secret)


def read_public_key(key_or_path: str) -> str:
    """Return a public key that is given as its 40 characters or as the path of its file. Raises KeyFileError."""
    if not os.path.exists(key_or_path):
        if is_key(key_or_path):
            return key_or_path
        raise KeyFileError(
            f"{key_or_path!r} is neither a public key of {KEY_CHARACTERS} characters nor a file with one.",
            "Give the `client.key` that `bonsai-edge keys new client` has written.",
        )
    return _load_certificate(Path(key_or_path))[0].decode()


def is_key(text: str) -> bool:
    """Return whether a text is a key in Z85, the way that ZeroMQ writes keys."""
    try:
        return len(text) == KEY_CHARACTERS and len(z85.decode(text.encode("ascii"))) == 32
    except (ValueError, KeyError, struct.error):
        return False


def _load_pair(directory: Path, side: Side) -> tuple[bytes, bytes]:
    path = _secret_path(directory, side)
    try:
        if not path.exists():
            raise KeyFileError(
                f"There is no {path}.", f"Make it with `bonsai-edge keys new {side} --keys {directory}`."
            )
        _check_usable(directory)
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise KeyFileError(f"{path} is open to other users.", f"Take it back with `chmod 600 {path}`.")
    except OSError as exc:
        raise _unreadable(path, exc.strerror) from exc
    public, secret = _load_certificate(path)
    if secret is None:
        raise _unreadable(path, "it holds no secret key")
    return public, secret


def _load_certificate(path: Path) -> tuple[bytes, bytes | None]:
    try:
        keys = zmq.auth.load_certificate(path)
    except (OSError, ValueError) as exc:
        raise _unreadable(path, exc.strerror if isinstance(exc, OSError) and exc.strerror else str(exc)) from exc
    if not all(is_key(key.decode("ascii", "replace")) for key in keys if key is not None):
        raise _unreadable(path, "what it holds is no key")
    return keys


def _unreadable(path: Path, reason: str | None) -> KeyFileError:
    return KeyFileError(f"{path} cannot be used: {reason}.", f"Make it anew; {_DOCUMENT}")


def _check_usable(directory: Path) -> None:
    if not zmq.has("curve"):  # the wheels have it; some distributions build ZeroMQ without
        raise KeyFileError("This pyzmq was built without CURVE.", "Install it with `pip install pyzmq`.")
    if not is_private(directory):
        raise KeyFileError(
            f"The directory {directory} of the keys is open to other users.", f"Run `chmod 700 {directory}`."
        )


def _certificate(title: str, public: str, secret: str | None = None) -> str:
    lines = [f"#   {title}", "curve", f'    public-key = "{public}"']
    return "\n".join([*lines, *([] if secret is None else [f'    secret-key = "{secret}"']), ""])


def _public_path(directory: Path, side: Side) -> Path:
    return directory / f"{side}.key"


def _secret_path(directory: Path, side: Side) -> Path:
    return directory / f"{side}.key_secret"
