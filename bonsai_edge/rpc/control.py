"""The control thread: answers orders and questions, publishes events and watches the engine, and waits for nobody."""

from __future__ import annotations

import errno
import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from enum import Enum
from typing import TypeAlias

import zmq

from bonsai_edge.errors import BonsaiError, ProtocolError
from bonsai_edge.rpc.codec import Envelope, decode_client_message, encode, request_id_of
from bonsai_edge.rpc.desk import Desk, DeskMessage
from bonsai_edge.rpc.events import EventPublisher
from bonsai_edge.rpc.job import Route
from bonsai_edge.rpc.mailbox import Mailbox
from bonsai_edge.rpc.messages import (
    FEATURES,
    Bye,
    Chat,
    ClientMessage,
    Credit,
    Generate,
    ServerMessage,
    Telemetry,
    TelemetryReading,
)
from bonsai_edge.rpc.problems import INTERNAL_ERROR, WRONG_ENDPOINT, problem_of, rejection, unsupported_features
from bonsai_edge.rpc.real_time import go_first
from bonsai_edge.rpc.security.access import Access
from bonsai_edge.rpc.security.receiving import Received, receive
from bonsai_edge.rpc.watchdog import Watchdog
from bonsai_edge.sensors import Quantity, Reading
from bonsai_edge.service_manager import ServiceManager

logger = logging.getLogger(__name__)

_LONGEST_WAIT_S = 1.0
_RECEIVE_BURST = 64  # messages taken before the engine is looked at again


class _Command(Enum):
    NOTE_CHANGE = "note change"
    STOP = "stop"


_Order: TypeAlias = _Command | Sequence[Reading] | frozenset[str]


class ControlThread:
    """Owns the control and the events socket while it runs; `note_change`, `take_readings` and `stop` are for others.

    `watch_s` is how long a hung engine may stay unnoticed. `on_defect` is told of an exception that ended the thread.
    With `is_real_time` it goes before all normal programs of the machine.
    """

    def __init__(
        self,
        router: zmq.Socket[bytes],
        publisher: EventPublisher,
        desk: Desk,
        access: Access,
        watchdog: Watchdog,
        service_manager: ServiceManager | None,
        watch_s: float,
        on_defect: Callable[[Exception], None],
        is_real_time: bool,
    ) -> None:
        self._router = router
        self._publisher = publisher
        self._desk = desk
        self._access = access
        self._watchdog = watchdog
        self._service_manager = service_manager
        self._on_defect = on_defect
        self._is_real_time = is_real_time
        self._longest_wait_s = min(_LONGEST_WAIT_S, watch_s)
        self._alive_at = -math.inf
        self._orders: Mailbox[_Order] = Mailbox()
        self._thread = threading.Thread(target=self._run, name="bonsai-edge-control")

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def note_change(self) -> None:
        """Have the status published soon."""
        self._orders.put(_Command.NOTE_CHANGE)

    def take_readings(self, readings: Sequence[Reading]) -> None:
        """Have the readings of all sensors published."""
        self._orders.put(readings)

    def cut_subscribers(self, users: frozenset[str]) -> None:
        """Have nothing more published to users who may not listen any more."""
        self._orders.put(users)

    def stop(self) -> None:
        """End the thread; the sockets may then be closed by the caller."""
        if self._thread.ident is not None:
            self._orders.put(_Command.STOP)
            self._thread.join()
        self._orders.close()

    def _run(self) -> None:
        try:
            if self._is_real_time:
                go_first()
            self._loop()
        except Exception as exc:
            logger.exception("The control thread failed.")
            self._on_defect(exc)

    def _loop(self) -> None:
        poller = zmq.Poller()
        for each in (self._router, self._publisher.socket, self._orders):
            poller.register(each, zmq.POLLIN)
        while True:
            poller.poll(self._wait_ms())
            for order in self._orders.take_all():
                if order is _Command.STOP:
                    return
                self._obey(order)
            self._publisher.take_subscriptions()
            self._receive()
            is_well = self._watchdog.tick()
            self._publisher.tick()
            if is_well:
                self._say_alive()

    def _wait_ms(self) -> int:
        wait_s = min(self._longest_wait_s, self._publisher.next_at() - time.monotonic())
        return max(0, math.ceil(wait_s * 1000))

    def _obey(self, order: _Order) -> None:
        if isinstance(order, _Command):
            self._publisher.note_change()
            return
        if isinstance(order, frozenset):
            self._publisher.cut(order)
            return
        flags = [each.value > 0 for each in order if each.quantity is Quantity.THROTTLED]
        self._desk.is_throttled = any(flags) if flags else None
        readings = (TelemetryReading(each.quantity.value, each.name, each.scope, each.value) for each in order)
        self._publisher.publish(Telemetry(self._desk.boot_id, tuple(readings)))

    def _receive(self) -> None:
        for _ in range(_RECEIVE_BURST):
            try:
                received = receive(self._router)
            except zmq.Again:
                return
            answer = self._answer(received)
            if answer is not None:
                self._send(received.route, encode(answer, request_id_of(received.frames)))

    def _answer(self, received: Received) -> ServerMessage | None:
        try:
            envelope = decode_client_message(received.frames)
            if isinstance(envelope.message, Generate | Chat):  # before `Access` notes it as accepted
                return rejection(WRONG_ENDPOINT)
            problem = self._access.refusal(received.user, received.route, envelope)
            return self._answer_message(envelope) if problem is None else rejection(problem)
        except ProtocolError as exc:
            return problem_of(exc)
        except BonsaiError as exc:
            return rejection(problem_of(exc))
        except Exception:
            logger.exception("A message could not be handled.")
            return INTERNAL_ERROR

    def _answer_message(self, envelope: Envelope[ClientMessage]) -> ServerMessage | None:
        missing = set(envelope.header.requires) - FEATURES
        if missing:
            return rejection(unsupported_features(missing))
        message = envelope.message
        if isinstance(message, Bye | Credit):
            return None
        return self._desk.answer(message, None) if isinstance(message, DeskMessage) else rejection(WRONG_ENDPOINT)

    def _send(self, route: Route, frames: list[bytes]) -> None:
        """Send an answer unless its asker is gone; one that reads none is cut off."""
        try:
            self._router.send_multipart([*route.envelope(), *frames], zmq.DONTWAIT)
        except zmq.Again:
            logger.warning("A client does not read the answers of the control endpoint, and is cut off.")
            if route.connection is not None:
                route.connection.cut()
        except zmq.ZMQError as exc:
            if exc.errno != errno.EHOSTUNREACH:
                raise

    def _say_alive(self) -> None:
        manager, now = self._service_manager, time.monotonic()
        if manager is not None and manager.watchdog_s is not None and now >= self._alive_at + manager.watchdog_s / 3:
            self._alive_at = now
            manager.alive()
