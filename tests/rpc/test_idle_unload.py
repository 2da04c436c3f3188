"""A server that gives its model's memory back while nobody uses it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import zmq

from bonsai_edge.errors import InsufficientMemoryError, RemoteError
from bonsai_edge.generation import GenerationResult
from bonsai_edge.rpc.client import Client
from bonsai_edge.rpc.codec import decode_server_message, encode
from bonsai_edge.rpc.messages import Generate, Progress
from bonsai_edge.rpc.server import Server

if TYPE_CHECKING:
    from conftest import FakeModel

DEADLINE_S = 10.0
IDLE_S = 0.02


class Loader:
    """Makes a new model at each load, or raises what it was told to."""

    def __init__(self, new_model: Callable[[], FakeModel]) -> None:
        self.models: list[FakeModel] = []
        self.error: Exception | None = None
        self._new_model = new_model

    def __call__(self) -> FakeModel:
        if self.error is not None:
            raise self.error
        model = self._new_model()
        model.run_freely()
        self.models.append(model)
        return model


@pytest.fixture
def loader(model: FakeModel) -> Loader:
    return Loader(type(model))


@pytest.fixture
def idle_server(loader: Loader, endpoint: str) -> Iterator[Server]:
    with Server(loader, [endpoint], idle_unload_s=IDLE_S) as server:
        yield server


@pytest.fixture
def client(idle_server: Server) -> Iterator[Client]:
    with Client(idle_server.endpoints[0], timeout_s=DEADLINE_S) as client:
        yield client


def wait_until_unloaded(client: Client, loader: Loader) -> None:
    assert loader.models[-1].closed.wait(DEADLINE_S)
    while client.status().loaded:
        pass


def test_who_waits_for_the_model_to_be_loaded_again_is_told_so(
    client: Client, loader: Loader, open_socket: Callable[[int, str], zmq.Socket[bytes]], endpoint: str
) -> None:
    wait_until_unloaded(client, loader)
    may_load = threading.Event()
    load = loader._new_model
    loader._new_model = lambda: load() if may_load.wait(DEADLINE_S) else pytest.fail("nobody lets it load")
    dealer = open_socket(zmq.DEALER, endpoint)
    dealer.send_multipart(encode(Generate("abc"), bytes(16)))
    while not isinstance((message := decode_server_message(dealer.recv_multipart()).message), Progress):
        pass
    may_load.set()
    assert message.phase == "loading"
    while not isinstance(decode_server_message(dealer.recv_multipart()).message, GenerationResult):
        pass


def test_model_is_closed_when_idle_and_loaded_again_on_demand(client: Client, loader: Loader) -> None:
    wait_until_unloaded(client, loader)
    assert client.status().state == "ready"
    assert client.generate_text("hello").text == "hello"
    assert len(loader.models) == 2
    wait_until_unloaded(client, loader)
    assert client.generate_text("again").text == "again"
    assert len(loader.models) == 3


def test_texts_and_questions_are_answered_without_the_model(client: Client, loader: Loader) -> None:
    wait_until_unloaded(client, loader)
    assert client.detokenize(client.tokenize("dock")) == "dock"
    assert client.model_info().name == "fake"
    assert len(loader.models) == 1


def test_model_that_cannot_be_loaded_again_fails_the_request_and_not_the_server(client: Client, loader: Loader) -> None:
    wait_until_unloaded(client, loader)
    loader.error = InsufficientMemoryError("Too few bytes.", "Free some.")
    with pytest.raises(RemoteError, match=r"Too few bytes\.") as caught:
        client.generate_text("hello")
    assert caught.value.remote_code == "insufficient_memory"
    loader.error = None
    assert client.generate_text("hello").text == "hello"


def test_defect_in_loading_again_is_logged_and_the_server_goes_on(
    client: Client, loader: Loader, caplog: pytest.LogCaptureFixture
) -> None:
    wait_until_unloaded(client, loader)
    loader.error = ZeroDivisionError("a defect")
    with pytest.raises(RemoteError) as caught:
        client.generate_text("hello")
    assert caught.value.remote_code == "internal_error"
    assert [record.message for record in caplog.records] == ["The model cannot be loaded again."]
    loader.error = None
    assert client.generate_text("hello").text == "hello"


def test_ready_is_said_once(loader: Loader, endpoint: str, tmp_path: Path) -> None:
    ready: list[object] = []
    server = Server(loader, [endpoint], idle_unload_s=IDLE_S)
    thread = threading.Thread(target=server.run, args=(ready.append,))
    thread.start()
    with Client(endpoint, timeout_s=DEADLINE_S) as client:
        while client.status().state != "ready":
            pass
        wait_until_unloaded(client, loader)
        client.generate_text("hello")
        server.stop()
    thread.join(DEADLINE_S)
    assert ready == loader.models[:1]


def test_server_without_a_time_keeps_its_model(model: FakeModel, endpoint: str) -> None:
    model.run_freely()
    with Server(lambda: model, [endpoint]) as server, Client(server.endpoints[0], timeout_s=DEADLINE_S) as client:
        assert not model.closed.wait(5 * IDLE_S)
        assert client.status().loaded
