"""The authenticator as ZeroMQ sees it: questions in, verdicts out (RFC 27 of ZeroMQ)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zmq
from zmq.utils import z85

from bonsai_edge.rpc.security.allow_list import AllowedKey, allow, allow_list_path, revoke
from bonsai_edge.rpc.security.authenticator import Authenticator

RAW_KEY = bytes(range(32))
KEY = z85.encode(RAW_KEY).decode()
Ask = Callable[..., tuple[bytes, bytes]]


@pytest.fixture
def ask(tmp_path: Path) -> Iterator[Ask]:
    """Ask as ZeroMQ does; returns the status code and the user id."""
    allow(tmp_path, AllowedKey(name="arm", key=KEY))
    with zmq.Context() as context:
        authenticator = Authenticator(context, allow_list_path(tmp_path), lambda gone: None)
        authenticator.start()
        with context.socket(zmq.REQ) as question:
            question.linger = 0
            question.rcvtimeo = 10_000
            question.connect("inproc://zeromq.zap.01")

            def ask(domain: bytes, mechanism: bytes, *credentials: bytes) -> tuple[bytes, bytes]:
                question.send_multipart([b"1.0", b"7", domain, b"10.0.0.3", b"", mechanism, *credentials])
                version, request_id, code, _, user, metadata = question.recv_multipart()
                assert (version, request_id, metadata) == (b"1.0", b"7", b"")
                return code, user

            yield ask
        authenticator.stop()


def test_known_key_becomes_the_user_id(ask: Ask) -> None:
    assert ask(b"network", b"CURVE", RAW_KEY) == (b"200", KEY.encode())


def test_socket_file_is_let_in_without_a_key(ask: Ask) -> None:
    assert ask(b"file", b"NULL") == (b"200", b"local")


@pytest.mark.parametrize(
    ("domain", "mechanism", "credentials"),
    [
        (b"network", b"CURVE", [bytes(32)]),
        (b"network", b"CURVE", [RAW_KEY[:31]]),
        (b"network", b"CURVE", []),
        (b"network", b"CURVE", [RAW_KEY, RAW_KEY]),
        (b"network", b"NULL", []),
        (b"network", b"PLAIN", [b"local", b"local"]),
        (b"network", b"PLAIN", [KEY.encode(), b""]),
        (b"file", b"CURVE", [RAW_KEY]),
        (b"file", b"PLAIN", [b"", b""]),
        (b"", b"NULL", []),
        (b"", b"CURVE", [RAW_KEY]),
    ],
)
def test_everything_else_is_refused(ask: Ask, domain: bytes, mechanism: bytes, credentials: list[bytes]) -> None:
    assert ask(domain, mechanism, *credentials) == (b"400", b"")


def test_list_is_looked_at_again_for_every_connection(ask: Ask, tmp_path: Path) -> None:
    revoke(tmp_path, "arm")
    assert ask(b"network", b"CURVE", RAW_KEY) == (b"400", b"")
    allow(tmp_path, AllowedKey(name="arm", key=KEY))
    assert ask(b"network", b"CURVE", RAW_KEY) == (b"200", KEY.encode())


def test_flood_of_strangers_is_one_line_in_the_log(ask: Ask, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(50):
        ask(b"network", b"CURVE", bytes(32))
    assert [record.getMessage() for record in caplog.records] == [
        "Connections with keys that are not allowed were refused: 1, the last from 10.0.0.3."
    ]
