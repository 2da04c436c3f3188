"""What the server answers beside generations, and what a REQ socket gets."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
import zmq

from bonsai_edge.errors import ContextOverflowError, InvalidRequestError, RemoteError
from bonsai_edge.generation import GenerationResult
from bonsai_edge.rpc.client import Client
from bonsai_edge.rpc.codec import decode_server_message, encode
from bonsai_edge.rpc.messages import (
    FEATURES,
    Cancel,
    Cancelling,
    ErrorMessage,
    Generate,
    GetModelInfo,
    GetStatus,
    Header,
    Hello,
    Limits,
    ModelInfo,
    Ping,
    Pong,
    ServerStatus,
    TokenIds,
    Tokenize,
    Welcome,
)
from bonsai_edge.rpc.server import Server
from rpc_requests import ask_status, begin, expect_rejection, new_id

if TYPE_CHECKING:
    from conftest import FakeModel, RawPeer

    OpenSocket = Callable[[int, str], zmq.Socket[bytes]]


# Questions


def test_hello_is_answered_with_who_the_server_is(peer: RawPeer) -> None:
    request_id = new_id()
    peer.send(Hello("test"), request_id)
    welcome = peer.expect(request_id)
    assert isinstance(welcome, Welcome)
    assert (welcome.protocol, welcome.model, welcome.backend, welcome.context) == ("BE/1", "fake", "none", 1 << 20)
    assert welcome.features == tuple(sorted(FEATURES))
    assert welcome.limits == Limits(
        max_active=1, max_message_bytes=4 << 20, max_frames=16, max_queued=64, max_queued_per_client=16
    )


def test_ping_names_the_requests_that_are_lost(peer: RawPeer, model: FakeModel) -> None:
    running, queued, unknown, ping_id = begin(peer, "a"), begin(peer, "b"), new_id(), new_id()
    while not ask_status(peer).active:
        pass
    peer.send(Ping((running, unknown, queued)), ping_id)
    pong = peer.expect(ping_id)
    assert isinstance(pong, Pong)
    assert pong.lost == (unknown,)
    assert (pong.status.active, pong.status.queued) == (1, 1)


def test_model_info(peer: RawPeer) -> None:
    request_id = new_id()
    peer.send(GetModelInfo(), request_id)
    assert peer.expect(request_id) == ModelInfo(
        name="fake",
        architecture="qwen3",
        backend="none",
        context=1 << 20,
        threads=1,
        load_s=0.5,
        vocab_size=256,
        num_layers=2,
        hidden_size=64,
    )


def test_token_outside_the_vocabulary_is_refused(client: Client) -> None:
    with pytest.raises(InvalidRequestError, match="There is no token 256; the vocabulary has 256"):
        client.detokenize([1, 256])


def test_defect_of_the_tokenizer_is_an_internal_error(client: Client) -> None:
    with pytest.raises(RemoteError, match="The server failed on this request") as caught:
        client.tokenize("fail")
    assert caught.value.remote_code == "internal_error"
    assert client.tokenize("ok") == [111, 107]


def test_answer_that_is_too_large_is_refused(client: Client) -> None:
    with pytest.raises(RemoteError, match="The answer is larger than a message may be") as caught:
        client.tokenize("é" * 1_500_000)
    assert caught.value.remote_code == "reply_too_large"


def test_unknown_required_feature_is_refused_and_a_known_one_is_not(peer: RawPeer) -> None:
    request_id = new_id()
    for question in (Generate("a"), Hello()):
        peer.send(question, request_id, Header(requires=("cancel", "telepathy")))
        rejected = expect_rejection(peer, request_id)
        assert rejected.code == "unsupported_feature"
        assert rejected.message == "The server lacks the required features telepathy."
    peer.send(GetStatus(), request_id, Header(requires=("cancel", "deadline", "halt", "on_overflow", "stream")))
    assert isinstance(peer.expect(request_id), ServerStatus)


def test_context_overflow_is_the_same_exception_as_in_the_python_api(client: Client) -> None:
    with pytest.raises(ContextOverflowError, match="The prompt has 9 tokens and the context holds 8") as caught:
        client.generate_text("overflow")
    assert (caught.value.prompt_tokens, caught.value.limit, caught.value.max_tokens) == (9, 8, 1)


# REQ sockets


@pytest.fixture
def req(open_socket: OpenSocket, server: Server) -> zmq.Socket[bytes]:
    return open_socket(zmq.REQ, server.endpoints[0])


def test_req_socket_gets_one_answer_with_the_whole_text(
    req: zmq.Socket[bytes], model: FakeModel, peer: RawPeer
) -> None:
    begin(peer, "x", Header(stream="none"))  # a queued REQ request must not be told its position either
    for question, answer_type in [
        (Generate("abc"), GenerationResult),
        (Generate("overflow"), ErrorMessage),
        (GetStatus(), ServerStatus),
        (Tokenize("a"), TokenIds),
        (Hello(), Welcome),
        (Ping(), Pong),
        (Cancel(()), Cancelling),
    ]:
        request_id = new_id()
        req.send_multipart(encode(question, request_id))
        model.run_freely()
        envelope = decode_server_message(req.recv_multipart())
        assert envelope.request_id == request_id
        assert isinstance(envelope.message, answer_type)
        assert not isinstance(envelope.message, GenerationResult) or envelope.message.text == "abc"


def test_req_socket_gets_an_error_for_what_cannot_be_understood(req: zmq.Socket[bytes]) -> None:
    req.send_multipart([b"hello?"])
    message = decode_server_message(req.recv_multipart()).message
    assert isinstance(message, ErrorMessage)
    assert message.code == "protocol_error"
    req.send_multipart(encode(GetStatus(), new_id()))
    assert isinstance(decode_server_message(req.recv_multipart()).message, ServerStatus)
