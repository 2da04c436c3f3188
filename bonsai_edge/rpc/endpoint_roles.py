"""The three endpoints of a server, of which one is enough to know: work, and control and events beside it.

A rule rather than an announcement, so that HALT needs no question before it, and no path of the server is told.
"""

from __future__ import annotations

from bonsai_edge.errors import EndpointError
from bonsai_edge.rpc.endpoints import ipc_path

_HIGHEST_PORT = 65_535


def control_endpoint(work_endpoint: str) -> str:
    """Return the endpoint of the control thread: the next port, or `control.sock` beside `server.sock`.

    Beside a socket file of any other name stands one with `.control` added. Raises EndpointError.
    """
    return _beside(work_endpoint, "control", port_offset=1)


def events_endpoint(work_endpoint: str) -> str:
    """Return the endpoint that publishes: the second next port, or a socket file named like that of control."""
    return _beside(work_endpoint, "events", port_offset=2)


def _beside(work_endpoint: str, role: str, port_offset: int) -> str:
    path = ipc_path(work_endpoint)
    if path is not None:
        name = f"{role}.sock" if path.name == "server.sock" else f"{path.name}.{role}"
        return f"ipc://{path.with_name(name)}"
    address, _, port = work_endpoint.rpartition(":")
    if int(port) + port_offset > _HIGHEST_PORT:
        raise EndpointError(
            f"There is no port for {role} beside {work_endpoint}: it would be {int(port) + port_offset}.",
            f"Choose a port up to {_HIGHEST_PORT - 2}.",
        )
    return f"{address}:{int(port) + port_offset}"
