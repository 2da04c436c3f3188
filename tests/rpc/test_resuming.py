"""Answers outlive connections: they are sent again, taken over, or cancelled when nobody comes back."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
import zmq

from bonsai_edge.generation import GenerationResult, TextChunk
from bonsai_edge.rpc.codec import decode_server_message, encode
from bonsai_edge.rpc.messages import Accepted, Bye, Credit, Generate, Header, Ping, Pong, Progress
from bonsai_edge.rpc.scheduler import _PROGRESS_INTERVAL_S
from bonsai_edge.rpc.server import Server
from rpc_requests import ask_status, begin, expect_rejection, expect_result, new_id

if TYPE_CHECKING:
    from conftest import FakeModel, RawPeer

    Connect = Callable[[], RawPeer]


def text_chunk(index: int, text: str) -> TextChunk:
    return TextChunk(index, text, list(text.encode()))


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline


def test_an_answer_that_has_ended_is_sent_again_and_not_made_again(connect: Connect, model: FakeModel) -> None:
    model.run_freely()
    first, second = connect(), connect()
    request_id = begin(first, "abc")
    sent = [first.expect(request_id) for _ in range(4)]
    second.send(Generate("abc"), request_id)
    assert [second.expect(request_id) for _ in range(5)] == [Accepted(0), *sent]
    assert [model.next_started()] == ["abc"]
    assert model.started.empty()


def test_the_rest_of_an_answer_goes_to_whoever_takes_it_over(connect: Connect, model: FakeModel) -> None:
    first, second = connect(), connect()
    request_id = begin(first, "abc")
    model.allow()
    assert first.expect(request_id) == text_chunk(0, "a")
    second.send(Generate("abc"), request_id, Header(resume_from=0))
    assert [second.expect(request_id) for _ in range(2)] == [Accepted(0), text_chunk(0, "a")]
    model.run_freely()
    assert [second.expect(request_id) for _ in range(2)] == [text_chunk(1, "b"), text_chunk(2, "c")]
    assert expect_result(second, request_id).text == "abc"
    first.assert_nothing_more()


def test_only_what_was_missed_is_sent_again(connect: Connect, model: FakeModel) -> None:
    model.run_freely()
    first, second = connect(), connect()
    request_id = begin(first, "abc")
    for _ in range(4):
        first.expect(request_id)
    second.send(Generate("abc"), request_id, Header(resume_from=2))
    assert [second.expect(request_id) for _ in range(2)] == [Accepted(0), text_chunk(2, "c")]
    assert expect_result(second, request_id).text == "abc"


def test_resuming_what_nobody_knows_runs_nothing(peer: RawPeer, model: FakeModel) -> None:
    request_id = new_id()
    peer.send(Generate("abc"), request_id, Header(resume_from=0))
    rejected = expect_rejection(peer, request_id)
    assert (rejected.code, rejected.retryable) == ("unknown_request", True)
    assert model.started.empty()


def test_the_work_of_a_vanished_client_is_cancelled_and_can_be_fetched(
    open_socket: Callable[[int, str], zmq.Socket[bytes]], server, connect: Connect, model: FakeModel
) -> None:
    vanishing = connect()
    request_id = begin(vanishing, "abcdef")
    model.allow()
    assert vanishing.expect(request_id) == text_chunk(0, "a")
    vanishing.socket.close()
    witness = connect()
    model.allow(4)
    model.run_freely()
    wait_until(lambda: ask_status(witness).active == 0)
    witness.send(Generate("abcdef"), request_id)
    messages = [witness.expect(request_id)]
    while not isinstance(messages[-1], GenerationResult):
        messages.append(witness.expect(request_id))
    assert "".join(each.text for each in messages[1:-1]) == messages[-1].text


def test_a_client_that_does_not_come_back_is_given_up_while_its_request_waits(
    connect: Connect, model: FakeModel
) -> None:
    staying, vanishing = connect(), connect()
    begin(staying, "abc")
    assert model.next_started() == "abc"
    begin(vanishing, "never")
    assert ask_status(staying).queued == 1
    vanishing.socket.close()
    vanished_at = time.monotonic()
    wait_until(lambda: ask_status(staying).queued == 0)
    assert time.monotonic() - vanished_at < 2 + 3, "within two heartbeats, on a machine that is busy"
    model.run_freely()
    assert model.started.empty()


def test_loss_of_a_req_socket_is_noticed_though_nothing_is_sent_to_it(
    open_socket: Callable[[int, str], zmq.Socket[bytes]], server: Server, peer: RawPeer, model: FakeModel
) -> None:
    begin(peer, "abc")
    assert model.next_started() == "abc"
    lost = open_socket(zmq.REQ, server.endpoints[0])
    lost.send_multipart(encode(Generate("never"), new_id()))
    wait_until(lambda: ask_status(peer).queued == 1)
    lost.close()
    vanished_at = time.monotonic()
    wait_until(lambda: ask_status(peer).queued == 0)
    assert time.monotonic() - vanished_at < 2 + 3, "within two heartbeats, on a machine that is busy"
    model.run_freely()
    assert model.started.empty()


def test_detached_work_goes_on(connect: Connect, model: FakeModel) -> None:
    vanishing = connect()
    request_id = begin(vanishing, "abc", Header(detached=True))
    vanishing.send(Bye(), new_id())
    vanishing.socket.close()
    model.run_freely()
    witness = connect()
    wait_until(lambda: model.steps[-1:] == [["abc"]] and ask_status(witness).active == 0)
    witness.send(Generate("abc"), request_id)
    while not isinstance((message := witness.expect(request_id)), GenerationResult):
        pass
    assert (message.text, message.finish_reason) == ("abc", "stop")


def test_a_client_learns_that_its_new_connection_is_sent_nothing_yet(connect: Connect) -> None:
    old, new = connect(), connect()
    request_id, ping_id = begin(old, "abc"), new_id()
    for peer, expected in [(old, ()), (new, (request_id,))]:
        peer.send(Ping((request_id,)), ping_id)
        pong = peer.expect(ping_id)
        assert isinstance(pong, Pong)
        assert pong.lost == expected


def test_chunks_wait_for_credit(peer: RawPeer, model: FakeModel) -> None:
    model.run_freely()
    request_id = begin(peer, "abcdef", Header(credit=1))
    assert peer.expect(request_id) == text_chunk(0, "a")
    assert peer.expect(request_id) == text_chunk(1, "bcdef"), "the last chunk needs none"
    assert expect_result(peer, request_id).text == "abcdef"


def test_credit_lets_gathered_text_go(peer: RawPeer, model: FakeModel) -> None:
    request_id = begin(peer, "abcd", Header(credit=0))
    model.allow(2)
    wait_until(lambda: len(model.steps) == 2 and model.started.qsize() == 1)
    peer.send(Credit(request_id, 1), new_id())
    gathered = peer.expect(request_id)
    assert isinstance(gathered, TextChunk)
    assert gathered.text in ("a", "ab")
    model.run_freely()
    rest = peer.expect(request_id)
    assert isinstance(rest, TextChunk)
    assert gathered.text + rest.text == "abcd"


@pytest.mark.parametrize(("prompt", "phase"), [("abc", "decode"), ("waits", "queued")])
def test_progress_is_told_more_than_twice_a_second(peer: RawPeer, model: FakeModel, prompt: str, phase: str) -> None:
    ids = {"abc": begin(peer, "abc")}
    assert model.next_started() == "abc"
    ids["waits"] = begin(peer, "waits")
    began_at = time.monotonic()
    found: list[Progress] = []
    while len(found) < 2:
        envelope = decode_server_message(peer.socket.recv_multipart())
        if envelope.request_id == ids[prompt] and isinstance(envelope.message, Progress):
            found.append(envelope.message)
    assert time.monotonic() - began_at >= 0.7
    assert _PROGRESS_INTERVAL_S < 0.5
    assert {each.phase for each in found} == {phase}
    if phase == "queued":
        assert found[0].queue_position == 1
