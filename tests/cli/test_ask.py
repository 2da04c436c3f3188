from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from bonsai_edge.cli import main
from bonsai_edge.generation import GenerationOptions, Message
from bonsai_edge.rpc.scheduler import Scheduler
from bonsai_edge.rpc.served_model import ServedModel
from bonsai_edge.rpc.server import Server

if TYPE_CHECKING:
    from conftest import FakeModel


@pytest.fixture
def endpoint(fake_model: FakeModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(fake_model, "close", fake_model.__exit__, raising=False)

    def load() -> ServedModel:
        return fake_model  # type: ignore[return-value]

    with Server(load, [f"ipc://{tmp_path}/s"]) as server:
        yield server.endpoints[0]


def test_text_goes_to_standard_output_and_figures_to_standard_error(
    cli: CliRunner, fake_model: FakeModel, endpoint: str
) -> None:
    result = cli.invoke(main, ["ask", "hello", "--connect", endpoint])
    assert result.exit_code == 0
    assert result.stdout == "Grüße, robot\n"
    assert result.stderr == (
        "[prompt 5 tokens at 10.0/s; answer 2 tokens; stop; fake on fake-backend, loaded in 0.25 s]\n"
    )
    assert fake_model.prompts == [[Message("user", "hello")]]
    assert fake_model.options == [GenerationOptions()]


def test_raw_prompt_and_options_reach_the_model(cli: CliRunner, fake_model: FakeModel, endpoint: str) -> None:
    arguments = "--raw --max-tokens 1 --temperature 0 --seed 9 --stop x --stop y"
    result = cli.invoke(main, ["ask", "hello", "--connect", endpoint, *arguments.split()])
    assert result.exit_code == 0
    assert fake_model.prompts == ["hello"]
    assert fake_model.options == [GenerationOptions(max_tokens=1, temperature=0, seed=9, stop=("x", "y"))]


def test_priority_and_deadline_go_with_the_request(
    cli: CliRunner, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = []

    def note(*arguments: object, **keywords: object) -> None:
        headers.append(arguments[3])

    monkeypatch.setattr(Scheduler, "accept", _calling_first(note, Scheduler.accept))
    arguments = "--priority safety --deadline 2.5"
    assert cli.invoke(main, ["ask", "hello", "--connect", endpoint, *arguments.split()]).exit_code == 0
    (header,) = headers
    assert (header.priority, header.deadline_ms) == ("safety", 2_500)


def _calling_first(first: Callable[..., None], then: Callable[..., None]) -> Callable[..., None]:
    def both(self: object, *arguments: object) -> None:
        first(*arguments)
        then(self, *arguments)

    return both


def test_json_is_one_object_and_nothing_else(cli: CliRunner, endpoint: str) -> None:
    result = cli.invoke(main, ["ask", "hello", "--connect", endpoint, "--json"])
    assert result.stderr == ""
    answer = json.loads(result.stdout)
    assert (answer["text"], answer["token_ids"], answer["finish_reason"]) == ("Grüße, robot", [0, 1], "stop")
    assert answer["timings"]["queue_s"] > 0


def test_error_of_the_server_is_one_line_with_its_code(cli: CliRunner, fake_model: FakeModel, endpoint: str) -> None:
    fake_model.prompt_tokens = 100
    result = cli.invoke(main, ["ask", "hello", "--connect", endpoint])
    assert result.exit_code == 1
    assert result.stderr == "Error [context_overflow]: The prompt has 100 tokens, the context 100. Cut.\n"


def test_missing_server_is_one_line_with_endpoint_and_seconds(
    cli: CliRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bonsai_edge.rpc.client.Client.__init__.__kwdefaults__", {"timeout_s": 0.1})
    result = cli.invoke(main, ["ask", "hello", "--connect", f"ipc://{tmp_path}/none"])
    assert result.exit_code == 1
    assert result.stderr == (
        f"Error [server_unreachable]: No connection to ipc://{tmp_path}/none within 0.1 s; no server listens there. "
        "Start it with `bonsai-edge serve`, or check the endpoint.\n"
    )


def test_bad_endpoint_is_one_line(cli: CliRunner) -> None:
    result = cli.invoke(main, ["ask", "hello", "--connect", "robot:5571"])
    assert result.exit_code == 1
    assert result.stderr.startswith("Error [bad_endpoint]: 'robot:5571' is not an endpoint. ")


def test_missing_prompt_is_wrong_use(cli: CliRunner) -> None:
    assert cli.invoke(main, ["ask"]).exit_code == 2
