"""A queue into a thread that waits in a ZeroMQ poller."""

from __future__ import annotations

import contextlib
import queue
import socket
from typing import Generic, TypeVar

_Item = TypeVar("_Item")


class Mailbox(Generic[_Item]):
    """Any thread, or a signal handler, may put; one thread polls `fileno()` and takes.

    ZeroMQ sockets must not be shared by threads and a signal handler must not wait for a lock, so a byte in a socket
    pair wakes the poller and the item goes through a SimpleQueue, whose `put` is reentrant.
    """

    def __init__(self) -> None:
        self._items: queue.SimpleQueue[_Item] = queue.SimpleQueue()
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._wake_reader.setblocking(False)
        self._wake_writer.setblocking(False)

    def fileno(self) -> int:
        """Return the descriptor that becomes readable when there are items."""
        return self._wake_reader.fileno()

    def wakeup_fileno(self) -> int:
        """Return the descriptor that wakes the reader when a byte is written to it."""
        return self._wake_writer.fileno()

    def put(self, item: _Item) -> None:
        """Add an item and wake the reader; after `close` nobody will take it."""
        self._items.put(item)
        # BlockingIOError: so many unread wake-ups that one more adds nothing. Closed: the reader is gone for good.
        with contextlib.suppress(OSError):
            self._wake_writer.send(b"\0")

    def take_all(self) -> list[_Item]:
        """Return the items that are there, oldest first, without waiting."""
        with contextlib.suppress(BlockingIOError):
            while len(self._wake_reader.recv(4096)) == 4096:
                pass
        items = []
        with contextlib.suppress(queue.Empty):
            while True:
                items.append(self._items.get_nowait())
        return items

    def close(self) -> None:
        """Release the descriptors."""
        self._wake_writer.close()
        self._wake_reader.close()
