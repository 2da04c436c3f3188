"""Binding the three sockets of a server side by side."""

from __future__ import annotations

from dataclasses import dataclass, field

import zmq

from bonsai_edge.errors import EndpointError
from bonsai_edge.rpc.endpoint_roles import control_endpoint, events_endpoint
from bonsai_edge.rpc.listening import Listener, bind
from bonsai_edge.rpc.security.key_files import ServerKeys

_ATTEMPTS = 32  # until a port that the system chose has two free ones after it


@dataclass
class Bindings:
    """The sockets of a server and the endpoints that they are bound to, each place three."""

    work_socket: zmq.Socket[bytes]
    control_socket: zmq.Socket[bytes]
    events_socket: zmq.Socket[bytes]
    keys: ServerKeys | None = None
    work: list[Listener] = field(default_factory=list)
    control: list[Listener] = field(default_factory=list)
    events: list[Listener] = field(default_factory=list)

    def bind(self, endpoint: str) -> None:
        """Bind work to an endpoint, and control and events beside it.

        For port 0 the system chooses one with two free ports after it. Raises EndpointError and EndpointInUseError;
        `remove_files` cleans up then too.
        """
        if not endpoint.endswith((":0", ":*")):
            self._bind(endpoint)
            return
        for attempts_left in reversed(range(_ATTEMPTS)):
            counts = len(self.work), len(self.control)
            try:
                self._bind(endpoint)
            except EndpointError:
                if not attempts_left:
                    raise
                self._unbind_from(*counts)
            else:
                return

    def remove_files(self) -> None:
        """Delete the socket files."""
        for listener in (*self.work, *self.control, *self.events):
            listener.remove_file()

    def _bind(self, endpoint: str) -> None:
        self.work.append(bind(self.work_socket, endpoint, self.keys))
        work_endpoint = self.work[-1].endpoint
        self.control.append(bind(self.control_socket, control_endpoint(work_endpoint), self.keys))
        self.events.append(bind(self.events_socket, events_endpoint(work_endpoint), self.keys))

    def _unbind_from(self, num_work: int, num_control: int) -> None:
        """Take back an attempt that came as far as work, or as control; events is the last and never in the way."""
        for socket, listeners, count in (
            (self.work_socket, self.work, num_work),
            (self.control_socket, self.control, num_control),
        ):
            while len(listeners) > count:
                socket.unbind(listeners.pop().endpoint)
