"""The control thread: what it answers and orders while everything else stands still."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
import zmq

from bonsai_edge.generation import GenerationOptions, GenerationResult, TextChunk
from bonsai_edge.rpc.codec import decode_server_message, encode
from bonsai_edge.rpc.connection import Connection
from bonsai_edge.rpc.endpoint_roles import control_endpoint
from bonsai_edge.rpc.messages import (
    Accepted,
    Bye,
    Cancel,
    Cancelling,
    ErrorMessage,
    Generate,
    GetMetrics,
    GetStatus,
    Halt,
    Halted,
    Header,
    Hello,
    Ping,
    Pong,
    Rejected,
    Resume,
    ServerStatus,
    Text,
    Tokenize,
    Welcome,
)
from bonsai_edge.rpc.security.receiving import Received
from bonsai_edge.rpc.server import Server
from bonsai_edge.rpc.service import Service
from rpc_requests import DEADLINE_S, ask_status, begin, expect_rejection, expect_result, new_id

if TYPE_CHECKING:
    from conftest import FakeModel, RawPeer

    Connect = Callable[[], RawPeer]
    OpenSocket = Callable[[int, str], zmq.Socket[bytes]]


def ask(peer: RawPeer, message: Hello | Ping | Cancel | Halt | Resume | GetMetrics) -> object:
    request_id = new_id()
    peer.send(message, request_id)
    return peer.expect(request_id)


# Independence


def test_control_answers_while_the_network_thread_is_busy_with_a_message(
    control: RawPeer, connect: Connect, model: FakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer = connect()
    running = begin(peer, "abc", Header(stream="none"))
    model.next_started()
    is_busy, may_go_on = threading.Event(), threading.Event()
    receive = Service.receive

    def receive_slowly(service: Service, received: Received) -> None:
        is_busy.set()
        assert may_go_on.wait(DEADLINE_S)
        receive(service, received)

    monkeypatch.setattr(Service, "receive", receive_slowly)
    connect().send(Tokenize("x" * 1_000_000), new_id())
    assert is_busy.wait(DEADLINE_S)
    status = ask_status(control)
    assert (status.state, status.active, status.live) == ("ready", 1, True)
    assert isinstance(ask(control, Ping((running,))), Pong)
    assert ask(control, Cancel((running,))) == Cancelling((running,))
    model.allow()  # the engine stops before its next step although the network thread knows of nothing yet
    assert ask(control, Halt()) == Halted(True, (running,))
    may_go_on.set()
    assert expect_result(peer, running).finish_reason == "cancelled"


def test_what_is_asked_for_after_a_cancel_was_answered_is_not_cancelled(
    control: RawPeer, connect: Connect, model: FakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer, barge_in = connect(), Header(stream="none", session="arm")
    old, new = begin(peer, "abc", barge_in), new_id()
    model.next_started()
    is_busy, may_go_on = threading.Event(), threading.Event()
    receive = Service.receive

    def receive_slowly(service: Service, received: Received) -> None:
        is_busy.set()
        assert may_go_on.wait(DEADLINE_S)
        receive(service, received)

    monkeypatch.setattr(Service, "receive", receive_slowly)
    peer.send(Generate("new"), new, barge_in)
    assert is_busy.wait(DEADLINE_S)
    assert ask(control, Cancel(session="arm")) == Cancelling((old,))
    may_go_on.set()
    model.run_freely()
    results: dict[bytes, str] = {}
    while len(results) < 2:
        request_id, message = peer.receive()
        if isinstance(message, GenerationResult):
            results[request_id] = message.finish_reason
    assert results == {old: "cancelled", new: "stop"}


def test_peer_that_reads_no_answers_of_control_is_cut_off_and_others_are_served(
    control: RawPeer,
    open_socket: Callable[[int, str], zmq.Socket[bytes]],
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cut, is_cut = Connection.cut, threading.Event()

    def cut_and_tell(connection: Connection) -> None:
        cut(connection)
        is_cut.set()

    monkeypatch.setattr(Connection, "cut", cut_and_tell)
    deaf = open_socket(zmq.DEALER, control_endpoint(server.endpoints[0]))
    frames = encode(GetMetrics(), new_id())  # the longest answer
    give_up_at = time.monotonic() + 3 * DEADLINE_S
    while not is_cut.is_set():
        assert time.monotonic() < give_up_at, "it may send and not read for ever"
        with contextlib.suppress(zmq.Again):
            deaf.send_multipart(frames, zmq.DONTWAIT)
    assert ask_status(control).state == "ready"


def test_control_answers_while_a_step_hangs(control: RawPeer, peer: RawPeer, model: FakeModel) -> None:
    running = begin(peer, "abc")
    model.next_started()
    latencies = []
    for _ in range(50):
        asked_at = time.monotonic()
        assert ask_status(control).active == 1
        latencies.append(time.monotonic() - asked_at)
    assert sorted(latencies)[25] < 0.05
    assert ask(control, Halt("stuck")) == Halted(True, (running,))
    assert ask_status(control).halt_reason == "stuck"


# Halt


def test_halt_ends_all_generations_and_refuses_new_ones_until_resume(
    control: RawPeer, connect: Connect, model: FakeModel
) -> None:
    first, second = connect(), connect()
    running, queued = begin(first, "abc"), begin(second, "def")
    model.allow()
    assert first.expect(running) == TextChunk(0, "a", [97])
    halted = ask(control, Halt("emergency stop"))
    assert isinstance(halted, Halted)
    assert halted.halted
    assert set(halted.cancelled) == {running, queued}
    assert expect_result(second, queued).finish_reason == "cancelled"
    model.allow()
    result = expect_result(first, running)
    assert (result.finish_reason, result.text) == ("cancelled", "a")

    status = ask_status(first)
    assert (status.state, status.live, status.ready) == ("degraded", True, False)
    assert (status.degraded_by, status.halt_reason) == (("halted",), "emergency stop")
    request_id = new_id()
    first.send(Generate("late"), request_id)
    rejected = expect_rejection(first, request_id)
    assert (rejected.code, rejected.retryable) == ("halted", True)

    assert ask(control, Resume()) == Halted(False)
    model.run_freely()
    assert expect_result(first, begin(first, "ok", Header(stream="none"))).text == "ok"
    status = ask_status(control)
    assert (status.state, status.ready, status.degraded_by, status.halt_reason) == ("ready", True, (), None)


def test_halt_and_resume_may_be_repeated_and_come_over_the_work_endpoint(peer: RawPeer) -> None:
    assert [ask(peer, each) for each in (Halt(), Halt(), Resume(), Resume())] == [
        Halted(True),
        Halted(True),
        Halted(False),
        Halted(False),
    ]


def test_request_after_resume_is_not_hit_by_the_halt_before(control: RawPeer, peer: RawPeer, model: FakeModel) -> None:
    model.run_freely()
    for number in range(20):
        ask(control, Halt())
        ask(control, Resume())
        assert expect_result(peer, begin(peer, str(number), Header(stream="none"))).finish_reason == "stop"


def test_server_can_start_halted(model: FakeModel, endpoint: str, open_socket: OpenSocket) -> None:
    with Server(lambda: model, [endpoint], halt_reason="after a restart"):
        dealer = open_socket(zmq.DEALER, endpoint)
        dealer.send_multipart(encode(GetStatus(), new_id()))
        status = decode_server_message(dealer.recv_multipart()).message
        assert isinstance(status, ServerStatus)
        assert (status.halt_reason, status.ready) == ("after a restart", False)
        dealer.send_multipart(encode(Generate("x"), new_id()))
        rejected = decode_server_message(dealer.recv_multipart()).message
        assert isinstance(rejected, Rejected)
        assert rejected.code == "halted"


# Cancel


def test_cancel_of_a_session_spares_all_others(control: RawPeer, connect: Connect, model: FakeModel) -> None:
    one, other = connect(), connect()
    begin(one, "running")
    in_arm = [begin(peer, "arm", Header(session="arm")) for peer in (one, other)]
    in_base = begin(other, "base", Header(session="base", stream="none"))
    without = begin(other, "none", Header(stream="none"))
    cancelling = ask(control, Cancel(session="arm"))
    assert isinstance(cancelling, Cancelling)
    assert set(cancelling.request_ids) == set(in_arm)
    for peer, request_id in zip((one, other), in_arm, strict=True):
        assert expect_result(peer, request_id).finish_reason == "cancelled"
    model.run_freely()
    ended = {}
    while len(ended) < 2:
        request_id, message = other.receive()
        if not isinstance(message, Accepted):
            ended[request_id] = message
    assert ended.keys() == {in_base, without}
    assert ask(control, Cancel(session="arm")) == Cancelling(())


def test_client_cancels_its_own_requests_and_no_others(connect: Connect, model: FakeModel) -> None:
    one, other = connect(), connect()
    mine = begin(one, "abc", Header(stream="none"))
    assert model.next_started() == "abc"
    theirs = begin(other, "def", Header(stream="none"))
    assert ask(one, Cancel(client=True)) == Cancelling((mine,))
    model.run_freely()
    assert expect_result(one, mine).finish_reason == "cancelled"
    assert other.expect(theirs) == Accepted(0)
    assert expect_result(other, theirs).text == "def"


def test_cancel_of_the_connections_requests_belongs_to_the_work_endpoint(control: RawPeer) -> None:
    request_id = new_id()
    control.send(Cancel(client=True), request_id)
    rejected = expect_rejection(control, request_id)
    assert (rejected.code, rejected.remedy) == ("invalid_request", "Send this CANCEL to the work endpoint.")


def test_cancel_of_what_is_older_spares_the_recent(control: RawPeer, peer: RawPeer, model: FakeModel) -> None:
    old = begin(peer, "abc", Header(stream="none"))
    time.sleep(0.1)
    recent = begin(peer, "def", Header(stream="none"))
    assert ask(control, Cancel(all=True, before_ms=60_000)) == Cancelling(())
    assert ask(control, Cancel(all=True, before_ms=100)) == Cancelling((old,))
    model.run_freely()
    assert expect_result(peer, old).finish_reason == "cancelled"
    assert peer.expect(recent) == Accepted(0)
    assert expect_result(peer, recent).finish_reason == "stop"


def test_cancel_that_names_nothing_cancels_nothing(control: RawPeer, peer: RawPeer, model: FakeModel) -> None:
    begin(peer, "abc")
    model.next_started()
    assert ask(control, Cancel()) == Cancelling(())
    assert ask(control, Cancel(before_ms=0)) == Cancelling(())
    assert ask_status(control).active == 1


# Questions


def test_control_answers_questions_and_takes_no_work(control: RawPeer, peer: RawPeer) -> None:
    assert isinstance(ask(control, Hello()), Welcome)
    metrics = ask(control, GetMetrics())
    assert isinstance(metrics, Text)
    assert "bonsai_edge_active 0.0" in metrics.text
    running = begin(peer, "abc")
    unknown = new_id()
    pong = ask(control, Ping((running, unknown)))
    assert isinstance(pong, Pong)
    assert pong.lost == (unknown,)
    request_id = new_id()
    control.send(Generate("x", GenerationOptions()), request_id)
    rejected = expect_rejection(control, request_id)
    assert (rejected.code, rejected.retryable) == ("wrong_endpoint", False)


def test_bye_is_not_answered_and_unknown_features_are_refused(control: RawPeer) -> None:
    control.send(Bye(), new_id())
    request_id = new_id()
    control.send(Hello(), request_id, Header(requires=("teleport",)))
    assert expect_rejection(control, request_id).code == "unsupported_feature"


def test_malformed_message_is_answered_and_the_control_thread_goes_on(control: RawPeer) -> None:
    control.socket.send_multipart([b"nonsense"])
    _, error = control.receive()
    assert isinstance(error, ErrorMessage)
    assert error.code == "protocol_error"
    assert isinstance(ask(control, Hello()), Welcome)


def test_message_that_is_too_long_for_control_ends_its_connection_only(
    control: RawPeer, server: Server, open_socket: OpenSocket
) -> None:
    big = open_socket(zmq.DEALER, control_endpoint(server.endpoints[0]))
    big.send_multipart([*encode(Hello(), new_id()), b"x" * 100_000])
    assert big.poll(50) == 0
    assert isinstance(ask(control, Hello()), Welcome)


def test_req_socket_may_ask_control(server: Server, open_socket: OpenSocket) -> None:
    req = open_socket(zmq.REQ, control_endpoint(server.endpoints[0]))
    req.send_multipart(encode(Halt(), new_id()))
    assert decode_server_message(req.recv_multipart()).message == Halted(True)


def test_defect_in_an_answer_is_told_and_logged(
    control: RawPeer, server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a defect at the desk")

    monkeypatch.setattr(server._desk, "answer", fail)
    error = ask(control, Hello())
    assert isinstance(error, ErrorMessage)
    assert error.code == "internal_error"
    assert "a defect at the desk" in caplog.text


def test_failing_control_thread_ends_the_server_with_its_error(
    model: FakeModel, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server(lambda: model, [endpoint])

    def fail() -> None:
        raise RuntimeError("a defect of the publisher")

    monkeypatch.setattr(server._control._publisher, "tick", fail)
    with pytest.raises(RuntimeError, match="a defect of the publisher"):
        server.run()
