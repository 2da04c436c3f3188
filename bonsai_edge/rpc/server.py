"""The server: a network thread that takes work, beside a compute thread with the model and a control thread."""

from __future__ import annotations

import logging
import math
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TypeAlias

import zmq

from bonsai_edge.errors import EngineHungError
from bonsai_edge.rpc.binding import Bindings
from bonsai_edge.rpc.compute import (
    ComputeEvent,
    ComputeThread,
    Failed,
    Loaded,
    Produced,
    Started,
    Suspended,
    Unloaded,
)
from bonsai_edge.rpc.control import ControlThread
from bonsai_edge.rpc.desk import Desk
from bonsai_edge.rpc.events import EventPublisher
from bonsai_edge.rpc.listening import prepare_default_endpoints
from bonsai_edge.rpc.mailbox import Mailbox
from bonsai_edge.rpc.messages import MAX_MESSAGE_BYTES, Limits
from bonsai_edge.rpc.metrics import Metrics
from bonsai_edge.rpc.outbox import Outbox
from bonsai_edge.rpc.problems import ENGINE_RESTARTED, NOT_ALLOWED
from bonsai_edge.rpc.real_time import context_that_goes_first, go_first
from bonsai_edge.rpc.request_log import log_message
from bonsai_edge.rpc.scheduler import Scheduler
from bonsai_edge.rpc.scheduler_control import SchedulerControl, Selected
from bonsai_edge.rpc.security.access import Access
from bonsai_edge.rpc.security.allow_list import allow_list_path
from bonsai_edge.rpc.security.authenticator import Authenticator
from bonsai_edge.rpc.security.key_files import ServerKeys
from bonsai_edge.rpc.security.receiving import receive
from bonsai_edge.rpc.served_model import ServedModel
from bonsai_edge.rpc.service import Service
from bonsai_edge.rpc.signals import calling_on_signals
from bonsai_edge.rpc.sockets import events_socket, router_socket
from bonsai_edge.rpc.telemetry import TelemetryThread
from bonsai_edge.rpc.text_thread import TextDone, TextThread
from bonsai_edge.rpc.watchdog import DEFAULT_WATCHDOG_S, EngineHung, Watchdog
from bonsai_edge.sensors import Sensor
from bonsai_edge.service_manager import ServiceManager

logger = logging.getLogger(__name__)

_RECEIVE_BURST = 64  # messages taken before the compute thread's events are looked at again
_OUTBOX_RETRY_S = 0.02
_STOP_GRACE_S = 5.0  # for the running step to end
_HUNG_GRACE_S = 0.5  # for the last messages when no step will end
_FAREWELL_S = 0.1  # for clients to read their last messages: ZMQ_IMMEDIATE drops what is unread when we disconnect
_STOP_LINGER_MS = 1_000  # for the last terminal messages to leave
_MAX_CONTROL_BYTES = 64 << 10


@dataclass(frozen=True)
class _Stop:
    """End all requests, and the server; with a time, when all that were accepted have ended but not later."""

    drain_s: float = 0.0


@dataclass(frozen=True)
class _Revoked:
    """These keys are not allowed any more."""

    keys: frozenset[str]


@dataclass(frozen=True)
class _Defect:
    """A thread without which the server is none has failed."""

    error: Exception


_Event: TypeAlias = ComputeEvent | TextDone | Selected | EngineHung | _Revoked | _Stop | _Defect


class Server:
    """Serves one model. Making it binds the endpoints; `run` serves in this thread, `with` in the background.

    Beside each of the endpoints, which take work, it binds one for control and one for events. `load` is called on the
    compute thread once the server answers, so that clients see a server that is loading rather than none; and again for
    the first generation after `idle_unload_s` seconds without one. A loaded engine that has work and does not move for
    `watchdog_s` seconds is given up with EngineHungError. With a `halt_reason` the server starts halted. With
    `is_real_time` the threads that answer clients go before all normal programs of the machine; raises
    InvalidRequestError where they may not. What `find_sensors` returns, called on a thread of its own, is read and
    published. `stop` and `drain` may be called from any thread and from a signal handler. A server runs once. With
    `keys` it may listen beyond this machine.
    """

    def __init__(
        self,
        load: Callable[[], ServedModel],
        endpoints: Sequence[str] | None = None,
        *,
        limits: Limits | None = None,
        idle_unload_s: float | None = None,
        keys: ServerKeys | None = None,
        watchdog_s: float | None = DEFAULT_WATCHDOG_S,
        halt_reason: str | None = None,
        is_real_time: bool = False,
        find_sensors: Callable[[], Sequence[Sensor]] | None = None,
        service_manager: ServiceManager | None = None,
        send_queue_messages: int = 1_000,
    ) -> None:
        limits = limits or Limits()
        self._is_real_time = is_real_time
        self._context = context_that_goes_first() if is_real_time else zmq.Context()
        self._router = router_socket(self._context, send_queue_messages, MAX_MESSAGE_BYTES)
        control_router = router_socket(self._context, send_queue_messages, _MAX_CONTROL_BYTES)
        events = events_socket(self._context)
        self._events: Mailbox[_Event] = Mailbox()
        self._bindings = Bindings(self._router, control_router, events, keys)
        self._authenticator: Authenticator | None = None
        try:
            if keys is not None:
                allowed = allow_list_path(keys.directory)
                self._authenticator = Authenticator(
                    self._context, allowed, lambda keys: self._events.put(_Revoked(keys))
                )
            for endpoint in endpoints or prepare_default_endpoints():
                self._bindings.bind(endpoint)
        except BaseException:
            self._release()
            raise
        self._metrics = Metrics()
        self._compute = ComputeThread(load, self._events.put, limits.max_active, idle_unload_s)
        self._text = TextThread(self._events.put)
        observers = (self._metrics.count_message, log_message)
        self._outbox = Outbox(self._router, lambda client: self._scheduler.end_client(client), observers)
        self._scheduler = Scheduler(self._compute, self._outbox, limits, lambda: self._desk.is_throttled)
        self._requests = SchedulerControl(self._scheduler, self._compute, self._outbox, self._events.put)
        self._desk = Desk(self._requests, self._text.pending, self._metrics, limits)
        allow_list = None if self._authenticator is None else self._authenticator.allow_list
        self._access = Access(allow_list, self._scheduler.is_alive)
        self._service = Service(self._desk, self._text, self._scheduler, self._requests, self._outbox, self._access)
        self._service_manager = service_manager
        self._control = ControlThread(
            control_router,
            EventPublisher(events, self._desk.status),
            self._desk,
            self._access,
            Watchdog(self._requests, watchdog_s, self._events.put),
            service_manager,
            watch_s=math.inf if watchdog_s is None else watchdog_s / 4,
            on_defect=lambda error: self._events.put(_Defect(error)),
            is_real_time=is_real_time,
        )
        self._telemetry = None if find_sensors is None else TelemetryThread(find_sensors, self._control.take_readings)
        if halt_reason is not None:
            self._requests.halt(halt_reason)
        self._drain_until: float | None = None
        self._give_up_at: float | None = None
        self._leave_at: float | None = None
        self._error: Exception | None = None
        self._load_ended = threading.Event()
        self._background = threading.Thread(target=self._run_in_background, name="bonsai-edge-network")

    @property
    def endpoints(self) -> list[str]:
        """Where the server really takes work, also where it was asked to choose a port."""
        return [listener.endpoint for listener in self._bindings.work]

    @property
    def boot_id(self) -> str:
        """What tells this server from the next one at the same endpoints."""
        return self._desk.boot_id

    def __enter__(self) -> Server:
        self._background.start()
        try:
            self._load_ended.wait()
        except BaseException:  # Ctrl-C: the thread would keep the process alive
            self.stop()
            self._background.join()
            raise
        if self._error is not None:
            self._background.join()
            raise self._error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()
        self._background.join()
        if self._error is not None and value is None:
            raise self._error

    def run(
        self,
        on_ready: Callable[[ServedModel], None] | None = None,
        *,
        signals: Mapping[signal.Signals, Callable[[], None]] | None = None,
    ) -> None:
        """Serve until `stop` is called; `on_ready` is called once, when the model is first loaded.

        `signals` are those on which something is to be called, such as `stop`; only the main thread may ask for them.
        Raises what `load` raised, and EngineHungError.
        """
        with calling_on_signals(signals or {}, self._events.wakeup_fileno()):
            try:
                if self._authenticator is not None:
                    self._authenticator.start()
                self._control.start()
                if self._telemetry is not None:
                    self._telemetry.start()
                self._compute.start()
                if self._is_real_time:
                    go_first()
                self._loop(on_ready)
            finally:
                self._shut_down()
        self._events.close()
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        """End all requests with a terminal message, then the server."""
        self._events.put(_Stop())

    def drain(self, timeout_s: float) -> None:
        """Reject new requests, let those that were accepted end by themselves, then stop; at the latest in time."""
        self._events.put(_Stop(timeout_s))

    def close(self) -> None:
        """Release the sockets of a server that never ran; `run` does it by itself."""
        self._control.stop()
        self._release()

    def _release(self) -> None:
        self._close_sockets(linger_ms=0)
        self._events.close()

    def _close_sockets(self, linger_ms: int) -> None:
        if self._authenticator is not None:
            self._authenticator.stop()
        self._context.destroy(linger=linger_ms)
        self._bindings.remove_files()

    def _run_in_background(self) -> None:
        try:
            self.run()
        except Exception as exc:  # noqa: BLE001  (raised where the `with` statement begins or ends)
            self._error = exc

    def _loop(self, on_ready: Callable[[ServedModel], None] | None) -> None:
        poller = zmq.Poller()
        poller.register(self._router, zmq.POLLIN)
        poller.register(self._events, zmq.POLLIN)
        published = None
        while not self._is_finished():
            poller.poll(self._wait_ms())
            for event in self._events.take_all():
                self._take(event, on_ready)
            self._receive()
            self._scheduler.tick()
            self._outbox.flush()
            state = self._visible_state()
            if state != published:
                published = state
                self._control.note_change()

    def _visible_state(self) -> tuple[object, ...]:
        """Return what a change of is worth telling at once."""
        desk, scheduler = self._desk, self._scheduler
        halt_reason = self._requests.halt_reason
        return scheduler.num_active, scheduler.num_queued, desk.is_loaded, desk.is_stopping, halt_reason

    def _receive(self) -> None:
        for _ in range(_RECEIVE_BURST):
            try:
                received = receive(self._router)
            except zmq.Again:
                return
            self._service.receive(received)

    def _take(self, event: _Event, on_ready: Callable[[ServedModel], None] | None) -> None:
        if isinstance(event, Started | Suspended | Produced | Failed):
            if isinstance(event, Produced):
                self._metrics.count_events(event.events)
            self._scheduler.take_event(event)
        elif isinstance(event, TextDone):
            self._service.take_text(event)
        elif isinstance(event, _Revoked):
            self._end_requests_of(event.keys)
        elif isinstance(event, Selected):
            self._requests.finish()
        elif isinstance(event, Loaded):
            self._take_model(event.model, on_ready)
        elif isinstance(event, Unloaded):
            self._service.note_unloaded()
        elif isinstance(event, EngineHung):
            self._give_up_engine(event)
        elif isinstance(event, _Stop):
            self._begin_to_drain(event.drain_s)
        else:
            self._error = event.error
            self._begin_to_stop()

    def _take_model(self, model: ServedModel, on_ready: Callable[[ServedModel], None] | None) -> None:
        self._service.start(model)
        is_first = not self._load_ended.is_set()
        self._load_ended.set()
        if is_first and self._give_up_at is None:
            if self._service_manager is not None:
                self._service_manager.ready(f"{model.name} on {model.backend_name}")
            if on_ready is not None:
                on_ready(model)

    def _end_requests_of(self, keys: frozenset[str]) -> None:
        self._control.cut_subscribers(keys)
        requests = {request_id: route for key in keys for request_id, route in self._access.alive_of(key).items()}
        for client in {route.client for route in requests.values()}:
            self._scheduler.end_client(client)
        for request_id, route in requests.items():
            self._scheduler.cancel(request_id)
            self._outbox.send(route, request_id, NOT_ALLOWED)

    def _give_up_engine(self, hung: EngineHung) -> None:
        logger.error("The engine has not moved for %.1f s and is given up.", hung.silent_s)
        self._error = EngineHungError(
            f"The engine had work and did not move for {hung.silent_s:.1f} s.",
            "Start the server anew in another process; a hung thread cannot be ended.",
            halt_reason=self._requests.halt_reason,
        )
        self._service.give_up(ENGINE_RESTARTED)
        self._begin_to_stop(_HUNG_GRACE_S)

    def _begin_to_drain(self, drain_s: float) -> None:
        if drain_s > 0 and self._drain_until is None and self._give_up_at is None:
            self._drain_until = time.monotonic() + drain_s
            self._service.drain()
            self._say_stopping()
        else:  # at once, also when a drain is under way
            self._begin_to_stop()

    def _begin_to_stop(self, grace_s: float = _STOP_GRACE_S) -> None:
        if self._give_up_at is None:
            self._give_up_at = time.monotonic() + grace_s
            self._drain_until = None
            self._service.stop()
            self._say_stopping()

    def _say_stopping(self) -> None:
        if self._service_manager is not None and self._error is None:
            self._service_manager.stopping()

    def _is_finished(self) -> bool:
        if self._drain_until is not None and self._give_up_at is None:
            is_idle = not self._scheduler.num_active and not self._scheduler.num_queued
            if is_idle or time.monotonic() >= self._drain_until:
                self._begin_to_stop()
        if self._give_up_at is None:
            return False
        if self._leave_at is None and not self._scheduler.num_active and not self._outbox:
            self._leave_at = self._outbox.last_sent_at + _FAREWELL_S
        return time.monotonic() >= (self._give_up_at if self._leave_at is None else self._leave_at)

    def _wait_ms(self) -> int | None:
        possible_moments = (self._scheduler.next_moment(), self._drain_until, self._give_up_at, self._leave_at)
        moments = [moment for moment in possible_moments if moment is not None]
        if self._outbox:
            moments.append(time.monotonic() + _OUTBOX_RETRY_S)
        if not moments:
            return None
        return max(0, math.ceil((min(moments) - time.monotonic()) * 1000))

    def _shut_down(self) -> None:
        try:
            self._service.stop()  # after an exception in the loop the jobs are still there
            self._text.stop()
            grace_s = _STOP_GRACE_S if self._give_up_at is None else max(0.0, self._give_up_at - time.monotonic())
            if not self._compute.stop(grace_s):
                logger.warning("The model did not stop in time and is abandoned.")
            if self._telemetry is not None:
                self._telemetry.stop()
        finally:
            self._control.stop()
            self._load_ended.set()
            self._close_sockets(linger_ms=_STOP_LINGER_MS)
