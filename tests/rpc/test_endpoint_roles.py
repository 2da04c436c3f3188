from __future__ import annotations

import pytest

from bonsai_edge.errors import EndpointError
from bonsai_edge.rpc.endpoint_roles import control_endpoint, events_endpoint


@pytest.mark.parametrize(
    ("work", "control", "events"),
    [
        ("tcp://127.0.0.1:5571", "tcp://127.0.0.1:5572", "tcp://127.0.0.1:5573"),
        ("tcp://[::1]:65533", "tcp://[::1]:65534", "tcp://[::1]:65535"),
        ("ipc:///run/b/server.sock", "ipc:///run/b/control.sock", "ipc:///run/b/events.sock"),
        ("ipc:///run/robot/b.sock", "ipc:///run/robot/b.sock.control", "ipc:///run/robot/b.sock.events"),
        ("ipc://s", "ipc://s.control", "ipc://s.events"),
    ],
)
def test_control_and_events_stand_beside_work(work: str, control: str, events: str) -> None:
    assert (control_endpoint(work), events_endpoint(work)) == (control, events)


def test_last_port_has_none_beside_it() -> None:
    assert control_endpoint("tcp://127.0.0.1:65534") == "tcp://127.0.0.1:65535"
    with pytest.raises(EndpointError) as caught:
        events_endpoint("tcp://127.0.0.1:65534")
    assert str(caught.value) == (
        "There is no port for events beside tcp://127.0.0.1:65534: it would be 65536. Choose a port up to 65533."
    )
