"""The connection that a message came by: whether it is still there, and how to end it.

ZeroMQ tells neither for a ROUTER, but which descriptor a message came from. Nothing is read or written here.
"""

from __future__ import annotations

import contextlib
import os
import socket
from dataclasses import dataclass

import zmq


@dataclass(frozen=True)
class Connection:
    """A socket of ZeroMQ's, known by its descriptor and, since descriptors are used again, its inode."""

    descriptor: int
    inode: int

    @classmethod
    def of(cls, frame: zmq.Frame) -> Connection | None:
        """Return the connection that a frame came by, None if it is gone already."""
        try:
            descriptor = int(str(frame.get("__fd")))  # as `zmq_msg_gets` calls it; -1 where there is none
            return cls(descriptor, os.fstat(descriptor).st_ino)
        except (OSError, ValueError, zmq.ZMQError):
            return None

    def is_open(self) -> bool:
        """Return whether ZeroMQ has not closed it; it does so when the peer leaves or is silent for too long."""
        try:
            return os.fstat(self.descriptor).st_ino == self.inode
        except OSError:
            return False

    def cut(self) -> None:
        """End it, so that ZeroMQ forgets the peer and what waits for it; an honest peer connects again."""
        with contextlib.suppress(OSError):
            duplicate = os.dup(self.descriptor)  # which cannot become another connection meanwhile
            with socket.socket(fileno=duplicate) as connection:
                if os.fstat(duplicate).st_ino == self.inode:
                    connection.shutdown(socket.SHUT_RDWR)
