"""What is asked of a server and ordered that needs neither its engine nor its network thread."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Container
from typing import TypeAlias

from bonsai_edge.errors import InvalidRequestError
from bonsai_edge.rpc.health import judge
from bonsai_edge.rpc.memory_readings import MemoryReadings
from bonsai_edge.rpc.messages import (
    FEATURES,
    HEARTBEAT_INTERVAL_MS,
    PROTOCOL_VERSION,
    Cancel,
    Cancelling,
    GetMetrics,
    GetStatus,
    Halt,
    Halted,
    Hello,
    Limits,
    Ping,
    Pong,
    Resume,
    ServerMessage,
    ServerStatus,
    Text,
    Welcome,
)
from bonsai_edge.rpc.metrics import Metrics
from bonsai_edge.rpc.request_control import RequestControl, Selection
from bonsai_edge.rpc.served_model import ServedModel
from bonsai_edge.version import __version__

logger = logging.getLogger(__name__)

DeskMessage: TypeAlias = Hello | GetStatus | GetMetrics | Cancel | Halt | Resume | Ping


class Desk:
    """Answers for the network thread and the control thread alike; `text_ids` are the requests of the text thread.

    The network thread sets `model`, `is_loaded` and `is_stopping`, the control thread `is_throttled`, which is None
    while no sensor tells.
    """

    def __init__(self, requests: RequestControl, text_ids: Container[bytes], metrics: Metrics, limits: Limits) -> None:
        self.boot_id = uuid.uuid4().hex
        self.model: ServedModel | None = None
        self.is_loaded = False
        self.is_stopping = False
        self.is_throttled: bool | None = None
        self._requests = requests
        self._text_ids = text_ids
        self._metrics = metrics
        self._limits = limits
        self._started_at = time.monotonic()
        self._memory = MemoryReadings()

    def answer(self, message: DeskMessage, client: bytes | None) -> ServerMessage:
        """Do what a message says. `client` is the connection whose requests a CANCEL may mean, if it can have any.

        Raises InvalidRequestError.
        """
        if isinstance(message, Hello):
            return self._welcome()
        if isinstance(message, GetStatus):
            return self.status()
        if isinstance(message, GetMetrics):
            return Text(self._metrics.text(self.status()))
        if isinstance(message, Cancel):
            return self._cancel(message, client)
        if isinstance(message, Halt):
            cancelled = self._requests.halt(message.reason)
            logger.warning("The server is halted.", extra={"reason": message.reason, "cancelled": len(cancelled)})
            return Halted(True, cancelled)
        if isinstance(message, Resume):
            self._requests.resume()
            logger.warning("The server is resumed.")
            return Halted(False)
        expected = self._text_ids
        lost = (id_ for id_ in message.waiting_for if not self._requests.knows(id_, client) and id_ not in expected)
        return Pong(self.status(), tuple(lost))

    def status(self) -> ServerStatus:
        """Return how the server is doing, engine included."""
        model, engine, now = self.model, self._requests.snapshot(), time.monotonic()
        halt_reason, available_bytes = self._requests.halt_reason, self._memory.available_bytes
        health = judge(
            engine,
            has_model=model is not None,
            is_stopping=self.is_stopping,
            halt_reason=halt_reason,
            is_throttled=bool(self.is_throttled),
            available_bytes=available_bytes,
        )
        return ServerStatus(
            state=health.state,
            boot_id=self.boot_id,
            server_version=__version__,
            uptime_s=now - self._started_at,
            model=None if model is None else model.name,
            backend=None if model is None else model.backend_name,
            active=engine.active,
            queued=engine.queued,
            steps=engine.steps,
            seconds_since_step=None if engine.last_step_at is None else now - engine.last_step_at,
            rss_bytes=self._memory.rss_bytes,
            loaded=self.is_loaded,
            live=health.live,
            ready=health.ready,
            degraded_by=health.degraded_by,
            halt_reason=halt_reason,
            engine_silent_s=health.engine_silent_s,
            tokens=self._metrics.num_tokens,
            available_bytes=available_bytes,
            backend_note=None if model is None else model.backend_note,
        )

    def _cancel(self, message: Cancel, client: bytes | None) -> Cancelling:
        if message.client and client is None:
            raise InvalidRequestError(
                "The control endpoint has no requests of its connections.", "Send this CANCEL to the work endpoint."
            )
        return Cancelling(self._requests.cancel(Selection.of(message, client)))

    def _welcome(self) -> Welcome:
        model = self.model
        return Welcome(
            protocol=PROTOCOL_VERSION,
            server_version=__version__,
            boot_id=self.boot_id,
            model=None if model is None else model.name,
            backend=None if model is None else model.backend_name,
            context=None if model is None else model.context,
            features=tuple(sorted(FEATURES)),
            limits=self._limits,
            heartbeat_interval_ms=HEARTBEAT_INTERVAL_MS,
        )
