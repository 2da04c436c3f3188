"""`status`, `halt`, `resume`, `cancel` and `top` against a server in this process."""

from __future__ import annotations

import io
import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest
from click.testing import CliRunner
from rich.console import Console

from bonsai_edge.cli import main
from bonsai_edge.cli.server_status import duration, status_lines
from bonsai_edge.cli.top_view import TopView
from bonsai_edge.rpc.client import Client
from bonsai_edge.rpc.messages import ServerStatus, Telemetry, TelemetryReading
from bonsai_edge.rpc.server import Server

if TYPE_CHECKING:
    from conftest import FakeModel

STATUS = ServerStatus(
    state="ready",
    boot_id="beef",
    server_version="0.1",
    uptime_s=42.0,
    model="seedling",
    backend="cpu",
    active=1,
    queued=2,
    steps=1_200,
    seconds_since_step=0.2,
    rss_bytes=150 << 20,
    tokens=1_000,
    engine_silent_s=0.2,
    available_bytes=900 << 20,
)


@pytest.fixture
def endpoint(tmp_path: Path, fake_model: FakeModel, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(fake_model, "close", lambda: None, raising=False)
    with Server(lambda: fake_model, [f"ipc://{tmp_path}/s"]) as server:  # type: ignore[arg-type,return-value]
        yield server.endpoints[0]


def test_halted_server_says_so_until_it_is_resumed(cli: CliRunner, endpoint: str) -> None:
    def run(*arguments: str) -> tuple[int, str]:
        result = cli.invoke(main, [*arguments, "--connect", endpoint])
        return result.exit_code, result.stdout

    code, said = run("status")
    assert (code, said.splitlines()[0]) == (0, "ready")
    assert run("halt", "--reason", "door open") == (0, "halted; 0 requests were cancelled\n")
    code, said = run("status")
    assert (code, said.splitlines()[0]) == (1, "degraded: halted (door open)")
    code, said = run("status", "--json")
    assert (code, json.loads(said)["halt_reason"]) == (1, "door open")
    assert run("resume") == (0, "resumed\n")
    assert run("status")[0] == 0
    assert [json.loads(run(name, "--json")[1]) for name in ("halt", "resume")] == [
        {"halted": True, "cancelled": []},
        {"halted": False},
    ]


def test_reason_that_is_too_long_is_refused(cli: CliRunner, endpoint: str) -> None:
    result = cli.invoke(main, ["halt", "--reason", "x" * 65, "--connect", endpoint])
    assert result.exit_code == 1
    assert result.stderr.startswith("Error [invalid_request]: An argument is not valid: Expected `str` of length <= 64")


@pytest.mark.parametrize("which", ["id", "session", "all"])
def test_cancel_prints_what_was_alive(
    cli: CliRunner, endpoint: str, monkeypatch: pytest.MonkeyPatch, which: str
) -> None:
    request_id = uuid.UUID(int=7)
    asked: list[object] = []

    def cancel(client: Client, *args: object, **keywords: object) -> list[uuid.UUID]:
        asked.append((args, keywords))
        return [request_id]

    monkeypatch.setattr(Client, "cancel_all" if which == "all" else "cancel", cancel)
    selecting = {"id": [str(request_id)], "session": ["--session", "arm"], "all": ["--all"]}[which]
    result = cli.invoke(main, ["cancel", *selecting, "--older-than", "2m", "--connect", endpoint])
    assert (result.exit_code, result.stdout) == (0, f"{request_id}\n")
    older = {"older_than_s": 120.0}
    assert asked == [
        {"id": ((request_id,), older), "session": ((), {"session": "arm", **older}), "all": ((), older)}[which]
    ]


def test_cancel_of_nothing_alive_prints_nothing(cli: CliRunner, endpoint: str) -> None:
    result = cli.invoke(main, ["cancel", str(uuid.UUID(int=7)), "--connect", endpoint])
    assert (result.exit_code, result.stdout) == (0, "")
    result = cli.invoke(main, ["cancel", "--all", "--json", "--connect", endpoint])
    assert json.loads(result.stdout) == {"cancelled": []}


@pytest.mark.parametrize("arguments", [[], ["--all", "--session", "arm"], [str(uuid.UUID(int=7)), "--all"]])
def test_cancel_must_be_told_one_way_which(cli: CliRunner, endpoint: str, arguments: list[str]) -> None:
    result = cli.invoke(main, ["cancel", *arguments, "--connect", endpoint])
    assert result.exit_code == 2
    assert "Say which requests: ids, --session or --all." in result.stderr


def test_status_of_no_server_is_an_error(cli: CliRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bonsai_edge.rpc.client.checked_seconds", lambda *_: 0.05)
    result = cli.invoke(main, ["status", "--connect", f"ipc://{tmp_path}/none"])
    assert result.exit_code == 1
    assert result.stderr.startswith("Error [server_unreachable]: No connection to ipc://")


# Words


def test_status_in_words() -> None:
    assert list(status_lines(STATUS)) == [
        "ready",
        "model    seedling on cpu",
        "work     1 running, 2 waiting",
        "engine   1,000 tokens in 1,200 steps; working, last step 0.2 s ago",
        "memory   150 MiB of the server, 900 MiB available",
        "up for   42 seconds, boot id beef",
    ]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.4, "0 seconds"), (119, "119 seconds"), (180, "3 minutes"), (7_300, "2 hours"), (2e5, "2 days")],
)
def test_times_in_words(seconds: float, words: str) -> None:
    assert duration(seconds) == words


# top


def drawn(view: TopView) -> str:
    output = io.StringIO()
    Console(file=output, width=100).print(view.render())
    return output.getvalue()


def test_view_waits_for_its_first_event() -> None:
    assert "waiting for the first event" in drawn(TopView("ipc:///s"))


def test_view_shows_queue_speed_memory_and_temperature(monkeypatch: pytest.MonkeyPatch) -> None:
    view = TopView("ipc:///s")
    for moment, tokens in ((100.0, 0), (101.0, 30), (102.0, 50)):
        monkeypatch.setattr("time.monotonic", lambda moment=moment: moment)
        view.take(msgspec.structs.replace(STATUS, tokens=tokens))
    readings = (
        TelemetryReading("temperature_c", "[red]cpu", "", 61.25),
        TelemetryReading("power_w", "in", "whole board", 7.5),
        TelemetryReading("energy_j", "counter", "", 99.0),
        TelemetryReading("throttled", "under-voltage", "", 1.0),
        TelemetryReading("throttled", "too hot", "", 0.0),
    )
    view.take(Telemetry("beef", readings))
    picture = drawn(view)
    for words in ("1 running, 2 waiting", "25.0 tokens/s", "150 MiB, 900 MiB available", "[red]cpu", "61.2 °C"):
        assert words in picture
    assert "in (whole board)" in picture
    assert "7.5 W" in picture
    assert "under-voltage" in picture
    assert "too hot" not in picture
    assert "99" not in picture


def test_speed_begins_anew_with_a_new_server(monkeypatch: pytest.MonkeyPatch) -> None:
    view = TopView("ipc:///s")
    monkeypatch.setattr("time.monotonic", lambda: 100.0)
    view.take(msgspec.structs.replace(STATUS, tokens=1_000))
    monkeypatch.setattr("time.monotonic", lambda: 101.0)
    view.take(msgspec.structs.replace(STATUS, tokens=5, boot_id="other"))
    assert view.tokens_per_s() == 0.0


def test_top_prints_events_as_json_until_it_is_interrupted(
    cli: CliRunner, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def events(client: Client) -> Iterator[ServerStatus]:
        yield STATUS
        raise KeyboardInterrupt

    monkeypatch.setattr(Client, "events", events)
    result = cli.invoke(main, ["top", "--json", "--connect", endpoint])
    assert result.exit_code == 130
    assert json.loads(result.stdout)["boot_id"] == "beef"
    result = cli.invoke(main, ["top", "--connect", endpoint])
    assert result.exit_code == 130
    assert "seedling on cpu" in result.stdout
