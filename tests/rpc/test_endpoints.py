from __future__ import annotations

import pytest

from bonsai_edge.errors import EndpointError
from bonsai_edge.rpc.endpoints import check_bind_endpoint, check_connect_endpoint


@pytest.mark.parametrize(
    ("endpoint", "checked"),
    [
        ("tcp://127.0.0.1:5571", "tcp://127.0.0.1:5571"),
        ("tcp://127.3.2.1:1", "tcp://127.3.2.1:1"),
        ("tcp://localhost:65535", "tcp://127.0.0.1:65535"),
        ("ipc:///run/robot/bonsai.sock", "ipc:///run/robot/bonsai.sock"),
        ("ipc://here.sock", "ipc://here.sock"),
    ],
)
def test_endpoints_of_this_machine_are_allowed(endpoint: str, checked: str) -> None:
    assert check_bind_endpoint(endpoint) == checked
    assert check_connect_endpoint(endpoint) == checked


@pytest.mark.parametrize(
    "endpoint",
    [
        "tcp://*:5571",
        "tcp://0.0.0.0:5571",
        "tcp://192.168.1.20:5571",
        "tcp://robot.local:5571",
        "tcp://lo:5571",
        "tcp://[::1]:5571",
        "tcp://2130706433:5571",
        "tcp://127.0.0.1;192.168.1.20:5571",
    ],
)
def test_other_machines_are_refused(endpoint: str) -> None:
    for check in (check_bind_endpoint, check_connect_endpoint):
        with pytest.raises(EndpointError) as caught:
            check(endpoint)
        assert caught.value.cause == f"'{endpoint}' does not stay on this machine, and messages are not encrypted."
        assert caught.value.remedy == (
            "Use 127.0.0.1, and reach it from elsewhere with `ssh -L 5571:127.0.0.1:5571 HOST`."
        )


@pytest.mark.parametrize("endpoint", ["", "5571", "127.0.0.1:5571", "http://127.0.0.1:5571", "inproc://a", "tcp:/x:1"])
def test_what_is_no_endpoint_is_refused_with_an_example(endpoint: str) -> None:
    with pytest.raises(EndpointError) as caught:
        check_bind_endpoint(endpoint)
    assert str(caught.value) == (f"{endpoint!r} is not an endpoint. Use tcp://127.0.0.1:5571 or ipc:///path/to/a.sock.")


@pytest.mark.parametrize("endpoint", ["tcp://127.0.0.1", "tcp://127.0.0.1:", "tcp://:5571"])
def test_host_and_port_are_needed(endpoint: str) -> None:
    with pytest.raises(EndpointError, match="lacks a host or a port"):
        check_bind_endpoint(endpoint)


@pytest.mark.parametrize("port", ["65536", "-1", "x", "1e3", "٣", "000001", " 5571"])
def test_port_must_be_a_port(port: str) -> None:
    with pytest.raises(EndpointError, match="has no valid port"):
        check_bind_endpoint(f"tcp://127.0.0.1:{port}")


def test_system_chooses_a_port_for_servers_only() -> None:
    assert check_bind_endpoint("tcp://127.0.0.1:*") == check_bind_endpoint("tcp://127.0.0.1:0") == "tcp://127.0.0.1:0"
    for endpoint in ("tcp://127.0.0.1:*", "tcp://127.0.0.1:0"):
        with pytest.raises(EndpointError, match="has no valid port"):
            check_connect_endpoint(endpoint)


@pytest.mark.parametrize("endpoint", ["ipc://", "ipc://*", "ipc://@abstract", "ipc:///a\0b"])
def test_socket_must_be_a_file_with_permissions(endpoint: str) -> None:
    with pytest.raises(EndpointError, match="does not name a socket file"):
        check_bind_endpoint(endpoint)


def test_long_socket_path_is_refused_with_both_numbers() -> None:
    path = "/" + "ü" * 60
    with pytest.raises(EndpointError, match=r"has 121 bytes; the system allows 10[37]\."):
        check_connect_endpoint(f"ipc://{path}")
