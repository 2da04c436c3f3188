from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from bonsai_edge.cli import main
from bonsai_edge.generation import Dropped, GenerationOptions, Message

if TYPE_CHECKING:
    from conftest import FakeModel


def test_text_goes_to_standard_output_and_figures_to_standard_error(cli: CliRunner, fake_model: FakeModel) -> None:
    result = cli.invoke(main, ["generate", "hello"])
    assert result.exit_code == 0
    assert result.stdout == "Grüße, robot\n"
    assert result.stderr == (
        "[prompt 5 tokens at 10.0/s; answer 2 tokens; stop; fake on fake-backend with 1 thread, loaded in 0.25 s]\n"
    )
    assert fake_model.is_closed


def test_figures_tell_how_much_of_the_prompt_was_cached(cli: CliRunner, fake_model: FakeModel) -> None:
    fake_model.cached_tokens = 3
    result = cli.invoke(main, ["generate", "hello"])
    assert result.stderr.startswith("[prompt 5 tokens (3 cached) at 10.0/s; answer 2 tokens")


def test_prompt_is_one_user_message_by_default(cli: CliRunner, fake_model: FakeModel) -> None:
    cli.invoke(main, ["generate", "hello"])
    assert fake_model.prompts == [[Message("user", "hello")]]
    assert fake_model.options == [GenerationOptions()]


def test_raw_prompt_is_the_text_itself(cli: CliRunner, fake_model: FakeModel) -> None:
    cli.invoke(main, ["generate", "--raw", "hello"])
    assert fake_model.prompts == ["hello"]


@pytest.mark.parametrize("arguments", [[], ["-"]])
def test_prompt_comes_from_standard_input_up_to_the_last_line_end(
    cli: CliRunner, fake_model: FakeModel, arguments: list[str]
) -> None:
    result = cli.invoke(main, ["generate", "--raw", *arguments], input="zwei\nZeilen ü\n")
    assert result.exit_code == 0
    assert fake_model.prompts == ["zwei\nZeilen ü"]


def test_missing_prompt_at_a_terminal_is_wrong_use(
    cli: CliRunner, fake_model: FakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bonsai_edge.cli.generate.sys", SimpleNamespace(stdin=SimpleNamespace(isatty=lambda: True)))
    result = cli.invoke(main, ["generate"])
    assert result.exit_code == 2
    assert result.stderr.endswith("Error: A prompt is missing: give PROMPT, or pipe it to standard input.\n")


@pytest.mark.parametrize(("arguments", "typed"), [([""], None), ([], ""), (["-"], "\n")])
def test_empty_prompt_is_wrong_use(
    cli: CliRunner, fake_model: FakeModel, arguments: list[str], typed: str | None
) -> None:
    result = cli.invoke(main, ["generate", *arguments], input=typed)
    assert result.exit_code == 2
    assert result.stderr.endswith("Error: The prompt is empty.\n")


def test_standard_input_that_is_not_utf8_is_refused(cli: CliRunner, fake_model: FakeModel) -> None:
    result = cli.invoke(main, ["generate"], input=b"gr\xfc\xdfe")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error [invalid_request]: The prompt is not valid UTF-8: ")


def test_json_is_one_object_and_nothing_else(cli: CliRunner, fake_model: FakeModel) -> None:
    result = cli.invoke(main, ["generate", "hello", "--json"])
    assert result.stderr == ""
    answer = json.loads(result.stdout)
    assert answer["text"] == "Grüße, robot"
    assert answer["token_ids"] == [0, 1]
    assert answer["finish_reason"] == "stop"
    assert answer["usage"] == {"prompt_tokens": 5, "completion_tokens": 2, "cached_tokens": 0}
    assert answer["timings"].keys() >= {
        "load_s",
        "prefill_s",
        "decode_s",
        "prefill_tokens_per_s",
        "decode_tokens_per_s",
    }
    assert (answer["backend"], answer["model"], answer["seed"]) == ("fake-backend", "fake", 7)


def test_options_reach_the_loader_and_the_model(cli: CliRunner, fake_model: FakeModel) -> None:
    arguments = "--model m.gguf --backend cpu --threads 3 --context 64 --max-tokens 1 --temperature 0 --seed 9"
    memory = "--memory 1.5GiB --kv q8 --sessions 2 --load read --lock --force"
    cli.invoke(main, ["generate", "hello", *arguments.split(), *memory.split()])
    assert fake_model.loaded_with == {
        "model": "m.gguf",
        "backend": "cpu",
        "require_backend": False,
        "threads": 3,
        "memory": 3 << 29,
        "context": 64,
        "kv": "q8",
        "sessions": 2,
        "load_mode": "read",
        "lock": True,
        "force": True,
        "max_temperature_c": None,
    }
    assert fake_model.options == [GenerationOptions(max_tokens=1, temperature=0, seed=9)]


def test_answer_cannot_command_a_terminal(
    cli: CliRunner, fake_model: FakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_model.pieces = ["a\x1b]0;owned\x07\tb\n", "c\r\x9b2J"]
    assert cli.invoke(main, ["generate", "x"]).stdout_bytes == "a\x1b]0;owned\x07\tb\nc\r\x9b2J\n".encode()
    monkeypatch.setattr("bonsai_edge.cli.terminal.sys", SimpleNamespace(stdout=SimpleNamespace(isatty=lambda: True)))
    assert cli.invoke(main, ["generate", "x"]).stdout == "a]0;owned\tb\nc2J\n"


def run_on_file(cli: CliRunner, path: Path, *arguments: str) -> str:
    """Run `generate` on a file that must be refused; return the line of the error."""
    result = cli.invoke(main, ["generate", "hello", "--model", str(path), "--backend", "reference", *arguments])
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    return result.stderr


def test_missing_file(cli: CliRunner, tmp_path: Path) -> None:
    assert run_on_file(cli, tmp_path / "none.gguf") == (
        f"Error [model_not_found]: There is no model file at {tmp_path / 'none.gguf'}. "
        "Check the path, or use the built-in model name 'seedling'.\n"
    )


def test_empty_model_name(cli: CliRunner) -> None:
    result = cli.invoke(main, ["generate", "hello", "--model", ""])
    assert result.exit_code == 1
    assert result.stderr == (
        "Error [model_not_found]: The model name is empty. Give the path of a .gguf file or the name of a model.\n"
    )


def test_directory(cli: CliRunner, tmp_path: Path) -> None:
    assert run_on_file(cli, tmp_path) == (
        f"Error [model_not_found]: {tmp_path} is a directory, not a model file. Give the path of a .gguf file.\n"
    )


def test_truncated_file(cli: CliRunner, random_model: Path, tmp_path: Path) -> None:
    truncated = tmp_path / "short.gguf"
    truncated.write_bytes(random_model.read_bytes()[:-1000])
    error = run_on_file(cli, truncated)
    assert error.startswith(f"Error [malformed_model]: {truncated} is truncated: tensor ")
    assert error.endswith("Download or copy the file again and compare its checksum.\n")


def test_unknown_backend(cli: CliRunner, random_model: Path) -> None:
    error = run_on_file(cli, random_model, "--backend", "abacus")
    assert error.startswith("Error [unknown_backend]: There is no backend 'abacus'; installed are ")


def test_prompt_longer_than_the_context_is_refused_with_both_numbers(cli: CliRunner, random_model: Path) -> None:
    prompt = "a b " * 32
    arguments = ["generate", "--raw", prompt, "--model", str(random_model), "--backend", "reference", "--context", "32"]
    result = cli.invoke(main, arguments)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr == (
        "Error [context_overflow]: The prompt has 128 tokens and the context holds 32, answer included. "
        "Shorten the prompt, load the model with a larger context, or let on_overflow leave something out.\n"
    )


def test_what_was_left_out_of_the_prompt_is_told(cli: CliRunner, fake_model: FakeModel) -> None:
    fake_model.dropped = Dropped(policy="truncate_middle", tokens=3, first_position=2, messages=(0,))
    told = cli.invoke(main, ["generate", "hello", "--on-overflow", "truncate_middle"])
    assert told.stdout == "Grüße, robot\n"
    assert told.stderr.endswith("\ntruncate_middle: 3 of 5 tokens of the prompt were left out, from position 2.\n")
    assert fake_model.options == [GenerationOptions(on_overflow="truncate_middle")]
    as_json = json.loads(cli.invoke(main, ["generate", "hello", "--json"]).stdout)
    assert as_json["dropped"] == {
        "policy": "truncate_middle",
        "tokens": 3,
        "first_position": 2,
        "shifts": 0,
        "turns": 0,
        "messages": [0],
    }


def test_what_an_endless_answer_forgot_is_told(cli: CliRunner, fake_model: FakeModel) -> None:
    fake_model.dropped = Dropped(policy="shift", tokens=128, first_position=32, shifts=4)
    told = cli.invoke(main, ["generate", "hello", "--on-overflow", "shift"])
    assert told.stderr.endswith("\nshift: 128 tokens were forgotten on the way, from position 32, in 4 shifts.\n")


def test_same_seed_same_tokens_on_a_real_file(cli: CliRunner, random_model: Path) -> None:
    arguments = ["generate", "hello", "--model", str(random_model), "--backend", "reference", "--json"]
    sampling = ["--max-tokens", "8", "--temperature", "1", "--seed", "5"]
    first, second = (json.loads(cli.invoke(main, arguments + sampling).stdout) for _ in range(2))
    assert first["token_ids"] == second["token_ids"]
    assert first["usage"]["completion_tokens"] == len(first["token_ids"]) > 0
    assert (first["model"], first["backend"]) == ("random", "reference")
