"""An engine that hangs is given up, by the server and by `bonsai-edge serve`, which starts anew."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import zmq

from bonsai_edge.cli.restarting import new_arguments
from bonsai_edge.errors import EngineHungError, RemoteError
from bonsai_edge.rpc.client import Client
from bonsai_edge.rpc.codec import decode_server_message, encode
from bonsai_edge.rpc.endpoint_roles import control_endpoint
from bonsai_edge.rpc.messages import Accepted, ErrorMessage, Generate, Halt, Progress
from bonsai_edge.rpc.request_control import EngineSnapshot
from bonsai_edge.rpc.server import Server
from bonsai_edge.rpc.watchdog import EngineHung, Watchdog
from rpc_requests import DEADLINE_S, new_id

if TYPE_CHECKING:
    from conftest import FakeModel

    OpenSocket = Callable[[int, str], zmq.Socket[bytes]]

WATCHDOG_S = 0.2
HANGING_SERVER = Path(__file__).parents[1] / "support" / "hanging_server.py"


@pytest.mark.parametrize("halt", [False, True])
def test_requests_of_a_hung_engine_are_ended_and_the_server_says_so(
    model: FakeModel, endpoint: str, open_socket: OpenSocket, tmp_path: Path, halt: bool
) -> None:
    server = Server(lambda: model, [endpoint], watchdog_s=3.0 if halt else WATCHDOG_S)  # the halt must come before it
    errors: list[EngineHungError] = []

    def run() -> None:
        try:
            server.run()
        except EngineHungError as exc:
            errors.append(exc)

    thread = threading.Thread(target=run)
    thread.start()
    dealer = open_socket(zmq.DEALER, endpoint)
    ids = {new_id(), new_id()}
    is_hanging = False
    for request_id in ids:
        dealer.send_multipart(encode(Generate("abc"), request_id))
        assert isinstance(decode_server_message(dealer.recv_multipart()).message, Accepted)
        if halt and not is_hanging:
            is_hanging = model.is_waiting.wait(DEADLINE_S)  # so that the other one is queued
    if halt:
        open_socket(zmq.DEALER, control_endpoint(endpoint)).send_multipart(encode(Halt("stuck"), new_id()))
    ended = {}
    while len(ended) < 2:
        envelope = decode_server_message(dealer.recv_multipart())
        if not isinstance(envelope.message, Progress | Accepted):
            ended[envelope.request_id] = envelope.message
    assert ended.keys() == ids
    codes = [message.code for message in ended.values() if isinstance(message, ErrorMessage)]
    assert codes == ["engine_restarted"] * (1 if halt else 2)  # a halt ends what is queued at once
    thread.join(DEADLINE_S)
    assert not thread.is_alive()
    assert [error.halt_reason for error in errors] == ["stuck" if halt else None]
    assert errors[0].cause.startswith("The engine had work and did not move for ")
    assert list(tmp_path.iterdir()) == []
    model.run_freely()


def test_prompt_that_takes_long_to_tokenize_is_no_hanging_engine(model: FakeModel, endpoint: str) -> None:
    begin, is_held, may_go_on = model.begin, threading.Event(), threading.Event()

    def begin_slowly(*arguments: Any) -> Any:
        is_held.set()
        assert may_go_on.wait(DEADLINE_S)
        return begin(*arguments)

    model.begin = begin_slowly  # type: ignore[method-assign]
    model.run_freely()
    with Server(lambda: model, [endpoint], watchdog_s=WATCHDOG_S), Client(endpoint, timeout_s=DEADLINE_S) as client:
        results: list[str] = []
        asking = threading.Thread(target=lambda: results.append(client.generate_text("long").text))
        asking.start()
        assert is_held.wait(DEADLINE_S)
        began_at = client.status().uptime_s
        while (status := client.status()).uptime_s < began_at + 3 * WATCHDOG_S:
            assert status.live
        may_go_on.set()
        asking.join(DEADLINE_S)
        assert results == ["long"]


def test_with_statement_raises_what_happened_to_the_engine(model: FakeModel, endpoint: str) -> None:
    def ask() -> None:
        with Server(lambda: model, [endpoint], watchdog_s=WATCHDOG_S), Client(endpoint) as client:
            with pytest.raises(RemoteError, match="The engine hung and is restarted") as caught:
                client.generate_text("abc")
            assert caught.value.remote_code == "engine_restarted"

    with pytest.raises(EngineHungError):
        ask()
    model.run_freely()


def test_engine_that_is_slow_but_moves_is_left_alone(model: FakeModel, endpoint: str) -> None:
    with Server(lambda: model, [endpoint], watchdog_s=1.0), Client(endpoint) as client:
        chunks = []
        model.allow()
        for chunk in client.generate("abc" * 4):
            chunks.append(chunk)
            threading.Event().wait(0.15)
            model.allow()
        assert len(chunks) == 13


def test_slow_loading_and_idleness_are_no_hanging(model: FakeModel, endpoint: str) -> None:
    may_load = threading.Event()

    def load() -> FakeModel:
        assert may_load.wait(DEADLINE_S)
        return model

    model.run_freely()
    server = Server(load, [endpoint], watchdog_s=WATCHDOG_S)
    thread = threading.Thread(target=server.run)
    thread.start()
    with Client(endpoint, timeout_s=DEADLINE_S) as client:
        results: list[str] = []
        asking = threading.Thread(target=lambda: results.append(client.generate_text("early").text))
        asking.start()
        while client.status().uptime_s < 2 * WATCHDOG_S:
            pass
        may_load.set()
        asking.join(DEADLINE_S)
        idle_since = client.status().uptime_s
        while client.status().uptime_s < idle_since + 2 * WATCHDOG_S:
            pass
        assert results == ["early"]
        assert client.generate_text("late").text == "late"
        server.stop()
    thread.join(DEADLINE_S)


class FakeControl:
    """As much of a RequestControl as the watchdog looks at."""

    def __init__(self) -> None:
        self.silent_since: float | None = 0.0

    def snapshot(self) -> EngineSnapshot:
        return EngineSnapshot(1, 0, 0, None, self.silent_since)


def test_watchdog_barks_once() -> None:
    barks: list[EngineHung] = []
    watchdog = Watchdog(FakeControl(), 1e-6, barks.append)  # type: ignore[arg-type]
    assert [watchdog.tick(), watchdog.tick()] == [False, False]
    assert len(barks) == 1
    assert barks[0].silent_s > 0


def test_watchdog_that_is_off_or_has_no_work_to_watch_is_quiet() -> None:
    barks: list[EngineHung] = []
    control = FakeControl()
    assert not Watchdog(control, None, barks.append).tick(), "the service manager is not told that all is well"  # type: ignore[arg-type]
    control.silent_since = None
    assert Watchdog(control, 1e-6, barks.append).tick()  # type: ignore[arg-type]
    assert barks == []


# The command


@pytest.mark.parametrize(
    ("arguments", "halted", "expected"),
    [
        (["python", "be", "serve"], False, ["python", "be", "serve"]),
        (["python", "be", "serve"], True, ["python", "be", "serve", "--halted"]),
        (["python", "be", "serve", "--halted", "--json"], True, ["python", "be", "serve", "--json", "--halted"]),
        (["python", "be", "serve", "--halted"], False, ["python", "be", "serve"]),
    ],
)
def test_new_process_is_halted_as_the_old_one_was(arguments: list[str], halted: bool, expected: list[str]) -> None:
    assert new_arguments(arguments, halted=halted) == expected


@pytest.mark.parametrize("halt", [False, True])
def test_serve_starts_anew_when_its_engine_hangs(endpoint: str, tmp_path: Path, halt: bool) -> None:
    marker = tmp_path / "has-hung"
    command = [sys.executable, str(HANGING_SERVER), str(marker), endpoint]
    path = os.pathsep.join(sys.path)
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path}
    ) as process:
        try:
            assert process.stdout is not None
            first = json.loads(process.stdout.readline())
            assert first["pid"] == process.pid
            with Client(endpoint, timeout_s=60.0) as client:
                events = client.generate("move", max_tokens=50)
                next(events)
                while not marker.exists():
                    time.sleep(0.01)
                if halt:
                    assert len(client.halt("unsafe")) == 1
                with pytest.raises(RemoteError) as caught:
                    list(events)
                assert caught.value.remote_code == "engine_restarted"
                second = json.loads(process.stdout.readline())
                assert second["pid"] == process.pid
                assert second["boot_id"] != first["boot_id"]
                status = client.status()
                assert status.boot_id == second["boot_id"]
                assert status.ready is not halt
                if halt:
                    client.resume()
                assert client.generate_text("go", max_tokens=2).usage.completion_tokens > 0
            process.terminate()
            _, said = process.communicate(timeout=60)
            assert process.returncode == 0
            assert "starting anew" in said
        finally:
            process.kill()
