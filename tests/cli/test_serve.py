from __future__ import annotations

import json
import math
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

import bonsai_edge
from bonsai_edge.cli import main
from bonsai_edge.errors import ContextOverflowError, RemoteError
from bonsai_edge.generation import GenerationResult, Message
from bonsai_edge.rpc.client import Client
from bonsai_edge.rpc.messages import Limits

if TYPE_CHECKING:
    from conftest import FakeModel

DEADLINE_S = 60.0


@pytest.fixture
def endpoint(tmp_path: Path) -> str:
    return f"ipc://{tmp_path}/s"


@pytest.fixture
def serving(endpoint: str) -> Iterator[subprocess.Popen[str]]:
    """A real server process on a socket file and on a free port, after it has said that it is ready."""
    command = [sys.executable, "-m", "bonsai_edge", "serve", "--json", "--backend", "reference"]
    command += ["--bind", endpoint, "--bind", "tcp://127.0.0.1:*"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture(scope="module")
def without_end() -> dict[str, Any]:
    """Options with which the built-in model goes on until its context is full."""
    with bonsai_edge.load("seedling", backend="reference") as model:
        return {"max_tokens": model.context - 8, "logit_bias": dict.fromkeys(model.tokenizer.stop_ids, -math.inf)}


@pytest.fixture
def served_model(fake_model: FakeModel, monkeypatch: pytest.MonkeyPatch) -> FakeModel:
    monkeypatch.setattr(fake_model, "close", fake_model.__exit__, raising=False)
    return fake_model


def ready(process: subprocess.Popen[str]) -> dict[str, object]:
    assert process.stdout is not None
    announcement: dict[str, object] = json.loads(process.stdout.readline())
    return announcement


def stop_when_ready(endpoint: str) -> None:
    with Client(endpoint, timeout_s=DEADLINE_S) as client:
        while client.status().state != "ready":
            pass
    os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_the_server_and_its_running_generation(
    serving: subprocess.Popen[str], endpoint: str, tmp_path: Path, number: signal.Signals, without_end: dict[str, Any]
) -> None:
    announcement = ready(serving)
    assert announcement["pid"] == serving.pid
    assert (announcement["model"], announcement["backend"]) == ("seedling", "reference")
    endpoints = announcement["endpoints"]
    assert isinstance(endpoints, list)
    assert endpoints[0] == endpoint
    assert int(endpoints[1].removeprefix("tcp://127.0.0.1:")) > 0
    with Client(endpoints[1], timeout_s=DEADLINE_S) as client:
        events = client.generate("move", **without_end)
        next(events)
        serving.send_signal(number)
        with pytest.raises(RemoteError, match="The server is stopping") as caught:
            list(events)
        assert caught.value.remote_code == "server_stopping"
    _, said = serving.communicate(timeout=DEADLINE_S)
    assert serving.returncode == 0
    lines = said.splitlines()
    assert lines[:2] == [f"listening on {each}" for each in endpoints]
    assert lines[2].startswith("ready: seedling on reference with 1 thread, context ")
    assert len(lines) == 3
    assert list(tmp_path.iterdir()) == []


def test_real_server_answers_and_cancels(
    serving: subprocess.Popen[str], endpoint: str, cli: CliRunner, without_end: dict[str, Any]
) -> None:
    ready(serving)
    asked = cli.invoke(main, ["ask", "dock now", "--temperature", "0", "--json", "--connect", endpoint])
    generated = cli.invoke(main, ["generate", "dock now", "--temperature", "0", "--json", "--backend", "reference"])
    assert (asked.exit_code, generated.exit_code) == (0, 0)
    assert json.loads(asked.stdout)["token_ids"] == json.loads(generated.stdout)["token_ids"]
    with Client(endpoint, timeout_s=DEADLINE_S) as client:
        events = client.generate("move", **without_end)
        next(events)
        latencies = []
        for _ in range(20):
            asked_at = time.monotonic()
            status = client.status()
            latencies.append(time.monotonic() - asked_at)
            assert status.active == 1
        assert sorted(latencies)[len(latencies) // 2] < 0.05
        events.close()
        while client.status().active:
            pass
        ids = client.tokenize("dock now")
        assert client.detokenize(ids) == "dock now"


def test_server_says_where_it_listens_and_stops_on_a_signal(
    cli: CliRunner, served_model: FakeModel, endpoint: str, tmp_path: Path
) -> None:
    stopping = threading.Thread(target=stop_when_ready, args=(endpoint,))
    stopping.start()
    arguments = ["--model", "m.gguf", "--backend", "cpu", "--threads", "3", "--context", "64"]
    result = cli.invoke(main, ["serve", "--bind", endpoint, *arguments])
    stopping.join()
    assert result.exit_code == 0
    assert result.stdout == ""
    assert result.stderr == f"listening on {endpoint}\nready: fake on fake-backend with 1 thread, context 100 tokens\n"
    assert served_model.loaded_with == {
        "model": "m.gguf",
        "backend": "cpu",
        "require_backend": False,
        "threads": 3,
        "memory": None,
        "context": 64,
        "kv": None,
        "sessions": 1,
        "load_mode": "auto",
        "lock": False,
        "force": False,
        "max_temperature_c": None,
    }
    assert served_model.is_closed
    assert list(tmp_path.iterdir()) == []
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


@pytest.mark.parametrize(
    ("time", "seconds"), [("10m", 600.0), ("2h", 7200.0), ("90s", 90.0), ("90", 90.0), (None, None)]
)
def test_time_until_unloading_reaches_the_server_and_the_choices_of_the_first_load_stay(
    cli: CliRunner, served_model: FakeModel, monkeypatch: pytest.MonkeyPatch, time: str | None, seconds: float | None
) -> None:
    class FakeServer:
        endpoints = ("ipc:///nowhere",)

        def __init__(self, load: Callable[[], FakeModel], endpoints: object, **keywords: object) -> None:
            assert keywords["limits"] == Limits(max_active=8)
            assert keywords["idle_unload_s"] == seconds
            self.load = load

        def stop(self) -> None: ...

        def run(self, on_ready: object, *, signals: object) -> None:
            for context, kv in ((None, None), (100, "f16")):
                self.load()
                assert (served_model.loaded_with["context"], served_model.loaded_with["kv"]) == (context, kv)

    monkeypatch.setattr("bonsai_edge.rpc.server.Server", FakeServer)
    result = cli.invoke(main, ["serve", *([] if time is None else ["--idle-unload", time])])
    assert result.exit_code == 0


@pytest.mark.parametrize("time", ["0", "soon", "-1s", "1.5m", "10 m"])
def test_what_is_no_time_is_wrong_use(cli: CliRunner, time: str) -> None:
    result = cli.invoke(main, ["serve", "--idle-unload", time])
    assert result.exit_code == 2
    assert result.stderr.endswith(
        f"Error: Invalid value for '--idle-unload': '{time}' is not a time. Write it as 10m, 2h, 90s or 90.\n"
    )


def test_default_endpoints_are_a_private_socket_and_loopback(
    cli: CliRunner, served_model: FakeModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", 5571))
        except OSError:
            pytest.skip("the default port is in use on this machine")
    endpoint = f"ipc://{tmp_path}/bonsai-edge/server.sock"
    stopping = threading.Thread(target=stop_when_ready, args=(endpoint,))
    stopping.start()
    result = cli.invoke(main, ["serve"])
    stopping.join()
    assert result.stderr.splitlines()[:2] == [f"listening on {endpoint}", "listening on tcp://127.0.0.1:5571"]


def test_port_in_use_is_one_line_and_no_socket_is_left(
    cli: CliRunner, fake_model: FakeModel, endpoint: str, tmp_path: Path
) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        tcp_endpoint = f"tcp://127.0.0.1:{other.getsockname()[1]}"
        result = cli.invoke(main, ["serve", "--bind", endpoint, "--bind", tcp_endpoint])
    assert result.exit_code == 1
    assert result.stderr == (
        f"Error [endpoint_in_use]: Another process listens on {tcp_endpoint}. "
        "Stop it, or choose another endpoint with --bind.\n"
    )
    assert list(tmp_path.iterdir()) == []
    assert fake_model.loaded_with == {}


@pytest.mark.parametrize(
    ("bad_endpoint", "problem"),
    [
        ("5571", "'5571' is not an endpoint. Use tcp://127.0.0.1:5571 or ipc:///path/to/a.sock."),
        (
            "tcp://*:5571",
            "'tcp://*:5571' can be reached from other machines, and there are no keys. "
            "Give them with --keys (docs/security.md), or use 127.0.0.1 and reach it from elsewhere with "
            "`ssh -L 5571:127.0.0.1:5571 HOST`.",
        ),
    ],
)
def test_bad_endpoint_is_one_line(cli: CliRunner, fake_model: FakeModel, bad_endpoint: str, problem: str) -> None:
    result = cli.invoke(main, ["serve", "--bind", bad_endpoint])
    assert result.exit_code == 1
    assert result.stderr == f"Error [bad_endpoint]: {problem}\n"


def test_pinned_files_are_kept_by_their_names_before_the_server_is_ready(
    cli: CliRunner, served_model: FakeModel, endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pinned: dict[str, object] = {}

    def pin(name: str, prefix: object) -> int:
        pinned[name] = prefix
        return 7

    monkeypatch.setattr(served_model, "pin", pin, raising=False)
    (tmp_path / "system.json").write_text('[{"role": "system", "content": "Grüße"}]', encoding="utf-8")
    (tmp_path / "story.txt").write_text("Once upon a time\n", encoding="utf-8")
    stopping = threading.Thread(target=stop_when_ready, args=(endpoint,))
    stopping.start()
    files = [str(tmp_path / "system.json"), str(tmp_path / "story.txt")]
    result = cli.invoke(main, ["serve", "--bind", endpoint, "--pin", files[0], "--pin", files[1]])
    stopping.join()
    assert pinned == {"system.json": [Message("system", "Grüße")], "story.txt": "Once upon a time\n"}
    said = result.stderr.splitlines()
    assert said[1:3] == ["pinned system.json: 7 tokens", "pinned story.txt: 7 tokens"]
    assert said[3].startswith("ready: ")


def test_pin_that_does_not_fit_ends_the_server_and_closes_the_model(
    cli: CliRunner, served_model: FakeModel, endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pin(name: str, prefix: object) -> int:
        raise ContextOverflowError("The prefix is too long.", "Shorten it.", prompt_tokens=9, limit=8, max_tokens=0)

    monkeypatch.setattr(served_model, "pin", pin, raising=False)
    file = tmp_path / "system.txt"
    file.write_text("a")
    result = cli.invoke(main, ["serve", "--bind", endpoint, "--pin", str(file)])
    assert result.exit_code == 1
    assert result.stderr.splitlines()[1] == "Error [context_overflow]: The prefix is too long. Shorten it."
    assert served_model.is_closed


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("system.json", b'[{"role": "robot", "content": ""}]', "Invalid enum value 'robot' - at `$[0].role`"),
        ("system.txt", b"\xff", "'utf-8' codec can't decode byte 0xff in position 0: invalid start byte"),
    ],
)
def test_file_that_cannot_be_pinned_is_told_before_anything_is_loaded(
    cli: CliRunner, fake_model: FakeModel, tmp_path: Path, name: str, content: bytes, problem: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    result = cli.invoke(main, ["serve", "--pin", str(path)])
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error [invalid_request]: {path} is no prefix to pin: {problem}. Write UTF-8")
    assert fake_model.loaded_with == {}


def test_missing_model_ends_the_server(cli: CliRunner, endpoint: str, tmp_path: Path) -> None:
    result = cli.invoke(main, ["serve", "--bind", endpoint, "--model", str(tmp_path / "none.gguf")])
    assert result.exit_code == 1
    assert result.stderr.splitlines()[1].startswith("Error [model_not_found]: There is no model file at ")
    assert list(tmp_path.iterdir()) == []


def test_json_log_has_the_ids_of_requests_and_sigterm_drains(endpoint: str, without_end: dict[str, Any]) -> None:
    command = [sys.executable, "-m", "bonsai_edge", "serve", "--json", "--backend", "reference", "--bind", endpoint]
    command += ["--log-format", "json", "--drain", "60s"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            ready(process)
            with Client(endpoint, timeout_s=DEADLINE_S) as client:
                events = client.generate("move", **(without_end | {"max_tokens": 10}))
                next(events)
                process.terminate()
                *_, result = events
            _, said = process.communicate(timeout=DEADLINE_S)
        finally:
            process.kill()
    assert process.returncode == 0
    assert isinstance(result, GenerationResult)
    assert (result.finish_reason, result.usage.completion_tokens) == ("length", 10)
    lines = [json.loads(line) for line in said.splitlines()]
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines)
    ended = next(line for line in lines if line["message"] == "Request ended.")
    assert ended["completion_tokens"] == 10
    assert any(
        line.get("request_id") == ended["request_id"] and line["message"] == "Request accepted." for line in lines
    )
