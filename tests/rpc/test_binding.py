from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from bonsai_edge.errors import EndpointInUseError
from bonsai_edge.rpc import binding
from bonsai_edge.rpc.binding import Bindings
from bonsai_edge.rpc.listening import Listener, bind


@pytest.fixture
def bindings() -> Iterator[Bindings]:
    with zmq.Context() as context:
        sockets = [context.socket(kind) for kind in (zmq.ROUTER, zmq.ROUTER, zmq.XPUB)]
        made = Bindings(*sockets)
        yield made
        for each in sockets:
            each.close(linger=0)
        made.remove_files()


def port_of(listener: Listener) -> int:
    return int(listener.endpoint.rpartition(":")[2])


def test_three_files_are_made_and_removed(bindings: Bindings, tmp_path: Path) -> None:
    bindings.bind(f"ipc://{tmp_path}/server.sock")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["control.sock", "events.sock", "server.sock"]
    bindings.remove_files()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("port", ["*", "0"])
def test_chosen_ports_follow_one_another(bindings: Bindings, port: str) -> None:
    bindings.bind(f"tcp://127.0.0.1:{port}")
    work = port_of(bindings.work[0])
    assert (port_of(bindings.control[0]), port_of(bindings.events[0])) == (work + 1, work + 2)


def test_another_port_is_chosen_where_the_next_ones_are_taken(
    bindings: Bindings, monkeypatch: pytest.MonkeyPatch
) -> None:
    bound: list[str] = []

    def bind_but_not_at_first(server_socket: zmq.Socket[bytes], endpoint: str, keys: None) -> Listener:
        bound.append(endpoint)
        if len(bound) in (2, 5):  # the first control endpoint, and the events endpoint of the next attempt
            raise EndpointInUseError("Another process listens there.", "Stop it.")
        return bind(server_socket, endpoint)

    monkeypatch.setattr(binding, "bind", bind_but_not_at_first)
    bindings.bind("tcp://127.0.0.1:0")
    assert len(bound) == 8
    assert [len(each) for each in (bindings.work, bindings.control, bindings.events)] == [1, 1, 1]
    work = port_of(bindings.work[0])
    assert bound[-2:] == [f"tcp://127.0.0.1:{work + 1}", f"tcp://127.0.0.1:{work + 2}"]


def test_a_port_that_was_asked_for_is_not_replaced(bindings: Bindings) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        with pytest.raises(EndpointInUseError, match=f"Another process listens on tcp://127.0.0.1:{taken}"):
            bindings.bind(f"tcp://127.0.0.1:{taken - 2}")
