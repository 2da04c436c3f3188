"""Keeps up with the allow-list while people change it; used by one thread, its `current` may be read by all."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from bonsai_edge.errors import KeyFileError
from bonsai_edge.rpc.security.allow_list import AllowList, read_allow_list

logger = logging.getLogger(__name__)


class AllowListWatch:
    """The allow-list as it is now; one that cannot be used any more allows nobody, and the log says why.

    `on_revoked` is called with the keys that are gone since the last look. Raises KeyFileError when there is no usable
    list to begin with.
    """

    def __init__(self, path: Path, on_revoked: Callable[[frozenset[str]], None]) -> None:
        self._path = path
        self._on_revoked = on_revoked
        self._seen = _signature(path)
        self.current = read_allow_list(path)

    def refresh(self) -> None:
        """Read the file again if it has changed."""
        signature = _signature(self._path)
        if signature == self._seen:
            return
        before, self._seen = self.current, signature
        try:
            self.current = read_allow_list(self._path)
            logger.info("The allow-list was read again; it has %d keys.", len(self.current.keys))
        except KeyFileError as exc:
            self.current = AllowList()
            logger.error("No key is allowed any more: %s", exc)
        gone = frozenset(each.key for each in before.keys if self.current.find(each.key) is None)
        if gone:
            self._on_revoked(gone)


def _signature(path: Path) -> tuple[int, ...] | None:
    """Return what changes whenever the file does."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
