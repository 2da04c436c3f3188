import click
import pytest
from click.testing import CliRunner

from bonsai_edge.cli.options import (
    backend_option,
    context_option,
    generation_options,
    model_option,
    threads_option,
    to_generation_options,
)
from bonsai_edge.errors import InvalidRequestError
from bonsai_edge.generation import GenerationOptions

SAMPLING = {"max_tokens", "temperature", "top_k", "top_p", "min_p", "repetition_penalty", "seed"}


def parse(arguments: list[str]) -> dict[str, object]:
    @click.command()
    @model_option
    @backend_option
    @threads_option
    @context_option
    @generation_options
    def command(**keywords: object) -> None:
        parsed.update(keywords)

    parsed: dict[str, object] = {}
    result = CliRunner(catch_exceptions=False).invoke(command, arguments)
    assert result.exit_code == 0, result.stderr
    return parsed


def test_defaults_leave_the_choice_to_the_model() -> None:
    parsed = parse([])
    assert parsed["model"] == "seedling"
    assert parsed["backend"] == "auto"
    assert all(parsed[name] is None for name in SAMPLING | {"threads", "context"})
    assert parsed["stop"] == ()


def test_every_generation_option_arrives_in_its_field() -> None:
    numbers = "--max-tokens 7 --temperature 0.5 --top-k 20 --top-p 0.85 --min-p 0.1 --repetition-penalty 1.1 --seed 3"
    parsed = parse([*numbers.split(), "--stop", "END", "--stop", "\n"])
    sampling = {name: parsed[name] for name in SAMPLING | {"stop"}}
    assert to_generation_options(sampling) == GenerationOptions(
        max_tokens=7,
        temperature=0.5,
        top_k=20,
        top_p=0.85,
        min_p=0.1,
        repetition_penalty=1.1,
        seed=3,
        stop=("END", "\n"),
    )


def test_what_was_not_given_takes_the_api_default() -> None:
    assert to_generation_options(dict.fromkeys(SAMPLING) | {"stop": ()}) == GenerationOptions()


@pytest.mark.parametrize(
    "arguments",
    ["--max-tokens 0", "--temperature -1", "--top-k -1", "--top-p 0", "--min-p 2", "--seed x", "-t 0", "--context 0"],
)
def test_values_out_of_range_are_wrong_use(arguments: str) -> None:
    @click.command()
    @threads_option
    @context_option
    @generation_options
    def command(**keywords: object) -> None:
        raise AssertionError(keywords)

    result = CliRunner(catch_exceptions=False).invoke(command, arguments.split())
    assert result.exit_code == 2
    assert arguments.split()[0] in result.stderr


def test_limits_that_only_the_api_knows_are_its_error() -> None:
    with pytest.raises(InvalidRequestError, match="stop"):
        to_generation_options({"stop": ("",)})
