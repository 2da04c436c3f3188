"""Mutated and invented messages against the codec and against a server with a model that answers at once.

`make fuzz` sends a million to a real server process.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bonsai_edge.errors import ProtocolError
from bonsai_edge.rpc.client import Client
from bonsai_edge.rpc.codec import decode_client_message, decode_server_message
from bonsai_edge.rpc.server import Server
from wire.fuzzing import Fuzzer
from wire.mutation import Mutator

if TYPE_CHECKING:
    from conftest import FakeModel, RawPeer

ID = bytes(range(16))
NAMES = ("method", "prompt", "text", "messages", "role", "content", "options", "max_tokens", "request_ids", "token_ids")
ATOMS = (
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 64) - 1)
    | st.floats()
    | st.text()
    | st.binary(max_size=20)
)
VALUES = st.recursive(
    ATOMS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=4) | st.integers(0, 9), inner, max_size=4)
    ),
    max_leaves=12,
)
METHODS = st.sampled_from(["generate", "chat", "tokenize", "detokenize", "model.info", "status"])


@pytest.mark.parametrize("decode", [decode_client_message, decode_server_message])
def test_codec_raises_nothing_but_its_own_error(decode: Callable[[list[bytes]], object]) -> None:
    mutator = Mutator(seed=1)
    num_refused = 0
    for _ in range(20_000):
        try:
            decode(mutator.next())
        except ProtocolError:
            num_refused += 1
    assert num_refused > 5_000


def test_mutations_are_repeatable_and_not_all_refused() -> None:
    first, second = Mutator(seed=5), Mutator(seed=5)
    messages = [first.next() for _ in range(200)]
    assert messages == [second.next() for _ in range(200)]
    valid = 0
    for frames in messages:
        try:
            decode_client_message(frames)
        except ProtocolError:
            continue
        valid += 1
    assert 20 < valid < 180


def test_every_mutated_message_is_answered_and_every_accepted_request_ends(
    server: Server, model: FakeModel, client: Client
) -> None:
    model.run_freely()
    report = Fuzzer(server.endpoints[0], seed=2).run(10_000)
    assert report.hung == []
    assert report.sent == 10_000
    assert 1_000 < report.valid < 5_000
    status = client.status()
    assert (status.active, status.queued) == (0, 0)


def test_mutated_bytes_on_the_stream_disturb_nobody(model: FakeModel) -> None:
    with Server(lambda: model, ["tcp://127.0.0.1:*"]) as server, Client(server.endpoints[0]) as client:
        Fuzzer(server.endpoints[0], seed=3).send_streams(100)
        client.resume()  # one may have been a HALT
        assert client.status().state == "ready"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None)
@given(header=VALUES, body=st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=5), method=METHODS)
def test_invented_requests_are_answered(
    peer: RawPeer, model: FakeModel, header: Any, body: dict[str, Any], method: str
) -> None:
    model.run_freely()
    frames = [b"BE/1", b"REQUEST", ID, *map(msgspec.msgpack.encode, (header, {**body, "method": method}))]
    peer.socket.send_multipart(frames)
    while next_kind(peer) not in (b"FINAL", b"ERROR", b"REJECTED"):
        pass


def next_kind(peer: RawPeer) -> bytes:
    _, kind, request_id, _, _ = peer.socket.recv_multipart()
    assert request_id == ID
    return kind
