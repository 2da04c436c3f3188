"""Who is computed when, seen by clients: steps together, priorities, preemption, memory."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from bonsai_edge.generation import GenerationResult, TextChunk
from bonsai_edge.rpc.messages import Accepted, Cancel, Cancelling, Generate, Header, Limits, ServerMessage
from bonsai_edge.rpc.server import Server
from rpc_requests import ask_status, begin, expect_error, expect_result, new_id

if TYPE_CHECKING:
    from conftest import FakeModel, RawPeer

    Connect = Callable[[], RawPeer]

QUIET = Header(stream="none")


@pytest.fixture
def limits() -> Limits:
    return Limits(max_active=2)


def drain(peer: RawPeer, *request_ids: bytes) -> list[list[ServerMessage]]:
    """Receive until each of the requests has ended, and return what came of each."""
    found: dict[bytes, list[ServerMessage]] = {request_id: [] for request_id in request_ids}
    while not all(any(isinstance(each, GenerationResult) for each in messages) for messages in found.values()):
        request_id, message = peer.receive()
        found.setdefault(request_id, []).append(message)
    return [found[request_id] for request_id in request_ids]


def await_ready(server: Server, request_id: bytes) -> None:
    """Wait until a request could run, which is a moment after its prompt was prepared."""
    give_up_at = time.monotonic() + 10
    while not any(job.request_id == request_id and job.is_ready for job in server._scheduler.jobs()):
        assert time.monotonic() < give_up_at
        time.sleep(0.001)


def text_of(messages: list[ServerMessage]) -> str:
    return "".join(each.text for each in messages if isinstance(each, TextChunk))


def test_requests_are_computed_together(peer: RawPeer, model: FakeModel) -> None:
    ids = [begin(peer, "ab"), begin(peer, "cd")]
    model.await_prepared(2)
    model.run_freely()
    first, second = drain(peer, *ids)
    assert [each.text for each in first] == ["a", "b", "ab"]
    assert [each.text for each in second] == ["c", "d", "cd"]
    assert ["ab", "cd"] in model.steps


def test_no_more_than_the_limit_are_computed_together(peer: RawPeer, model: FakeModel) -> None:
    ids = [begin(peer, prompt, QUIET) for prompt in ("ab", "cd", "ef")]
    model.await_prepared(3)
    status = ask_status(peer)
    assert status.active + status.queued == 3
    model.run_freely()
    assert [messages[-1].text for messages in drain(peer, *ids)] == ["ab", "cd", "ef"]
    assert max(map(len, model.steps)) == 2


def test_the_more_urgent_is_next(peer: RawPeer, model: FakeModel) -> None:
    for prompt in ("1", "2"):
        begin(peer, prompt, QUIET)
    model.await_prepared(2)
    assert {model.next_started()} <= {"1", "2"}
    begin(peer, "later", QUIET)
    begin(peer, "background", Header(stream="none", priority="background"))
    begin(peer, "sooner", Header(stream="none", priority="interactive"))
    model.await_prepared(3)
    model.run_freely()
    order = [model.next_started() for _ in range(4)]
    assert [each for each in order if len(each) > 1] == ["sooner", "later", "background"]


def test_safety_takes_a_place_and_runs_alone_and_its_victim_loses_nothing(
    peer: RawPeer, model: FakeModel, server: Server
) -> None:
    victim = begin(peer, "abcdef")
    other = begin(peer, "uvwxyz", Header(stream="none", priority="interactive"))
    model.await_prepared(2)
    model.allow(2)
    while (arrived := peer.receive())[1] == Accepted(0):
        pass
    assert arrived == (victim, TextChunk(0, "a", [97]))
    urgent = new_id()
    peer.send(Generate("stop"), urgent, Header(stream="none", priority="safety"))
    await_ready(server, urgent)
    model.run_freely()
    of_urgent, of_victim, of_other = drain(peer, urgent, victim, other)
    assert of_urgent[-1].text == "stop"
    assert "a" + text_of(of_victim) == of_victim[-1].text == "abcdef"
    assert Accepted(0) in of_victim, "it is told that it goes on"
    assert of_other[-1].text == "uvwxyz"
    first = next(index for index, step in enumerate(model.steps) if "stop" in step)
    assert model.steps[first : first + 4] == [["stop"]] * 4, "nobody shares a step with it"
    assert first <= 3, "at most the step under way comes before it"


def test_safety_does_not_wait_for_the_prompts_of_others_to_be_tokenized(peer: RawPeer, model: FakeModel) -> None:
    begin_at_once, may_go_on = model.begin, threading.Event()

    def begin_long_ones_slowly(prompt: str, *others: Any) -> Any:
        assert not prompt.startswith("long") or may_go_on.wait(10)
        return begin_at_once(prompt, *others)

    model.begin = begin_long_ones_slowly  # type: ignore[method-assign]
    model.run_freely()
    for number in range(8):
        begin(peer, f"long {number}", QUIET)
    urgent = new_id()
    peer.send(Generate("stop"), urgent, Header(stream="none", priority="safety"))
    try:
        (of_urgent,) = drain(peer, urgent)
        assert of_urgent[-1].text == "stop"
    finally:
        may_go_on.set()


def test_a_suspended_request_that_is_cancelled_returns_its_text(peer: RawPeer, model: FakeModel) -> None:
    victim = begin(peer, "abc")
    begin(peer, "xyz", Header(stream="none", priority="interactive"))
    model.await_prepared(2)
    model.allow()
    assert peer.expect(victim) == TextChunk(0, "a", [97])
    urgent, cancel_id = new_id(), new_id()
    peer.send(Generate("stop"), urgent, Header(stream="none", priority="safety"))
    model.await_prepared(1)
    model.allow(2)
    while "stop" not in model.steps[-1]:
        pass
    peer.send(Cancel((victim,)), cancel_id)
    while peer.receive() != (cancel_id, Cancelling((victim,))):
        pass
    model.run_freely()
    (of_victim,) = drain(peer, victim)
    assert of_victim[-1].finish_reason == "cancelled"
    assert of_victim[-1].text.startswith("a")
    assert model.steps[-1] != ["abc"], "nothing is computed for it any more"


def test_a_request_waits_for_memory_that_another_has(peer: RawPeer, model: FakeModel) -> None:
    model.most_open = 1
    first, second = begin(peer, "ab", QUIET), begin(peer, "cd", QUIET)
    model.await_prepared(2)
    model.run_freely()
    assert [messages[-1].text for messages in drain(peer, first, second)] == ["ab", "cd"]
    assert max(map(len, model.steps)) == 1


def test_memory_is_taken_from_the_less_urgent(peer: RawPeer, model: FakeModel) -> None:
    model.most_open = 1
    patient = begin(peer, "abcd", QUIET)
    assert model.next_started() == "abcd"
    urgent = begin(peer, "xy", Header(stream="none", priority="interactive"))
    model.await_prepared(2)
    model.run_freely()
    assert expect_result(peer, urgent).text == "xy"
    assert peer.expect(patient) == Accepted(0)
    assert expect_result(peer, patient).text == "abcd"


def test_a_request_that_never_gets_memory_fails(peer: RawPeer, model: FakeModel) -> None:
    model.most_open = 0
    error = expect_error(peer, begin(peer, "a"))
    assert (error.code, error.retryable) == ("kv_cache_full", True)
