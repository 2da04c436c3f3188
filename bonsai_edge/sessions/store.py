"""A directory of sessions: a file each, for this user only, replaced whole; together they keep a bound."""

from __future__ import annotations

import errno
import logging
import os
import re
import shutil
import stat
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from bonsai_edge.errors import (
    InvalidRequestError,
    SessionExistsError,
    SessionForeignError,
    SessionNotFoundError,
    SessionStorageError,
    SessionTooLargeError,
)
from bonsai_edge.memory.size import parse_size
from bonsai_edge.sessions.atomic_write import remove_litter, sync_directory, write_atomically
from bonsai_edge.sessions.directory_lock import locked
from bonsai_edge.sessions.file_format import (
    EncodedSession,
    SessionContent,
    SessionHeader,
    SessionReader,
)
from bonsai_edge.sessions.opening import Miss, open_session
from bonsai_edge.sessions.write_budget import WriteBudget

logger = logging.getLogger(__name__)

SESSIONS_VARIABLE = "BONSAI_EDGE_SESSIONS"
"""The environment variable that names another directory of sessions."""

MAX_SIZE_VARIABLE = "BONSAI_EDGE_SESSIONS_MAX"
"""The environment variable with what all sessions together may have, such as 8GiB."""

DAILY_WRITES_VARIABLE = "BONSAI_EDGE_SESSIONS_DAILY_WRITES"
"""The environment variable with what saving may write in 24 hours, such as 2GiB; unlimited if it is not set."""

DEFAULT_MAX_BYTES = 4 << 30

_SUFFIX = ".session"
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")  # lower case: some file systems do not tell cases apart
_COPIED_BYTES = 1 << 20
_NO_HARD_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)


@dataclass(frozen=True)
class SavedSession:
    """What a save has written."""

    name: str
    tokens: int
    num_bytes: int


@dataclass(frozen=True)
class SessionEntry:
    """One session of the directory; `header` is None, and `problem` says why, if it cannot be read."""

    name: str
    num_bytes: int
    header: SessionHeader | None
    problem: str | None


@dataclass(frozen=True)
class _File:
    """A session file as the bound sees it; forks may share their bytes.

    Its time of change tells the last use: reading sets the time of access, and some systems do not keep that at all.
    """

    path: Path
    inode: int
    num_bytes: int
    last_used_ns: int


class SessionStore:
    """Sessions under names, for any number of threads and processes at once.

    A session is saved whole or not at all. When all together would exceed `max_bytes`, those that were not used for
    longest are deleted after a save. `write_budget_bytes_per_day` limits what saving writes in any 24 hours. `clock`
    gives seconds since 1970 and may jump.
    """

    def __init__(
        self,
        directory: Path | None = None,
        *,
        max_bytes: int = DEFAULT_MAX_BYTES,
        write_budget_bytes_per_day: int | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.directory = sessions_directory() if directory is None else directory
        self.max_bytes = max_bytes
        self._clock = clock
        self._budget = (
            None
            if write_budget_bytes_per_day is None
            else WriteBudget(write_budget_bytes_per_day, self.directory, clock)
        )

    def entries(self) -> list[SessionEntry]:
        """Return all sessions by name, damaged ones too; reads their headers only."""
        return [self._entry(file) for file in sorted(self._files(), key=lambda file: file.path.name)]

    def total_bytes(self) -> int:
        """Return the bytes of all sessions, those that forks share counted once."""
        return _total_bytes(self._files())

    def open(self, name: str) -> SessionReader | Miss:
        """Open a session and note that it is used; the caller closes the reader.

        What is wrong with the file is a Miss; raises InvalidRequestError for what is no name.
        """
        path = self._path(name)
        opened = open_session(path)
        if isinstance(opened, SessionReader):
            with suppress(OSError):  # a directory that may only be read
                os.utime(path, ns=2 * (self._next_use_ns(),))
        return opened

    def save(self, name: str, content: SessionContent, *, replace_foreign: bool = False) -> SavedSession:
        """Write a session, replace the one of that name, then delete the longest unused until the bound is kept.

        Raises SessionTooLargeError and WriteBudgetError before anything is written, SessionForeignError, unless
        `replace_foreign`, for a name whose session belongs to another model, and SessionStorageError. In all
        these cases everything that was saved before is as it was.
        """
        path = self._path(name)
        encoded = EncodedSession(content)
        with self._changing():
            if not replace_foreign:
                _refuse_foreign(path, content)
            self._write(path, encoded.num_bytes, encoded.chunks(), keep={path})
        return SavedSession(name, encoded.header.num_tokens, encoded.num_bytes)

    def fork(self, name: str, new_name: str) -> None:
        """Keep a session under another name too, without copying its bytes where the file system can do that.

        Raises SessionNotFoundError, SessionExistsError, and as `save` does where the bytes must be copied.
        """
        source, target = self._path(name), self._path(new_name)
        with self._changing():
            if target.exists():
                raise SessionExistsError(
                    f"There is a session {new_name!r} already.", "Choose another name, or delete it first."
                )
            try:
                os.link(source, target)
                sync_directory(self.directory)
            except FileNotFoundError as exc:
                raise self._not_found(name) from exc
            except OSError as exc:
                if exc.errno not in _NO_HARD_LINKS:
                    raise
                self._copy(source, target)

    def delete(self, name: str) -> None:
        """Delete a session; raises SessionNotFoundError and SessionStorageError."""
        path = self._path(name)
        with self._changing():
            try:
                path.unlink()
            except FileNotFoundError as exc:
                raise self._not_found(name) from exc
            sync_directory(self.directory)

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise InvalidRequestError(
                f"{name[:80]!r} is no name for a session.",
                "Use 1 to 64 lower-case letters, digits, '.', '_' and '-', a letter or digit first.",
            )
        return self.directory / (name + _SUFFIX)

    def _not_found(self, name: str) -> SessionNotFoundError:
        return SessionNotFoundError(
            f"There is no session {name!r} in {self.directory}.", "`bonsai-edge sessions list` shows the names."
        )

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Keep all other writers out and remove their litter; an error of the system becomes one of ours."""
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            with locked(self.directory):
                remove_litter(self.directory)
                yield
        except OSError as exc:
            raise SessionStorageError(
                f"The sessions in {self.directory} cannot be changed: {exc.strerror or exc}.",
                "Check the space and the permissions there; what was saved before is not lost.",
            ) from exc

    def _write(self, path: Path, num_bytes: int, chunks: Iterable[bytes | memoryview], keep: Collection[Path]) -> None:
        """Write a file after checking that it may be written, then make room for it."""
        if num_bytes > self.max_bytes:
            raise SessionTooLargeError(
                f"The session {path.stem!r} has {num_bytes} bytes; all sessions together may have {self.max_bytes}.",
                "Allow them more, save a shorter conversation, or load the model with a smaller KV type.",
            )
        free = shutil.disk_usage(self.directory).free
        if num_bytes > free:
            raise SessionStorageError(
                f"The session {path.stem!r} has {num_bytes} bytes; {self.directory} has {free} free.",
                "Delete files there, or sessions with `bonsai-edge sessions delete`.",
            )
        if self._budget is not None:
            self._budget.spend(num_bytes)
        write_atomically(path, chunks, self._next_use_ns())
        self._keep_bound(keep)

    def _copy(self, source: Path, target: Path) -> None:
        with source.open("rb") as file:
            num_bytes = os.fstat(file.fileno()).st_size
            chunks = iter(lambda: file.read(_COPIED_BYTES), b"")
            self._write(target, num_bytes, chunks, keep={source, target})

    def _keep_bound(self, keep: Collection[Path]) -> None:
        files = self._files()
        others = sorted((file for file in files if file.path not in keep), key=lambda file: file.last_used_ns)
        for file in others:
            if _total_bytes(files) <= self.max_bytes:
                break
            logger.info("The session %s is deleted: all together exceed %d bytes.", file.path, self.max_bytes)
            file.path.unlink(missing_ok=True)
            sync_directory(self.directory)
            files.remove(file)

    def _files(self) -> list[_File]:
        """Return the session files; those that vanish meanwhile are left out."""
        files = []
        try:
            paths = [path for path in self.directory.iterdir() if _NAME.fullmatch(path.name.removesuffix(_SUFFIX))]
        except FileNotFoundError:
            return []
        except OSError as exc:
            raise SessionStorageError(
                f"The sessions in {self.directory} cannot be listed: {exc.strerror}.", "Check the permissions there."
            ) from exc
        for path in paths:
            with suppress(FileNotFoundError):
                status = path.lstat()
                if path.suffix == _SUFFIX and stat.S_ISREG(status.st_mode):
                    files.append(_File(path, status.st_ino, status.st_size, status.st_mtime_ns))
        return files

    def _next_use_ns(self) -> int:
        """Return a time for "used just now" that is later than all before, though the clock may have been set back."""
        latest = max((file.last_used_ns for file in self._files()), default=0)
        return max(int(self._clock() * 1e9), latest + 1)

    def _entry(self, file: _File) -> SessionEntry:
        name = file.path.name.removesuffix(_SUFFIX)
        opened = open_session(file.path)
        if isinstance(opened, Miss):
            return SessionEntry(name, file.num_bytes, None, opened.reason)
        opened.close()
        return SessionEntry(name, file.num_bytes, opened.header, opened.damage)


def user_store() -> SessionStore:
    """Return the store of this user, with the bounds that the environment sets; raises InvalidRequestError."""
    daily_writes = os.environ.get(DAILY_WRITES_VARIABLE)
    return SessionStore(
        max_bytes=parse_size(os.environ.get(MAX_SIZE_VARIABLE) or DEFAULT_MAX_BYTES),
        write_budget_bytes_per_day=parse_size(daily_writes) if daily_writes else None,
    )


def sessions_directory() -> Path:
    """Return the directory that the environment names, or the one in this user's data directory; it need not exist.

    Raises SessionStorageError if it lies in a home directory that cannot be determined.
    """
    chosen = os.environ.get(SESSIONS_VARIABLE)
    try:
        if chosen:
            return Path(chosen).expanduser()
        return platformdirs.user_data_path("bonsai-edge", appauthor=False).expanduser() / "sessions"
    except RuntimeError as exc:
        raise SessionStorageError(
            "The home directory of this user cannot be determined.", f"Set HOME or {SESSIONS_VARIABLE} to a directory."
        ) from exc


def _refuse_foreign(path: Path, content: SessionContent) -> None:
    """Raise SessionForeignError if saving would replace what another model or version can still use."""
    opened = open_session(path)
    if isinstance(opened, SessionReader):
        opened.close()
        reason = opened.header.fingerprint.foreign_to(content.fingerprint)
    else:
        reason = opened.reason if opened.kind == "foreign" else None
    if reason is not None:
        raise SessionForeignError(
            f"The session {path.stem!r} is kept and not replaced: {reason}.",
            "Save under another name, or delete it first with `bonsai-edge sessions delete`.",
        )


def _total_bytes(files: Iterable[_File]) -> int:
    return sum({file.inode: file.num_bytes for file in files}.values())
