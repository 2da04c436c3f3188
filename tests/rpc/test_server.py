"""Promises of the server, seen through raw frames and through the client, with a model that the test controls."""

from __future__ import annotations

import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import zmq

from bonsai_edge.errors import BusyError, ContextOverflowError, InvalidRequestError, ModelNotFoundError, RemoteError
from bonsai_edge.generation import GenerationOptions, GenerationResult, Message, TextChunk
from bonsai_edge.rpc.client import Client
from bonsai_edge.rpc.codec import decode_server_message, encode
from bonsai_edge.rpc.messages import (
    Accepted,
    Bye,
    Cancel,
    Cancelling,
    Chat,
    Detokenize,
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
    Rejected,
    ServerMessage,
    ServerStatus,
    Text,
    TokenIds,
    Tokenize,
    Welcome,
)
from bonsai_edge.rpc.server import Server

if TYPE_CHECKING:
    from conftest import FakeModel, RawPeer

    Connect = Callable[[], RawPeer]
    OpenSocket = Callable[[int, str], zmq.Socket[bytes]]

DEADLINE_S = 10.0


def new_id() -> bytes:
    return uuid.uuid4().bytes


def begin(peer: RawPeer, prompt: str, header: Header | None = None) -> bytes:
    """Send a generation and wait until it is accepted."""
    request_id = new_id()
    peer.send(Generate(prompt), request_id, header)
    assert isinstance(peer.expect(request_id), Accepted)
    return request_id


def ask_status(peer: RawPeer) -> ServerStatus:
    request_id = new_id()
    peer.send(GetStatus(), request_id)
    status = peer.expect(request_id)
    assert isinstance(status, ServerStatus)
    return status


def expect_result(peer: RawPeer, request_id: bytes) -> GenerationResult:
    result = peer.expect(request_id)
    assert isinstance(result, GenerationResult)
    return result


def expect_error(peer: RawPeer, request_id: bytes) -> ErrorMessage:
    error = peer.expect(request_id)
    assert isinstance(error, ErrorMessage)
    return error


def expect_rejection(peer: RawPeer, request_id: bytes) -> Rejected:
    rejected = peer.expect(request_id)
    assert isinstance(rejected, Rejected)
    return rejected


# Streams


def test_generation_is_accepted_streamed_without_gaps_and_ended(peer: RawPeer, model: FakeModel) -> None:
    model.run_freely()
    request_id = new_id()
    peer.send(Generate("abc"), request_id)
    assert peer.expect(request_id) == Accepted(0)
    for index, character in enumerate("abc"):
        assert peer.expect(request_id) == TextChunk(index, character, [ord(character)])
    result = expect_result(peer, request_id)
    assert (result.text, result.finish_reason) == ("abc", "stop")
    peer.assert_nothing_more()


def test_chat_passes_messages_and_options_on(peer: RawPeer, model: FakeModel) -> None:
    model.run_freely()
    request_id = new_id()
    messages = (Message("system", "be brief"), Message("user", "hello"))
    peer.send(Chat(messages, GenerationOptions(max_tokens=2, seed=7)), request_id, Header(stream="none"))
    assert peer.expect(request_id) == Accepted(0)
    result = expect_result(peer, request_id)
    assert (result.text, result.finish_reason, result.seed) == ("he", "length", 7)


def test_result_tells_how_long_the_request_waited(peer: RawPeer, model: FakeModel) -> None:
    first = begin(peer, "a", Header(stream="none"))
    second = begin(peer, "b", Header(stream="none"))
    waiting_since = time.monotonic()
    model.next_started()
    while time.monotonic() - waiting_since < 0.05:
        ask_status(peer)
    model.allow(2)
    assert expect_result(peer, first).timings.queue_s < 0.05
    assert peer.expect(second) == Accepted(0)
    assert expect_result(peer, second).timings.queue_s >= 0.05


# Never blocked


def test_status_is_answered_within_50_ms_while_a_step_runs(peer: RawPeer, model: FakeModel) -> None:
    begin(peer, "abc")
    model.next_started()
    latencies = []
    for _ in range(50):
        asked_at = time.monotonic()
        status = ask_status(peer)
        latencies.append(time.monotonic() - asked_at)
        assert (status.active, status.steps) == (1, 1)
    assert max(latencies) < 0.05


def test_text_requests_are_answered_while_a_step_runs(peer: RawPeer, model: FakeModel) -> None:
    begin(peer, "abc")
    model.next_started()
    for question, answer in [
        (Tokenize("hi"), TokenIds((104, 105))),
        (Detokenize((104, 105)), Text("hi")),
    ]:
        request_id = new_id()
        peer.send(question, request_id)
        assert peer.expect(request_id) == answer


def test_status_shows_a_stuck_engine(peer: RawPeer, model: FakeModel) -> None:
    idle = ask_status(peer)
    assert (idle.state, idle.model, idle.backend) == ("ready", "fake", "none")
    assert (idle.active, idle.queued, idle.steps, idle.seconds_since_step) == (0, 0, 0, None)
    assert idle.rss_bytes > 1_000_000
    begin(peer, "abc")
    begin(peer, "def")
    model.next_started()
    first, second = ask_status(peer), ask_status(peer)
    assert (first.active, first.queued, first.steps) == (second.active, second.queued, second.steps) == (1, 1, 1)
    assert first.seconds_since_step is not None
    assert second.seconds_since_step is not None
    assert second.seconds_since_step > first.seconds_since_step
    assert second.uptime_s > first.uptime_s > idle.uptime_s
    assert second.boot_id == idle.boot_id


# Cancelling


def test_cancel_stops_a_running_generation_before_its_next_token(peer: RawPeer, model: FakeModel) -> None:
    request_id = begin(peer, "abcdef")
    model.allow()
    assert peer.expect(request_id) == TextChunk(0, "a", [97])
    cancel_id = new_id()
    peer.send(Cancel((request_id,)), cancel_id)
    assert peer.expect(cancel_id) == Cancelling((request_id,))
    model.allow()  # the step that is under way ends; its token is not kept
    result = expect_result(peer, request_id)
    assert (result.text, result.finish_reason) == ("a", "cancelled")
    peer.assert_nothing_more()


def test_cancel_ends_a_queued_generation_at_once(peer: RawPeer, model: FakeModel) -> None:
    running = begin(peer, "a")
    queued = begin(peer, "b")
    cancel_id = new_id()
    peer.send(Cancel((queued,)), cancel_id)
    result = expect_result(peer, queued)
    assert (result.text, result.finish_reason, result.usage.completion_tokens) == ("", "cancelled", 0)
    assert (result.model, result.backend) == ("fake", "none")
    assert peer.expect(cancel_id) == Cancelling((queued,))
    model.run_freely()
    assert peer.expect(running) == TextChunk(0, "a", [97])
    assert expect_result(peer, running).finish_reason == "stop"
    assert [model.next_started()] == ["a"]
    assert model.started.empty()


def test_cancel_lists_only_what_was_alive_and_may_be_repeated(peer: RawPeer, model: FakeModel) -> None:
    request_id = begin(peer, "abc", Header(stream="none"))
    model.next_started()
    unknown, cancel_id = new_id(), new_id()
    for _ in range(2):
        peer.send(Cancel((unknown, request_id)), cancel_id)
        assert peer.expect(cancel_id) == Cancelling((request_id,))
    model.allow()
    assert expect_result(peer, request_id).finish_reason == "cancelled"
    peer.send(Cancel((request_id,)), cancel_id)
    assert peer.expect(cancel_id) == Cancelling(())


def test_cancel_may_come_from_another_client(connect: Connect, model: FakeModel) -> None:
    speaker, interrupter = connect(), connect()
    request_id = begin(speaker, "abc")
    cancel_id = new_id()
    interrupter.send(Cancel((request_id,)), cancel_id)
    assert interrupter.expect(cancel_id) == Cancelling((request_id,))
    model.allow()
    assert expect_result(speaker, request_id).finish_reason == "cancelled"


# Turns and limits


def test_two_clients_take_turns(connect: Connect, model: FakeModel) -> None:
    greedy, modest = connect(), connect()
    for prompt in ("1", "2", "3", "4"):
        begin(greedy, prompt)
    for prompt in ("x", "y"):
        begin(modest, prompt)
    model.run_freely()
    assert [model.next_started() for _ in range(6)] == ["1", "2", "x", "3", "y", "4"]


def test_position_counts_what_runs_before_and_start_is_told(connect: Connect, model: FakeModel) -> None:
    first, second = connect(), connect()
    ids = [new_id() for _ in range(4)]
    for place, (peer, request_id) in enumerate([(first, ids[0]), (first, ids[1]), (first, ids[2]), (second, ids[3])]):
        peer.send(Generate(str(place)), request_id, Header(stream="none"))
        assert peer.expect(request_id) == Accepted([0, 1, 2, 2][place])
    model.run_freely()
    expect_result(first, ids[0])
    assert first.expect(ids[1]) == Accepted(0)
    assert second.expect(ids[3]) == Accepted(0)


@pytest.mark.parametrize("limits", [Limits(max_queued=3)])
def test_full_queue_rejects_with_position_and_time(
    connect: Connect, client: Client, model: FakeModel, limits: Limits
) -> None:
    first, second = connect(), connect()
    for peer, prompt in [(first, "a"), (first, "b"), (first, "c"), (second, "d")]:
        begin(peer, prompt)
    assert client.hello().limits == limits
    request_id = new_id()
    second.send(Generate("too much"), request_id)
    rejected = expect_rejection(second, request_id)
    assert (rejected.code, rejected.retryable) == ("busy", True)
    assert (rejected.queue_position, rejected.retry_after_ms) == (4, 1000)
    with pytest.raises(BusyError) as caught:
        client.generate_text("too much")
    assert str(caught.value) == "The server's queue is full. Send the request again in about 1.0 s."
    model.run_freely()
    while client.status().active:
        pass
    assert client.generate_text("now").text == "now"


def test_one_client_cannot_fill_the_queue(peer: RawPeer, connect: Connect) -> None:
    for _ in range(1 + Limits().max_queued_per_client):
        begin(peer, "a")
    request_id = new_id()
    peer.send(Generate("a"), request_id)
    assert expect_rejection(peer, request_id).code == "busy"
    begin(connect(), "b")


def test_request_that_is_sent_twice_runs_once(peer: RawPeer, model: FakeModel) -> None:
    running, queued = begin(peer, "a", Header(stream="none")), begin(peer, "b", Header(stream="none"))
    for request_id in (running, queued):
        peer.send(Generate("again"), request_id)
        assert expect_rejection(peer, request_id).code == "duplicate_request"
    model.run_freely()
    assert expect_result(peer, running).text == "a"
    assert peer.expect(queued) == Accepted(0)
    assert expect_result(peer, queued).text == "b"
    peer.assert_nothing_more()


# Deadlines


def test_deadline_ends_a_running_and_a_queued_generation(peer: RawPeer, model: FakeModel) -> None:
    running, queued = begin(peer, "abc", Header(deadline_ms=60)), begin(peer, "def", Header(deadline_ms=20))
    for request_id in (queued, running):
        error = expect_error(peer, request_id)
        assert (error.code, error.retryable) == ("deadline_exceeded", True)
        assert error.message == "The deadline passed before the answer was complete."
    model.run_freely()
    next_id = begin(peer, "x", Header(stream="none"))
    while not isinstance(peer.expect(next_id), GenerationResult):
        pass
    assert [model.next_started(), model.next_started()] == ["abc", "x"]
    peer.assert_nothing_more()


def test_generation_within_its_deadline_is_left_alone(peer: RawPeer, model: FakeModel) -> None:
    model.run_freely()
    request_id = begin(peer, "a", Header(deadline_ms=60_000, stream="none"))
    assert expect_result(peer, request_id).finish_reason == "stop"


# Clients that leave


def test_client_that_vanished_is_cancelled_by_its_next_chunk(connect: Connect, model: FakeModel) -> None:
    vanishing, staying, observer = connect(), connect(), connect()
    begin(vanishing, "a" * 1_000)
    begin(vanishing, "never")
    request_id = begin(staying, "x", Header(stream="none"))
    vanishing.socket.close()
    while (status := ask_status(observer)).active + status.queued > 1:
        model.allow()  # every chunk is an attempt to reach the client that vanished
    assert status.steps < 1_000
    model.run_freely()
    assert staying.expect(request_id) == Accepted(0)
    assert expect_result(staying, request_id).text == "x"
    assert [model.next_started(), model.next_started()] == ["a" * 1_000, "x"]
    assert model.started.empty()


def test_client_that_vanished_while_queued_is_not_prefilled(connect: Connect, model: FakeModel) -> None:
    staying, vanishing = connect(), connect()
    first = begin(staying, "a", Header(stream="none"))
    begin(vanishing, "never")
    second = begin(staying, "b", Header(stream="none"))
    vanishing.socket.close()
    time.sleep(0.05)  # the system tells the server that the connection is closed
    model.run_freely()
    expect_result(staying, first)
    assert staying.expect(second) == Accepted(0)
    expect_result(staying, second)
    assert [model.next_started(), model.next_started()] == ["a", "b"]
    assert model.started.empty()


def test_bye_cancels_what_the_client_asked_for(connect: Connect, model: FakeModel) -> None:
    leaving, staying = connect(), connect()
    begin(leaving, "abc")
    begin(leaving, "def")
    leaving.send(Bye(), new_id())
    while ask_status(staying).queued:
        pass
    model.allow()
    while ask_status(staying).active:
        pass
    leaving.assert_nothing_more()
    assert model.next_started() == "abc"
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
        for prompt in ("first", "cancelled", "overflow", "b!", "text" * 50):
            owner_of[begin(peer, prompt)] = peer
            if prompt == "cancelled":
                to_cancel.append(list(owner_of)[-1])
        owner_of[begin(peer, "late", Header(deadline_ms=1))] = peer
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


# Questions


def test_hello_is_answered_with_who_the_server_is(peer: RawPeer) -> None:
    request_id = new_id()
    peer.send(Hello("test"), request_id)
    welcome = peer.expect(request_id)
    assert isinstance(welcome, Welcome)
    assert (welcome.protocol, welcome.model, welcome.backend, welcome.context) == ("BE/1", "fake", "none", 1 << 20)
    assert welcome.features == ("cancel", "deadline", "stream")
    assert welcome.limits == Limits(max_message_bytes=4 << 20, max_frames=16, max_queued=64, max_queued_per_client=16)


def test_ping_names_the_requests_that_are_lost(peer: RawPeer, model: FakeModel) -> None:
    running, queued, unknown, ping_id = begin(peer, "a"), begin(peer, "b"), new_id(), new_id()
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
    peer.send(GetStatus(), request_id, Header(requires=("cancel", "deadline", "stream")))
    assert isinstance(peer.expect(request_id), ServerStatus)


def test_context_overflow_is_the_same_exception_as_in_the_python_api(client: Client) -> None:
    with pytest.raises(ContextOverflowError, match="The prompt has 9 tokens and the context holds 8"):
        client.generate_text("overflow")


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
