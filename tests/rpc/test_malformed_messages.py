"""Whatever a peer sends, it gets an ERROR, and nobody else notices."""

from __future__ import annotations

import socket
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bonsai_edge.generation import GenerationResult
from bonsai_edge.rpc.client import Client
from bonsai_edge.rpc.codec import decode_server_message, encode
from bonsai_edge.rpc.messages import MAX_MESSAGE_BYTES, NIL_REQUEST_ID, Accepted, ErrorMessage, Generate, GetStatus
from bonsai_edge.rpc.server import Server

if TYPE_CHECKING:
    from conftest import FakeModel, RawPeer

ID = uuid.UUID("01234567-89ab-4def-8123-456789abcdef").bytes
STATUS_FRAMES = encode(GetStatus(), ID)


@pytest.mark.parametrize(
    ("frames", "request_id", "problem"),
    [
        ([b"hello"], NIL_REQUEST_ID, "The message has 1 frames; expected 5 to 16."),
        (STATUS_FRAMES[:4], ID, "The message has 4 frames; expected 5 to 16."),
        ([b"BE/7", *STATUS_FRAMES[1:]], ID, "The message is written in protocol 'BE/7'; 'BE/1' is spoken here."),
        (
            [b"BE/1", b"DANCE", *STATUS_FRAMES[2:]],
            ID,
            "The kind of the message is 'DANCE'; "
            "expected one of HELLO, REQUEST, CANCEL, CREDIT, HALT, RESUME, PING, BYE.",
        ),
        ([*STATUS_FRAMES[:2], b"x", *STATUS_FRAMES[3:]], NIL_REQUEST_ID, "The request id has 1 bytes; expected 16."),
        (
            [*STATUS_FRAMES[:3], b"\xc0", STATUS_FRAMES[4]],
            ID,
            "The header of REQUEST is not valid: Expected `object`, got `None`.",
        ),
        (
            [*STATUS_FRAMES[:4], b"\x81\xa6method\x05"],
            ID,
            "The body of REQUEST is not valid: Expected `str`, got `int` - at `$.method`.",
        ),
        (
            [*STATUS_FRAMES[:4], bytes(MAX_MESSAGE_BYTES)],
            ID,
            f"The message has {MAX_MESSAGE_BYTES + 28} bytes; at most {MAX_MESSAGE_BYTES} are allowed.",
        ),
    ],
    ids=["one frame", "four frames", "version", "kind", "id", "header", "body", "size"],
)
def test_malformed_message_is_answered_with_what_is_wrong(
    peer: RawPeer, frames: list[bytes], request_id: bytes, problem: str
) -> None:
    peer.socket.send_multipart(frames)
    error = peer.expect(request_id)
    assert isinstance(error, ErrorMessage)
    assert (error.code, error.message, error.retryable) == ("protocol_error", problem, False)
    assert error.remedy


def test_malformed_messages_do_not_disturb_a_running_generation(
    peer: RawPeer, connect: Callable[[], RawPeer], model: FakeModel
) -> None:
    peer.send(Generate("ab"), ID)
    assert isinstance(peer.expect(ID), Accepted)
    intruder = connect()
    for frames in ([b"x"] * 4, [b"x"] * 17, [b"BE/1", b"REQUEST", ID, b"\x80", b"\x91" * 100_000]):
        intruder.socket.send_multipart(frames)
        assert isinstance(intruder.receive()[1], ErrorMessage)
    model.run_freely()
    while not isinstance(message := peer.expect(ID), GenerationResult):
        pass
    assert message.text == "ab"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50, deadline=None)
@given(st.lists(st.binary(max_size=40), min_size=1, max_size=18))
def test_random_frames_are_answered_with_an_error(connect: Callable[[], RawPeer], frames: list[bytes]) -> None:
    peer = connect()
    peer.socket.send_multipart(frames)
    parts = peer.socket.recv_multipart()
    message = decode_server_message(parts[1:] if not parts[0] else parts).message
    peer.socket.close()
    assert isinstance(message, ErrorMessage)
    assert message.code == "protocol_error"


def test_frame_above_the_limit_ends_only_the_connection_that_sent_it(peer: RawPeer, client: Client) -> None:
    peer.socket.send_multipart([*STATUS_FRAMES[:4], bytes(MAX_MESSAGE_BYTES + 1)])
    assert peer.socket.poll(50) == 0
    assert client.status().state == "ready"


def test_peer_that_does_not_speak_zeromq_is_no_danger(model: FakeModel) -> None:
    with Server(lambda: model, ["tcp://127.0.0.1:*"]) as server, Client(server.endpoints[0]) as client:
        host, port = server.endpoints[0].removeprefix("tcp://").split(":")
        with socket.create_connection((host, int(port)), timeout=5) as browser:
            browser.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}")
            assert client.status().state == "ready"
        assert client.status().state == "ready"


def test_peer_that_floods_without_reading_harms_nobody(peer: RawPeer, client: Client) -> None:
    for _ in range(2_000):
        peer.socket.send_multipart(STATUS_FRAMES)
    assert client.status().state == "ready"
    peer.socket.close()
