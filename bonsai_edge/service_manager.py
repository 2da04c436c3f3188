"""Tells a service manager how the process is doing, by systemd's protocol: a datagram to `$NOTIFY_SOCKET`.

https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Mapping

logger = logging.getLogger(__name__)


class ServiceManager:
    """Messages that do not arrive are logged and otherwise without effect."""

    def __init__(self, address: str, watchdog_s: float | None = None) -> None:
        self.watchdog_s = watchdog_s
        """After so long without `alive` the manager ends the process; None if it does not watch."""
        self._address = "\0" + address[1:] if address.startswith("@") else address

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> ServiceManager | None:
        """Return who started this process as a service, None if nobody did."""
        address = environment.get("NOTIFY_SOCKET", "")
        if not address.startswith(("/", "@")):
            return None
        watched_pid = environment.get("WATCHDOG_PID", "")
        period_us = environment.get("WATCHDOG_USEC", "")
        is_watched = period_us.isdecimal() and int(period_us) > 0 and watched_pid in ("", str(os.getpid()))
        return cls(address, int(period_us) / 1e6 if is_watched else None)

    def ready(self, status: str) -> None:
        """Say that the service does its work, and what there is to know of it."""
        self._send(f"READY=1\nSTATUS={status}")

    def stopping(self) -> None:
        """Say that the service has begun to end."""
        self._send("STOPPING=1\nSTATUS=stopping")

    def describe(self, status: str) -> None:
        """Say in one line how the service is doing."""
        self._send(f"STATUS={status}")

    def alive(self) -> None:
        """Say that the service need not be ended yet."""
        self._send("WATCHDOG=1")

    def _send(self, message: str) -> None:
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagrams:
                datagrams.setblocking(False)
                datagrams.sendto(message.encode(), self._address)
        except OSError as exc:
            logger.warning("The service manager at %s cannot be told %r: %s.", self._address, message, exc)
