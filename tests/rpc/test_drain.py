"""A server that is told to end in peace."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import zmq

from bonsai_edge.generation import GenerationResult
from bonsai_edge.rpc.codec import decode_server_message, encode
from bonsai_edge.rpc.endpoint_roles import control_endpoint
from bonsai_edge.rpc.messages import (
    Accepted,
    ErrorMessage,
    Generate,
    GetStatus,
    Header,
    Progress,
    Rejected,
    ServerMessage,
    ServerStatus,
    Tokenize,
)
from bonsai_edge.rpc.server import Server
from bonsai_edge.service_manager import ServiceManager
from rpc_requests import DEADLINE_S, new_id

if TYPE_CHECKING:
    from conftest import FakeModel

    OpenSocket = Callable[[int, str], zmq.Socket[bytes]]
    Ask = Callable[[Generate | Tokenize | GetStatus], ServerMessage]


@pytest.fixture
def dealer(endpoint: str, open_socket: OpenSocket) -> zmq.Socket[bytes]:
    return open_socket(zmq.DEALER, endpoint)


def receive(dealer: zmq.Socket[bytes]) -> ServerMessage:
    message = decode_server_message(dealer.recv_multipart()).message
    return receive(dealer) if isinstance(message, Progress) else message


def send(dealer: zmq.Socket[bytes], message: Generate | Tokenize | GetStatus) -> None:
    dealer.send_multipart(encode(message, new_id(), Header(stream="none")))


def test_drain_lets_accepted_requests_end_and_rejects_new_ones(
    model: FakeModel, endpoint: str, dealer: zmq.Socket[bytes], open_socket: OpenSocket
) -> None:
    with Server(lambda: model, [endpoint]) as server:
        for prompt in ("abc", "def"):
            send(dealer, Generate(prompt))
            assert isinstance(receive(dealer), Accepted)
        server.drain(DEADLINE_S)
        control = open_socket(zmq.DEALER, control_endpoint(endpoint))
        while True:
            send(control, GetStatus())
            status = receive(control)
            assert isinstance(status, ServerStatus)
            if status.state == "stopping":
                break
        assert (status.live, status.ready) == (True, False)
        for late in (Generate("late"), Tokenize("late")):
            send(dealer, late)
            rejected = receive(dealer)
            assert isinstance(rejected, Rejected)
            assert (rejected.code, rejected.retryable) == ("server_stopping", True)
        model.run_freely()
        results = [receive(dealer), receive(dealer)]
        assert [each.text for each in results if isinstance(each, GenerationResult)] == ["abc", "def"]
        server._background.join(DEADLINE_S)
        assert not server._background.is_alive()
    assert model.closed.is_set()


@pytest.mark.parametrize("ends_early", [False, True])
def test_what_has_not_ended_in_time_or_at_a_second_signal_is_ended(
    model: FakeModel, endpoint: str, dealer: zmq.Socket[bytes], ends_early: bool
) -> None:
    with Server(lambda: model, [endpoint]) as server:
        send(dealer, Generate("abc"))
        assert isinstance(receive(dealer), Accepted)
        asked_at = time.monotonic()
        server.drain(DEADLINE_S if ends_early else 0.2)
        if ends_early:
            server.drain(DEADLINE_S)
        error = receive(dealer)
        assert isinstance(error, ErrorMessage)
        assert error.code == "server_stopping"
        assert (time.monotonic() - asked_at >= 0.2) is not ends_early
        model.allow()


def test_idle_server_is_drained_at_once(model: FakeModel, endpoint: str) -> None:
    with Server(lambda: model, [endpoint]) as server:
        server.drain(3600.0)
        server._background.join(DEADLINE_S)
        assert not server._background.is_alive()


# The service manager


@pytest.fixture
def notified(tmp_path: Path) -> socket.socket:
    receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    receiver.bind(str(tmp_path / "notify"))
    receiver.settimeout(DEADLINE_S)
    return receiver


def discard_all(receiver: socket.socket) -> None:
    receiver.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            receiver.recv(100)


def test_service_manager_is_told_when_the_server_is_ready_alive_and_stopping(
    model: FakeModel, endpoint: str, dealer: zmq.Socket[bytes], notified: socket.socket, tmp_path: Path
) -> None:
    manager = ServiceManager(str(tmp_path / "notify"), watchdog_s=0.3)
    may_load = threading.Event()

    def load() -> FakeModel:
        assert may_load.wait(DEADLINE_S)
        return model

    server = Server(load, [endpoint], watchdog_s=0.2, service_manager=manager)
    with notified:
        thread = threading.Thread(target=server.run)
        thread.start()
        assert notified.recv(100) == b"WATCHDOG=1"  # while it loads
        assert notified.recv(100) == b"WATCHDOG=1"
        may_load.set()
        while (message := notified.recv(100)) == b"WATCHDOG=1":
            pass
        assert message == b"READY=1\nSTATUS=fake on none"
        assert notified.recv(100) == b"WATCHDOG=1"
        server.drain(1.0)
        while (message := notified.recv(100)) == b"WATCHDOG=1":
            pass
        assert message == b"STOPPING=1\nSTATUS=stopping"
        thread.join(DEADLINE_S)


def test_hung_engine_is_not_called_alive(
    model: FakeModel, endpoint: str, dealer: zmq.Socket[bytes], notified: socket.socket, tmp_path: Path
) -> None:
    manager = ServiceManager(str(tmp_path / "notify"), watchdog_s=0.3)
    server = Server(lambda: model, [endpoint], watchdog_s=0.2, service_manager=manager)
    with notified:
        thread = threading.Thread(target=server._run_in_background)
        thread.start()
        send(dealer, Generate("abc"))
        assert isinstance(receive(dealer), Accepted)
        assert isinstance(receive(dealer), ErrorMessage)
        discard_all(notified)
        notified.settimeout(0.3)
        with pytest.raises(TimeoutError):
            notified.recv(100)
        thread.join(DEADLINE_S)
        model.run_freely()
