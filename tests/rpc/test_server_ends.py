"""How requests, clients and the server end, and how it starts, with a model that the test controls."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import zmq

from bonsai_edge.errors import ModelNotFoundError, RemoteError
from bonsai_edge.generation import GenerationResult, TextChunk
from bonsai_edge.rpc.client import Client
from bonsai_edge.rpc.codec import decode_server_message, encode
from bonsai_edge.rpc.messages import (
    Accepted,
    Bye,
    Cancel,
    ErrorMessage,
    Generate,
    Header,
    Rejected,
    ServerMessage,
    Tokenize,
)
from bonsai_edge.rpc.server import Server
from rpc_requests import DEADLINE_S, ask_status, begin, expect_error, expect_result, new_id

if TYPE_CHECKING:
    from conftest import FakeModel, RawPeer

    Connect = Callable[[], RawPeer]
    OpenSocket = Callable[[int, str], zmq.Socket[bytes]]


# Clients that leave


def test_bye_cancels_what_the_client_asked_for(connect: Connect, model: FakeModel) -> None:
    leaving, staying = connect(), connect()
    begin(leaving, "abc")
    assert model.next_started() == "abc"
    begin(leaving, "def")
    leaving.send(Bye(), new_id())
    while ask_status(staying).queued:
        pass
    model.allow()
    while ask_status(staying).active:
        pass
    leaving.assert_nothing_more()
    assert model.started.empty()


def test_slow_reader_loses_its_request_and_harms_nobody(
    model: FakeModel, endpoint: str, open_socket: OpenSocket
) -> None:
    model.chunk_repeats = 50_000
    with Server(lambda: model, [endpoint], send_queue_messages=2), Client(endpoint) as client:
        slow = open_socket(zmq.DEALER, endpoint)
        request_id = new_id()
        slow.send_multipart(encode(Generate("x" * 5_000), request_id))
        model.run_freely()
        while not (status := client.status()).steps or status.active:
            pass  # the generation ends although nobody reads
        messages: list[ServerMessage] = []
        while not messages or not isinstance(messages[-1], ErrorMessage):
            messages.append(decode_server_message(slow.recv_multipart()).message)
        assert messages[0] == Accepted(0)
        assert [each.index for each in messages if isinstance(each, TextChunk)] == list(range(len(messages) - 2))
        assert isinstance(messages[-1], ErrorMessage)
        assert messages[-1].code == "slow_reader"
        assert slow.poll(50) == 0


# Ends


def test_every_accepted_request_gets_exactly_one_terminal_message(connect: Connect, model: FakeModel) -> None:
    peers = [connect() for _ in range(3)]
    owner_of: dict[bytes, RawPeer] = {}
    to_cancel = []
    for peer in peers:
        for prompt in ("first", "cancelled", "overflow", "b!", "text" * 50, "late"):
            request_id = new_id()
            peer.send(Generate(prompt), request_id, Header(deadline_ms=1) if prompt == "late" else None)
            owner_of[request_id] = peer
            if prompt == "cancelled":
                to_cancel.append(request_id)
    peers[0].send(Cancel(tuple(to_cancel)), new_id())
    model.run_freely()
    terminals: Counter[bytes] = Counter()
    for peer in peers:
        while any(owner is peer and request_id not in terminals for request_id, owner in owner_of.items()):
            request_id, message = peer.receive()
            assert request_id not in terminals
            if isinstance(message, GenerationResult | ErrorMessage):
                terminals[request_id] += 1
        peer.assert_nothing_more()
    assert terminals == Counter(owner_of.keys())


def test_error_of_the_model_reaches_the_client_with_its_code(peer: RawPeer, model: FakeModel) -> None:
    error = expect_error(peer, begin(peer, "overflow"))
    assert (error.code, error.retryable) == ("context_overflow", False)
    assert (error.message, error.remedy) == ("The prompt has 9 tokens and the context holds 8.", "Shorten it.")
    assert error.details == {"prompt_tokens": 9, "limit": 8, "max_tokens": 1}


def test_defect_of_the_model_is_logged_and_the_server_goes_on(
    peer: RawPeer, model: FakeModel, caplog: pytest.LogCaptureFixture
) -> None:
    model.run_freely()
    error = expect_error(peer, begin(peer, "!", Header(stream="none")))
    assert (error.code, error.message) == ("internal_error", "The server failed on this request.")
    assert "a defect in the model" in caplog.text
    assert expect_result(peer, begin(peer, "a", Header(stream="none"))).text == "a"


def test_stop_ends_running_and_queued_requests_and_rejects_new_ones(
    model: FakeModel, endpoint: str, open_socket: OpenSocket, tmp_path: Path
) -> None:
    with Server(lambda: model, [endpoint]) as server:
        dealer = open_socket(zmq.DEALER, endpoint)
        ids = [new_id(), new_id()]
        for request_id in ids:
            dealer.send_multipart(encode(Generate("abc"), request_id))
            assert isinstance(decode_server_message(dealer.recv_multipart()).message, Accepted)
        server.stop()
        for request_id in ids:
            envelope = decode_server_message(dealer.recv_multipart())
            assert envelope.request_id == request_id
            assert isinstance(envelope.message, ErrorMessage)
            assert (envelope.message.code, envelope.message.retryable) == ("server_stopping", True)
        for question in (Generate("late"), Tokenize("late")):
            dealer.send_multipart(encode(question, new_id()))
            rejected = decode_server_message(dealer.recv_multipart()).message
            assert isinstance(rejected, Rejected)
            assert rejected.code == "server_stopping"
        model.allow()
    assert model.closed.is_set()
    assert list(tmp_path.iterdir()) == []
    assert dealer.poll(50) == 0


# Loading


def test_loading_server_answers_and_queues(model: FakeModel, endpoint: str) -> None:
    may_load = threading.Event()

    def load() -> FakeModel:
        assert may_load.wait(DEADLINE_S)
        return model

    server = Server(load, [endpoint])
    thread = threading.Thread(target=server.run)
    thread.start()
    with Client(endpoint) as client:
        status = client.status()
        assert (status.state, status.model, status.backend) == ("loading", None, None)
        assert client.hello().model is None
        for ask in (client.model_info, lambda: client.tokenize("a"), lambda: client.detokenize([1])):
            with pytest.raises(RemoteError, match="The model is still loading") as caught:
                ask()
            assert caught.value.remote_code == "model_loading"
        model.run_freely()
        results: list[GenerationResult] = []
        asking = threading.Thread(target=lambda: results.append(client.generate_text("early")))
        asking.start()
        while not client.status().queued:
            pass
        may_load.set()
        asking.join(DEADLINE_S)
        assert [result.text for result in results] == ["early"]
        assert client.status().state == "ready"
        server.stop()
    thread.join(DEADLINE_S)
    assert not thread.is_alive()


def test_model_that_cannot_be_loaded_ends_the_server_with_its_error(endpoint: str, tmp_path: Path) -> None:
    def load() -> FakeModel:
        raise ModelNotFoundError("There is no model.", "Get one.")

    with pytest.raises(ModelNotFoundError, match="There is no model"), Server(load, [endpoint]):
        pytest.fail("the server has no model")
    with pytest.raises(ModelNotFoundError, match="There is no model"):
        Server(load, [endpoint]).run()
    assert list(tmp_path.iterdir()) == []


def test_server_is_ready_once_it_has_its_model(model: FakeModel, endpoint: str) -> None:
    server = Server(lambda: model, [endpoint])
    ready: list[str] = []

    def on_ready(loaded: object) -> None:
        assert loaded is model
        ready.extend(server.endpoints)
        server.stop()

    server.run(on_ready)
    assert ready == [endpoint]
