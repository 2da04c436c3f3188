from __future__ import annotations

import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import bonsai_edge
from bonsai_edge.errors import EndpointError, InvalidRequestError, RemoteError, RpcError, ServerUnreachableError
from bonsai_edge.generation import GenerationEvent, GenerationResult, Message, TextChunk
from bonsai_edge.rpc.client import Client
from bonsai_edge.rpc.messages import MAX_MESSAGE_BYTES
from bonsai_edge.rpc.server import Server

if TYPE_CHECKING:
    from conftest import FakeModel

DEADLINE_S = 10.0


def wait_until_idle(client: Client) -> None:
    while (status := client.status()).active or status.queued:
        pass


def test_client_is_public() -> None:
    assert bonsai_edge.Client is Client


def test_generate_yields_chunks_and_last_the_result(client: Client, model: FakeModel) -> None:
    model.run_freely()
    *chunks, result = client.generate("abc", max_tokens=2)
    assert chunks == [TextChunk(0, "a", [97]), TextChunk(1, "b", [98])]
    assert isinstance(result, GenerationResult)
    assert (result.text, result.finish_reason) == ("ab", "length")


def test_chat_takes_mappings_and_messages(client: Client, model: FakeModel) -> None:
    model.run_freely()
    for messages in ([{"role": "user", "content": "hi"}], [Message("user", "hi")]):
        assert client.chat_text(messages).text == "hi"
        assert [type(event) for event in client.chat(messages)] == [TextChunk, TextChunk, GenerationResult]


def test_generate_text_gets_the_whole_without_chunks(client: Client, model: FakeModel) -> None:
    model.run_freely()
    assert client.generate_text("abc", seed=5).seed == 5


def test_questions_are_answered(client: Client) -> None:
    assert client.tokenize("hé") == [104, 195, 169]
    assert client.detokenize([104, 195, 169]) == "hé"
    assert client.model_info().name == "fake"
    assert client.status().state == "ready"
    assert client.hello().protocol == "BE/1"


def test_iterator_that_is_closed_early_cancels_its_request(client: Client, model: FakeModel) -> None:
    events = client.generate("abc")
    model.allow()
    assert next(events) == TextChunk(0, "a", [97])
    events.close()
    assert client.status().active == 1  # so the cancellation, which was sent before, has arrived
    model.allow()
    wait_until_idle(client)
    assert client.status().steps == 2


def test_loop_that_is_left_early_cancels_its_request(client: Client, model: FakeModel) -> None:
    model.allow()
    for _ in client.generate("abc"):
        break
    assert client.status().active == 1
    model.allow()
    wait_until_idle(client)
    assert client.status().steps == 2


def test_nothing_is_sent_before_the_first_event_is_asked_for(client: Client, model: FakeModel) -> None:
    events = client.generate("abc")
    assert client.status().active == 0
    events.close()
    wait_until_idle(client)
    assert model.started.empty()


def test_cancel_works_from_another_thread(client: Client, model: FakeModel) -> None:
    request_id = uuid.uuid4()
    results: list[GenerationResult] = []
    speaking = threading.Thread(target=lambda: results.append(client.generate_text("abc", request_id=request_id)))
    speaking.start()
    model.next_started()
    assert client.cancel(request_id)
    model.allow()
    speaking.join(DEADLINE_S)
    assert [result.finish_reason for result in results] == ["cancelled"]
    assert not client.cancel(request_id)


def test_halt_cancel_all_and_resume(client: Client, model: FakeModel) -> None:
    ids = [uuid.uuid4(), uuid.uuid4()]
    results: list[GenerationEvent] = []
    streams = [client.generate("abc", request_id=request_id) for request_id in ids]
    pumps = [threading.Thread(target=results.extend, args=(stream,)) for stream in streams]
    for pump in pumps:
        pump.start()
    while (status := client.status()).active + status.queued < 2:
        pass
    assert client.cancel_all(older_than_s=3600.0) == []
    assert client.cancel(session="nobody") == []
    assert set(client.cancel_all()) == set(ids)
    model.allow()
    for pump in pumps:
        pump.join(DEADLINE_S)
    assert [each.finish_reason for each in results if isinstance(each, GenerationResult)] == ["cancelled"] * 2
    assert client.halt("door open") == []
    with pytest.raises(RemoteError, match="The server is halted") as caught:
        client.generate_text("late")
    assert caught.value.remote_code == "halted"
    client.resume()
    model.run_freely()
    assert client.generate_text("late").text == "late"


def test_client_cancels_all_of_its_own(client: Client, server: Server, model: FakeModel) -> None:
    with Client(server.endpoints[0]) as other:
        results: list[GenerationResult] = []
        theirs = threading.Thread(target=lambda: results.append(other.generate_text("def")))
        mine = client.generate("abc")
        model.allow()
        assert isinstance(next(mine), TextChunk)
        theirs.start()
        while not client.status().queued:
            pass
        assert len(client.cancel(client=True)) == 1
        model.run_freely()
        last = list(mine)[-1]
        assert isinstance(last, GenerationResult)
        theirs.join(DEADLINE_S)
        assert (last.finish_reason, results[0].finish_reason) == ("cancelled", "stop")


def test_cancel_must_be_told_what(client: Client) -> None:
    with pytest.raises(InvalidRequestError, match="No request is named that is to be cancelled"):
        client.cancel()
    with pytest.raises(InvalidRequestError, match="older_than_s is -1"):
        client.cancel_all(older_than_s=-1)


def test_closed_client_gives_no_orders(server: Server) -> None:
    client = Client(server.endpoints[0])
    client.halt()
    client.close()
    with pytest.raises(RpcError, match="The client is closed"):
        client.resume()


def test_streams_of_one_client_may_be_interleaved(client: Client, model: FakeModel) -> None:
    model.run_freely()
    first, second = client.generate("ab"), client.generate("cd")
    texts = [event.text for pair in zip(first, second, strict=True) for event in pair]
    assert texts == ["a", "c", "b", "d", "ab", "cd"]


def test_client_may_be_shared_by_threads(client: Client, model: FakeModel) -> None:
    model.run_freely()
    prompts = [f"prompt {number}" for number in range(8)]
    with ThreadPoolExecutor(8) as threads:
        assert [result.text for result in threads.map(client.generate_text, prompts)] == prompts
        assert list(threads.map(client.tokenize, ["a"] * 50)) == [[97]] * 50


def test_deadline_is_enforced_by_the_server(client: Client) -> None:
    with pytest.raises(RemoteError, match="The deadline passed before the answer was complete") as caught:
        client.generate_text("abc", deadline_s=0.02)
    assert caught.value.remote_code == "deadline_exceeded"


def test_client_may_be_made_before_its_server(model: FakeModel, endpoint: str) -> None:
    with Client(endpoint, timeout_s=DEADLINE_S) as client:
        states: list[str] = []
        asking = threading.Thread(target=lambda: states.append(client.status().state))
        asking.start()
        with Server(lambda: model, [endpoint]):
            asking.join(DEADLINE_S)
        assert states == ["ready"]


def test_missing_server_is_said_with_endpoint_and_seconds(tmp_path: Path) -> None:
    with Client(f"ipc://{tmp_path}/none", timeout_s=0.1) as client:
        asked_at = time.monotonic()
        with pytest.raises(ServerUnreachableError) as caught:
            client.generate_text("abc")
        assert 0.1 <= time.monotonic() - asked_at < 2
        assert str(caught.value) == (
            f"No connection to ipc://{tmp_path}/none within 0.1 s; no server listens there. "
            "Start it with `bonsai-edge serve`, or check the endpoint."
        )
        with pytest.raises(ServerUnreachableError):  # and it does not wedge
            client.status()


def test_request_to_a_missing_server_does_not_reach_one_that_comes_later(model: FakeModel, endpoint: str) -> None:
    with Client(endpoint, timeout_s=0.1) as client:
        with pytest.raises(ServerUnreachableError):
            client.generate_text("stale")
        with Server(lambda: model, [endpoint]), Client(endpoint) as other:
            model.run_freely()
            assert other.generate_text("fresh").text == "fresh"
            assert model.next_started() == "fresh"
            assert model.started.empty()


def test_generation_longer_than_the_timeout_is_awaited(server: Server, model: FakeModel) -> None:
    with Client(server.endpoints[0], timeout_s=0.2) as client:
        results: list[GenerationResult] = []
        asking = threading.Thread(target=lambda: results.append(client.generate_text("a")))
        asking.start()
        model.next_started()
        asking.join(0.5)
        assert asking.is_alive()
        model.allow()
        asking.join(DEADLINE_S)
        assert [result.text for result in results] == ["a"]


def test_restarted_server_is_noticed(model: FakeModel, endpoint: str) -> None:
    with Client(endpoint, timeout_s=DEADLINE_S) as client:
        with Server(lambda: model, [endpoint]) as server:
            boot_id = client.status().boot_id
            events = client.generate("abc")
            model.allow()
            next(events)
            server.stop()
            with pytest.raises(RemoteError, match="The server is stopping") as caught:
                list(events)
            model.run_freely()
        assert caught.value.remote_code == "server_stopping"
        with Server(lambda: model, [endpoint]):
            assert client.status().boot_id != boot_id


def test_closed_client_refuses_and_fails_what_is_under_way(server: Server, model: FakeModel) -> None:
    client = Client(server.endpoints[0])
    errors: list[RpcError] = []

    def ask() -> None:
        with pytest.raises(RpcError) as caught:
            client.generate_text("a" * 1_000)
        errors.append(caught.value)

    asking = threading.Thread(target=ask)
    asking.start()
    model.next_started()
    client.close()
    client.close()
    asking.join(DEADLINE_S)
    assert [str(error) for error in errors] == ["The client is closed. Make a new one."]
    with pytest.raises(RpcError, match="The client is closed"):
        client.status()
    with Client(server.endpoints[0]) as other:
        while other.status().active:
            model.allow()
        assert other.status().steps < 200


@pytest.mark.parametrize("timeout_s", [0, -1, float("nan"), float("inf"), 1e9, "5", None, True])
def test_timeout_is_checked_at_construction(timeout_s: float) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        Client(timeout_s=timeout_s)
    assert str(caught.value) == (
        f"timeout_s is {timeout_s!r}; expected a number of seconds above 0 and up to 86400. Correct it."
    )


def test_endpoint_is_checked_at_construction() -> None:
    with pytest.raises(EndpointError, match="does not stay on this machine"):
        Client("tcp://192.168.1.20:5571")


def test_arguments_are_checked_before_anything_is_sent(tmp_path: Path) -> None:
    with Client(f"ipc://{tmp_path}/none") as client:
        for call, problem in [
            (lambda: client.generate("a", max_tokens=0), r"A generation option is not valid: Expected `int` >= 1"),
            (lambda: client.generate("a", warmth=3), "unknown field `warmth`"),
            (lambda: client.generate(5), r"An argument is not valid: Expected `str`, got `int` - at `\$.prompt`"),
            (lambda: client.chat([]), "An argument is not valid: Expected `array` of length >= 1"),
            (lambda: client.chat([{"role": "robot", "content": ""}]), "Invalid enum value 'robot'"),
            (lambda: client.detokenize([-1]), r"Expected `int` >= 0 - at `\$.token_ids\[0\]`"),
            (lambda: client.generate("a", deadline_s=0), "deadline_s is 0; expected a number of seconds above 0"),
            (lambda: client.generate("\ud800"), r"half a character, U\+D800"),
            (lambda: client.generate("a" * MAX_MESSAGE_BYTES), "at most 4194304 may be sent"),
        ]:
            with pytest.raises(InvalidRequestError, match=problem):
                call()
