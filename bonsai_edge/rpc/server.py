"""The server: a network thread with a ROUTER socket, beside a compute thread with the model."""

from __future__ import annotations

import logging
import math
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from types import TracebackType
from typing import TypeAlias

import zmq

from bonsai_edge.rpc.compute import (
    ComputeEvent,
    ComputeThread,
    Failed,
    Loaded,
    LoadFailed,
    Produced,
    Started,
    Suspended,
    Unloaded,
)
from bonsai_edge.rpc.listening import Listener, bind, prepare_default_endpoints
from bonsai_edge.rpc.mailbox import Mailbox
from bonsai_edge.rpc.messages import HEARTBEAT_INTERVAL_MS, HEARTBEAT_TIMEOUT_MS, MAX_MESSAGE_BYTES, Limits
from bonsai_edge.rpc.outbox import Outbox
from bonsai_edge.rpc.problems import NOT_ALLOWED
from bonsai_edge.rpc.scheduler import Scheduler
from bonsai_edge.rpc.security.access import Access
from bonsai_edge.rpc.security.allow_list import allow_list_path
from bonsai_edge.rpc.security.authenticator import Authenticator
from bonsai_edge.rpc.security.key_files import ServerKeys
from bonsai_edge.rpc.security.receiving import receive
from bonsai_edge.rpc.served_model import ServedModel
from bonsai_edge.rpc.service import Service
from bonsai_edge.rpc.signals import calling_on_signals
from bonsai_edge.rpc.text_thread import TextDone, TextThread

logger = logging.getLogger(__name__)

_HANDSHAKE_TIMEOUT_MS = 5_000
_RECEIVE_BURST = 64  # messages taken before the compute thread's events are looked at again
_OUTBOX_RETRY_S = 0.02
_STOP_GRACE_S = 5.0  # for the running step to end
_FAREWELL_S = 0.1  # for clients to read their last messages: ZMQ_IMMEDIATE drops what is unread when we disconnect
_STOP_LINGER_MS = 1_000  # for the last terminal messages to leave


class _Command(Enum):
    STOP = "stop"


@dataclass(frozen=True)
class _Revoked:
    """These keys are not allowed any more."""

    keys: frozenset[str]


_Event: TypeAlias = ComputeEvent | TextDone | _Revoked | _Command


class Server:
    """Serves one model. Making it binds the endpoints; `run` serves in this thread, `with` in the background.

    `load` is called on the compute thread once the server answers, so that clients see a server that is loading rather
    than none; and again for the first generation after `idle_unload_s` seconds without one. `stop` may be called from
    any thread and from a signal handler. A server runs once. With `keys` it may listen beyond this machine.
    """

    def __init__(
        self,
        load: Callable[[], ServedModel],
        endpoints: Sequence[str] | None = None,
        *,
        limits: Limits | None = None,
        idle_unload_s: float | None = None,
        keys: ServerKeys | None = None,
        send_queue_messages: int = 1_000,
    ) -> None:
        limits = limits or Limits()
        self._context = zmq.Context()
        self._router = _router(self._context, send_queue_messages)
        self._events: Mailbox[_Event] = Mailbox()
        self._listeners: list[Listener] = []
        self._authenticator: Authenticator | None = None
        try:
            if keys is not None:
                allowed = allow_list_path(keys.directory)
                self._authenticator = Authenticator(
                    self._context, allowed, lambda keys: self._events.put(_Revoked(keys))
                )
            for endpoint in endpoints or prepare_default_endpoints():
                self._listeners.append(bind(self._router, endpoint, keys))
        except BaseException:
            self.close()
            raise
        self._compute = ComputeThread(load, self._events.put, limits.max_active, idle_unload_s)
        self._text = TextThread(self._events.put)
        self._outbox = Outbox(self._router, lambda client: self._scheduler.end_client(client))
        self._scheduler = Scheduler(self._compute, self._outbox, limits)
        allow_list = None if self._authenticator is None else self._authenticator.allow_list
        self._access = Access(allow_list, self._scheduler.is_alive)
        self._service = Service(self._compute, self._text, self._scheduler, self._outbox, limits, self._access)
        self._give_up_at: float | None = None
        self._leave_at: float | None = None
        self._load_error: Exception | None = None
        self._load_ended = threading.Event()
        self._background = threading.Thread(target=self.run, name="bonsai-edge-network")

    @property
    def endpoints(self) -> list[str]:
        """Where the server really listens, also where it was asked to choose a port."""
        return [listener.endpoint for listener in self._listeners]

    def __enter__(self) -> Server:
        self._background.start()
        try:
            self._load_ended.wait()
        except BaseException:  # Ctrl-C: the thread would keep the process alive
            self.__exit__(None, None, None)
            raise
        if self._load_error is not None:
            self._background.join()
            raise self._load_error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()
        self._background.join()

    def run(
        self, on_ready: Callable[[ServedModel], None] | None = None, *, stop_on: Sequence[signal.Signals] = ()
    ) -> None:
        """Serve until `stop` is called; `on_ready` is called once, when the model is first loaded.

        `stop_on` signals call `stop`, which only the main thread may ask for. Raises what `load` raised.
        """
        with calling_on_signals(stop_on, self.stop, self._events.wakeup_fileno()):
            try:
                if self._authenticator is not None:
                    self._authenticator.start()
                self._compute.start()
                self._loop(on_ready)
            finally:
                self._shut_down()
        self._events.close()
        if self._load_error is not None and threading.current_thread() is not self._background:
            raise self._load_error

    def stop(self) -> None:
        """End all requests with a terminal message, then the server."""
        self._events.put(_Command.STOP)

    def close(self) -> None:
        """Release the sockets of a server that never ran; `run` does it by itself."""
        self._release(linger_ms=0)
        self._events.close()

    def _loop(self, on_ready: Callable[[ServedModel], None] | None) -> None:
        poller = zmq.Poller()
        poller.register(self._router, zmq.POLLIN)
        poller.register(self._events, zmq.POLLIN)
        while not self._is_finished():
            poller.poll(self._wait_ms())
            for event in self._events.take_all():
                self._take(event, on_ready)
            self._receive()
            self._scheduler.tick()
            self._outbox.flush()

    def _receive(self) -> None:
        for _ in range(_RECEIVE_BURST):
            try:
                parts, user = receive(self._router)
            except zmq.Again:
                return
            self._service.receive(parts, user)

    def _take(self, event: _Event, on_ready: Callable[[ServedModel], None] | None) -> None:
        if isinstance(event, Started | Suspended | Produced | Failed):
            self._scheduler.take_event(event)
        elif isinstance(event, TextDone):
            self._service.take_text(event)
        elif isinstance(event, _Revoked):
            self._end_requests_of(event.keys)
        elif isinstance(event, Loaded):
            self._service.start(event.model)
            is_first = not self._load_ended.is_set()
            self._load_ended.set()
            if is_first and on_ready is not None and self._give_up_at is None:
                on_ready(event.model)
        elif isinstance(event, Unloaded):
            self._service.note_unloaded()
        else:
            if isinstance(event, LoadFailed):
                self._load_error = event.error
            self._begin_to_stop()

    def _end_requests_of(self, keys: frozenset[str]) -> None:
        requests = {request_id: route for key in keys for request_id, route in self._access.alive_of(key).items()}
        for client in {route.client for route in requests.values()}:
            self._scheduler.end_client(client)
        for request_id, route in requests.items():
            self._scheduler.cancel(request_id)
            self._outbox.send(route, request_id, NOT_ALLOWED)

    def _begin_to_stop(self) -> None:
        if self._give_up_at is None:
            self._give_up_at = time.monotonic() + _STOP_GRACE_S
            self._service.stop()

    def _is_finished(self) -> bool:
        if self._give_up_at is None:
            return False
        if self._leave_at is None and not self._scheduler.num_active and not self._outbox:
            self._leave_at = self._outbox.last_sent_at + _FAREWELL_S
        return time.monotonic() >= (self._give_up_at if self._leave_at is None else self._leave_at)

    def _wait_ms(self) -> int | None:
        possible_moments = (self._scheduler.next_moment(), self._give_up_at, self._leave_at)
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
                logger.warning("The model did not stop within %.0f s and is abandoned.", _STOP_GRACE_S)
        finally:
            self._load_ended.set()
            self._release(linger_ms=_STOP_LINGER_MS)

    def _release(self, linger_ms: int) -> None:
        if self._authenticator is not None:
            self._authenticator.stop()
        self._context.destroy(linger=linger_ms)
        for listener in self._listeners:
            listener.remove_file()


def _router(context: zmq.Context[zmq.Socket[bytes]], send_queue_messages: int) -> zmq.Socket[bytes]:
    router = context.socket(zmq.ROUTER)
    router.setsockopt(zmq.LINGER, 0)
    router.setsockopt(zmq.MAXMSGSIZE, MAX_MESSAGE_BYTES)
    router.setsockopt(zmq.ROUTER_MANDATORY, 1)  # else messages to a vanished client are dropped in silence
    router.setsockopt(zmq.SNDHWM, send_queue_messages)
    router.setsockopt(zmq.HANDSHAKE_IVL, _HANDSHAKE_TIMEOUT_MS)
    router.setsockopt(zmq.HEARTBEAT_IVL, HEARTBEAT_INTERVAL_MS)
    router.setsockopt(zmq.HEARTBEAT_TIMEOUT, HEARTBEAT_TIMEOUT_MS)
    router.setsockopt(zmq.HEARTBEAT_TTL, HEARTBEAT_TIMEOUT_MS)
    return router
