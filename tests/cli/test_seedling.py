"""The commands on the model inside the package, with the backend that `auto` takes."""

from __future__ import annotations

import json

from click.testing import CliRunner

from bonsai_edge.cli import main

MOST_BYTES = 4 << 20


def run(cli: CliRunner, *arguments: str) -> str:
    result = cli.invoke(main, arguments)
    assert result.exit_code == 0, result.stderr
    return result.stdout


def test_generate_takes_the_embedded_model_and_the_best_backend_by_itself(cli: CliRunner) -> None:
    answer = json.loads(run(cli, "generate", "pick up the red cube", "--temperature", "0", "--json"))
    assert answer["model"] == "seedling"
    assert answer["backend"] == json.loads(run(cli, "backends", "--json"))["auto"]
    assert answer["text"]
    assert answer["usage"]["prompt_tokens"] > 0
    assert answer["timings"]["load_s"] > 0


def test_streamed_text_is_the_text_of_the_result(cli: CliRunner) -> None:
    arguments = ["generate", "go to the kitchen", "--max-tokens", "16", "--temperature", "1", "--seed", "1"]
    assert run(cli, *arguments) == json.loads(run(cli, *arguments, "--json"))["text"] + "\n"


def test_inspect_shows_one_bit_weights_in_a_small_file(cli: CliRunner) -> None:
    report = json.loads(run(cli, "inspect", "seedling", "--json"))
    assert report["file_bytes"] <= MOST_BYTES
    assert report["bits_per_weight"] < 1.2
    assert [row["type"] for row in report["tensor_types"]] == ["Q1_0", "F32"]
    assert report["chat_template_characters"] > 0


def test_chat_answers_with_it(cli: CliRunner) -> None:
    result = cli.invoke(main, ["chat", "--temperature", "0", "--json"], input="open the gripper\n")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["model"] == "seedling"
