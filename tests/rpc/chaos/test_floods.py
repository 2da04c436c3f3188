"""Messages that are too large, and connections that come by the thousand."""

from __future__ import annotations

import resource
import socket
import struct
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import zmq

from bonsai_edge.errors import BonsaiError
from bonsai_edge.rpc.client import Client
from wire.peer import Peer
from wire.served import ServedProcess

DEADLINE_S = 60.0
SUPPORT = Path(__file__).parents[2] / "support"
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER: no TIME_WAIT, else the ports would run out
_GREETING = b"\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x03\x01NULL" + bytes(48)
_OPENINGS = (b"", b"\xff", _GREETING[:11], _GREETING, b"GET / HTTP/1.1\r\n\r\n", bytes(200))
"""What a connection sends before it is closed: nothing, half a greeting, a greeting, another protocol, nonsense."""


def test_message_of_ten_megabytes_ends_its_connection_and_takes_no_memory(served: ServedProcess) -> None:
    with Client(served.endpoint, timeout_s=DEADLINE_S) as client, Peer(served.endpoint) as sender:
        client.hello()
        before_bytes = served.rss_bytes()
        events = sender.socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        for _ in range(5):
            assert sender.ask("HELLO", timeout_s=DEADLINE_S).kind == "WELCOME"
            sender.send_frames([b"BE/1", b"REQUEST", bytes(16), b"\x80", bytes(10_000_000)])
            assert events.poll(60_000), "the connection lives on"
            events.recv_multipart()
        assert client.status().state == "ready"
        assert served.rss_bytes() - before_bytes < 10_000_000


@pytest.mark.parametrize("num", [1_000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_connections_in_a_row_leave_nothing_behind(served: ServedProcess, num: int) -> None:
    address = urlsplit(served.endpoint)
    with Client(served.endpoint, timeout_s=DEADLINE_S) as client:
        client.generate_text("dock now", max_tokens=4)  # what the first one allocates is kept
        num_fds = served.num_fds()
        rss_bytes = 0
        for number in range(num):
            with socket.create_connection((address.hostname or "", address.port or 0), DEADLINE_S) as connection:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
                connection.sendall(_OPENINGS[number % len(_OPENINGS)])
            if number % 500 == 0:
                assert client.status().state == "ready"
                rss_bytes = rss_bytes or served.rss_bytes()
        give_up_at = time.monotonic() + DEADLINE_S
        while served.num_fds() > num_fds:
            assert time.monotonic() < give_up_at, "sockets of closed connections stay open"
            time.sleep(0.1)
        assert client.generate_text("dock now", max_tokens=4).text
        assert served.rss_bytes() - rss_bytes < 10_000_000


def test_clients_that_come_and_go_while_others_work_lose_nothing(served: ServedProcess) -> None:
    with Client(served.endpoint, timeout_s=DEADLINE_S) as staying:
        events = staying.generate("drive to the dock", max_tokens=64)
        pieces = [next(events)]
        for _ in range(50):
            with Client(served.endpoint, timeout_s=DEADLINE_S) as passing:
                assert passing.status().state == "ready"
        pieces += events
        assert "".join(piece.text for piece in pieces[:-1]) == pieces[-1].text


def test_nobody_waits_for_ever_on_a_port_where_no_server_speaks() -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        with (
            Client(f"tcp://127.0.0.1:{deaf.getsockname()[1]}", timeout_s=0.3) as client,
            pytest.raises(BonsaiError, match=r"No connection to tcp://127\.0\.0\.1:\d+ within 0\.3 s"),
        ):
            client.status()


@pytest.mark.parametrize("num", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_client_that_is_killed_while_it_floods_and_reads_nothing_harms_nobody(served: ServedProcess, num: int) -> None:
    """A full queue, a broken connection and a heartbeat together would make libzmq abort the server's process."""
    command = [sys.executable, str(SUPPORT / "flooding_client.py"), served.endpoint]
    with Client(served.endpoint, timeout_s=DEADLINE_S) as client:
        for number in range(num):
            with subprocess.Popen(command, stdout=subprocess.PIPE) as flooding:
                assert flooding.stdout is not None
                assert flooding.stdout.readline() == b"flooding\n"
                time.sleep(1.0 + 0.13 * number)
                assert client.status().state == "ready"
                flooding.kill()
            time.sleep(1.1)  # longer than the interval of heartbeats
            assert served.is_running()
        assert client.generate_text("dock now", max_tokens=4).text


def test_server_without_descriptors_answers_those_that_are_connected() -> None:
    with ServedProcess(backend="reference") as served, Client(served.endpoint, timeout_s=DEADLINE_S) as client:
        assert client.generate_text("dock now", max_tokens=4).text
        events = client.events()
        next(events)
        resource.prlimit(served.pid, resource.RLIMIT_NOFILE, (100, 100))
        address = urlsplit(served.endpoint)
        with ExitStack() as stack:
            for _ in range(200):
                stack.enter_context(socket.create_connection((address.hostname or "", address.port or 0), DEADLINE_S))
            give_up_at = time.monotonic() + DEADLINE_S
            while served.num_fds() < 100:
                assert time.monotonic() < give_up_at
            for _ in range(20):
                assert client.status().state == "ready"
                assert next(events)
        assert client.generate_text("dock now", max_tokens=4).text
        with Client(served.endpoint, timeout_s=DEADLINE_S) as newcomer:
            assert newcomer.status().state == "ready"
