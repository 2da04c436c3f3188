from __future__ import annotations

import pytest

from bonsai_edge.errors import EndpointError
from bonsai_edge.rpc.endpoints import check_bind_endpoint, check_connect_endpoint, is_ipv6


@pytest.mark.parametrize(
    ("endpoint", "checked"),
    [
        ("tcp://127.0.0.1:5571", "tcp://127.0.0.1:5571"),
        ("tcp://127.3.2.1:1", "tcp://127.3.2.1:1"),
        ("tcp://localhost:65535", "tcp://127.0.0.1:65535"),
        ("ipc:///run/robot/bonsai.sock", "ipc:///run/robot/bonsai.sock"),
        ("tcp://[::1]:5571", "tcp://[::1]:5571"),
        ("ipc://here.sock", "ipc://here.sock"),
    ],
)
def test_endpoints_of_this_machine_are_allowed(endpoint: str, checked: str) -> None:
    assert check_bind_endpoint(endpoint) == checked
    assert check_connect_endpoint(endpoint) == checked


OTHER_MACHINES = [
    "tcp://*:5571",
    "tcp://0.0.0.0:5571",
    "tcp://192.168.1.20:5571",
    "tcp://robot.local:5571",
    "tcp://lo:5571",
    "tcp://[::]:5571",
    "tcp://[fe80::1%eth0]:5571",
    "tcp://::1:5571",
    "tcp://2130706433:5571",
    "tcp://127.0.0.1;192.168.1.20:5571",
]


@pytest.mark.parametrize("endpoint", OTHER_MACHINES)
def test_without_keys_other_machines_are_refused(endpoint: str) -> None:
    with pytest.raises(EndpointError) as caught:
        check_bind_endpoint(endpoint)
    assert caught.value.cause == f"'{endpoint}' can be reached from other machines, and there are no keys."
    assert caught.value.remedy == (
        "Give them with --keys (docs/security.md), or use 127.0.0.1 and reach it from elsewhere with "
        "`ssh -L 5571:127.0.0.1:5571 HOST`."
    )
    with pytest.raises(EndpointError) as caught:
        check_connect_endpoint(endpoint)
    assert caught.value.cause == f"'{endpoint}' does not stay on this machine, and there are no keys."


@pytest.mark.parametrize("host", ["*", "0.0.0.0", "192.168.1.20", "eth0", "wlp2s0.100", "[::]", "[fe80::1%eth0]"])
def test_with_keys_any_address_of_the_machine_may_be_bound(host: str) -> None:
    assert check_bind_endpoint(f"tcp://{host}:5571", has_keys=True) == f"tcp://{host}:5571"


@pytest.mark.parametrize("host", ["192.168.1.20", "robot.local", "robot-7", "a_b.example.org", "[2001:db8::7]"])
def test_with_keys_any_host_may_be_connected(host: str) -> None:
    assert check_connect_endpoint(f"tcp://{host}:5571", has_keys=True) == f"tcp://{host}:5571"


@pytest.mark.parametrize("host", ["*", "0.0.0.0", "[::]", "::1", "127.0.0.1;10.0.0.1", "a..b", ".a", "a/b", "a b", "é"])
def test_with_keys_a_client_still_needs_a_host(host: str) -> None:
    with pytest.raises(EndpointError) as caught:
        check_connect_endpoint(f"tcp://{host}:5571", has_keys=True)
    assert caught.value.cause == f"'tcp://{host}:5571' has no valid host."


@pytest.mark.parametrize("host", ["::1", "127.0.0.1;10.0.0.1", "a/b", "-", "name-that-is-far-too-long", "[1.2.3.4]"])
def test_with_keys_a_server_still_needs_a_host(host: str) -> None:
    with pytest.raises(EndpointError, match="has no valid host"):
        check_bind_endpoint(f"tcp://{host}:5571", has_keys=True)


def test_keys_are_not_for_socket_files_of_a_client() -> None:
    assert check_bind_endpoint("ipc:///run/s", has_keys=True) == "ipc:///run/s"
    with pytest.raises(EndpointError, match="is a socket file, which its permissions protect and not keys"):
        check_connect_endpoint("ipc:///run/s", has_keys=True)


def test_only_addresses_in_brackets_are_ipv6() -> None:
    assert is_ipv6("tcp://[::1]:5571")
    assert not is_ipv6("tcp://127.0.0.1:5571")
    assert not is_ipv6("ipc:///[::1]")


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
