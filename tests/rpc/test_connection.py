"""The connection behind a message: noticed when it is gone, and ended on purpose."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator

import pytest
import zmq

from bonsai_edge.rpc.connection import Connection

DEADLINE_S = 10.0


def wait_until(condition: Callable[[], bool]) -> None:
    give_up_at = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < give_up_at
        time.sleep(0.001)


@pytest.fixture(params=["tcp://127.0.0.1:*", "ipc://{}/s"])
def router(request: pytest.FixtureRequest, tmp_path: object) -> Iterator[zmq.Socket[bytes]]:
    with zmq.Context() as context, context.socket(zmq.ROUTER) as router:
        router.setsockopt(zmq.RCVTIMEO, int(DEADLINE_S * 1000))
        router.bind(request.param.format(tmp_path))
        yield router


@pytest.fixture
def peer(router: zmq.Socket[bytes]) -> Iterator[zmq.Socket[bytes]]:
    with zmq.Context() as context, context.socket(zmq.DEALER) as dealer:
        dealer.setsockopt(zmq.LINGER, 0)
        dealer.connect(router.getsockopt_string(zmq.LAST_ENDPOINT))
        yield dealer


def connection_of(peer: zmq.Socket[bytes], router: zmq.Socket[bytes]) -> Connection:
    peer.send(b"hello")
    identity = router.recv(copy=False)
    router.recv()
    connection = Connection.of(identity)
    assert connection is not None
    return connection


def test_connection_is_open_until_the_peer_leaves(router: zmq.Socket[bytes], peer: zmq.Socket[bytes]) -> None:
    connection = connection_of(peer, router)
    assert connection.is_open()
    peer.close()
    wait_until(lambda: not connection.is_open())


def test_connection_that_is_cut_is_made_anew(router: zmq.Socket[bytes], peer: zmq.Socket[bytes]) -> None:
    connection = connection_of(peer, router)
    connection.cut()
    wait_until(lambda: not connection.is_open())
    assert connection_of(peer, router) != connection


def test_descriptor_that_means_something_else_by_now_is_left_alone() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        inode = os.fstat(ours.fileno()).st_ino
        stale = Connection(ours.fileno(), inode + 1)
        assert not stale.is_open()
        stale.cut()
        ours.sendall(b"x")
        assert theirs.recv(1) == b"x"


def test_message_without_a_connection_has_none() -> None:
    assert Connection.of(zmq.Frame(b"x")) is None
