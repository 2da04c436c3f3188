"""Promises of the server about requests: streams, cancelling, turns, limits and deadlines; seen through raw frames."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from bonsai_edge.errors import BusyError
from bonsai_edge.generation import GenerationOptions, GenerationResult, Message, TextChunk
from bonsai_edge.rpc.client import Client
from bonsai_edge.rpc.messages import (
    Accepted,
    Cancel,
    Cancelling,
    Chat,
    Detokenize,
    Generate,
    Header,
    Limits,
    Text,
    TokenIds,
    Tokenize,
)
from rpc_requests import ask_status, begin, expect_error, expect_rejection, expect_result, new_id

if TYPE_CHECKING:
    from conftest import FakeModel, RawPeer

    Connect = Callable[[], RawPeer]


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


def test_status_is_answered_at_once_while_a_step_runs(peer: RawPeer, model: FakeModel) -> None:
    begin(peer, "abc")
    model.next_started()
    latencies = []
    for _ in range(50):
        asked_at = time.monotonic()
        status = ask_status(peer)
        latencies.append(time.monotonic() - asked_at)
        assert (status.active, status.steps) == (1, 1)
    assert sorted(latencies)[25] < 0.05


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
    while not ask_status(peer).active:
        pass
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
    model.await_prepared(6)
    model.run_freely()
    assert [model.next_started() for _ in range(6)] == ["1", "x", "2", "y", "3", "4"]


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


@pytest.mark.parametrize("limits", [Limits(max_active=1, max_queued=3)])
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
    for _ in range(1 + Limits(max_active=1).max_queued_per_client):
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
