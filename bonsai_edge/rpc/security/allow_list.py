"""The keys that a server knows, in `allowed.json` beside its own: a name, a role and a quota for each.

A file that is not there, or that cannot be used, allows nobody.
"""

from __future__ import annotations

import fcntl
import os
import stat
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from bonsai_edge.errors import KeyFileError
from bonsai_edge.rpc.security.key_files import KEY_CHARACTERS, is_key
from bonsai_edge.rpc.security.roles import Role
from bonsai_edge.sessions.atomic_write import write_atomically

DEFAULT_MAX_REQUESTS = 16
MOST_REQUESTS = 256
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z"

_FILE_NAME = "allowed.json"
_LOCK_NAME = ".lock"
_MOST_BYTES = 1 << 20
_MOST_KEYS = 1_024


class AllowedKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A client that the server knows."""

    name: Annotated[str, msgspec.Meta(pattern=NAME_PATTERN)]
    key: Annotated[str, msgspec.Meta(min_length=KEY_CHARACTERS, max_length=KEY_CHARACTERS)]
    role: Role = Role.GENERATE
    max_requests: Annotated[int, msgspec.Meta(ge=1, le=MOST_REQUESTS)] = DEFAULT_MAX_REQUESTS
    """Generations of this key that may wait or run at the same time, over all its connections."""


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: Literal[1]
    keys: Annotated[tuple[AllowedKey, ...], msgspec.Meta(max_length=_MOST_KEYS)]


@dataclass(frozen=True)
class AllowList:
    """What the file said when it was read."""

    keys: tuple[AllowedKey, ...] = ()
    _by_key: dict[str, AllowedKey] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_key", {each.key: each for each in self.keys})

    def find(self, key: str) -> AllowedKey | None:
        """Return what is allowed to a key, None for one that is not known."""
        return self._by_key.get(key)


def allow_list_path(directory: Path) -> Path:
    """Return the file of a directory of keys."""
    return directory / _FILE_NAME


def read_allow_list(path: Path) -> AllowList:
    """Read the file. Raises KeyFileError, also when others could change it."""
    try:
        with path.open("rb") as file:
            if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o022:
                raise KeyFileError(f"{path} can be changed by other users.", f"Take it back with `chmod 600 {path}`.")
            content = file.read(_MOST_BYTES + 1)
    except FileNotFoundError as exc:
        raise KeyFileError(
            f"There is no {path}, so that no client is allowed.",
            f"Allow one with `bonsai-edge keys allow NAME client.key --keys {path.parent}`.",
        ) from exc
    except OSError as exc:
        raise KeyFileError(f"{path} cannot be read: {exc.strerror}.", "Correct its permissions.") from exc
    try:
        keys = msgspec.json.decode(content, type=_File).keys
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise KeyFileError(f"{path} is not an allow-list: {exc}.", "Correct it; until then nobody is allowed.") from exc
    _check_distinct(path, keys)
    return AllowList(keys)


def allow(directory: Path, entry: AllowedKey) -> None:
    """Add a key, or change the role and quota of one that is known by the same name. Raises KeyFileError."""
    with _editing(directory) as path:
        known = read_allow_list(path).keys if path.exists() else ()
        kept = [each for each in known if (each.name, each.key) != (entry.name, entry.key)]
        for each in kept:
            if each.name == entry.name or each.key == entry.key:
                raise KeyFileError(
                    f"The name {each.name!r} is taken by another key."
                    if each.name == entry.name
                    else f"This key is allowed under the name {each.name!r}.",
                    f"Revoke it first with `bonsai-edge keys revoke {each.name}`.",
                )
        _write(path, [*kept, entry])


def revoke(directory: Path, name: str) -> None:
    """Remove a key. Raises KeyFileError, also when there is none of that name."""
    with _editing(directory) as path:
        known = read_allow_list(path).keys
        kept = [each for each in known if each.name != name]
        if len(kept) == len(known):
            names = ", ".join(each.name for each in known) or "none"
            raise KeyFileError(f"No key is allowed under the name {name!r}.", f"Those that are: {names}.")
        _write(path, kept)


@contextmanager
def _editing(directory: Path) -> Iterator[Path]:
    """Keep others from changing the file meanwhile; what cannot be written is told as a KeyFileError."""
    try:
        descriptor = os.open(directory / _LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield allow_list_path(directory)
        finally:
            os.close(descriptor)
    except OSError as exc:
        raise KeyFileError(
            f"The allow-list in {directory} cannot be changed: {exc.strerror}.",
            f"Make the server's keys first with `bonsai-edge keys new server --keys {directory}`.",
        ) from exc


def _write(path: Path, keys: Iterable[AllowedKey]) -> None:
    content = msgspec.json.format(msgspec.json.encode(_File(1, tuple(keys))), indent=2)
    write_atomically(path, [content, b"\n"])


def _check_distinct(path: Path, keys: tuple[AllowedKey, ...]) -> None:
    for values in ([each.name for each in keys], [each.key for each in keys]):
        repeated = [value for value, count in Counter(values).items() if count > 1]
        if repeated:
            raise KeyFileError(f"{path} has {repeated[0]!r} more than once.", "Keep one of them.")
    for each in keys:
        if not is_key(each.key):
            raise KeyFileError(f"The key of {each.name!r} in {path} is not a key.", "Allow it anew.")
