import click
import pytest
from click.testing import CliRunner

from bonsai_edge.cli.options import generation_options, loading_options, model_option, to_generation_options
from bonsai_edge.errors import InvalidRequestError
from bonsai_edge.generation import GenerationOptions
from bonsai_edge.kv_cache import KVType

SAMPLING = {"max_tokens", "on_overflow", "temperature", "top_k", "top_p", "min_p", "repetition_penalty", "seed"}


def parse(arguments: list[str]) -> dict[str, object]:
    @click.command()
    @model_option
    @loading_options
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
    assert all(parsed[name] is None for name in SAMPLING)
    assert parsed["stop"] == ()
    assert parsed["loading"] == {
        "backend": "auto",
        "require_backend": False,
        "threads": None,
        "memory": None,
        "context": None,
        "kv": None,
        "sessions": 1,
        "load_mode": "auto",
        "lock": False,
        "force": False,
        "max_temperature_c": None,
    }


def test_every_kv_type_is_offered() -> None:
    for kv_type in KVType:
        loading = parse(["--kv", kv_type.value])["loading"]
        assert isinstance(loading, dict)
        assert loading["kv"] == kv_type.value


def test_every_generation_option_arrives_in_its_field() -> None:
    numbers = "--max-tokens 7 --temperature 0.5 --top-k 20 --top-p 0.85 --min-p 0.1 --repetition-penalty 1.1 --seed 3"
    parsed = parse([*numbers.split(), "--on-overflow", "truncate_middle", "--stop", "END", "--stop", "\n"])
    sampling = {name: parsed[name] for name in SAMPLING | {"stop"}}
    assert to_generation_options(sampling) == GenerationOptions(
        max_tokens=7,
        on_overflow="truncate_middle",
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
    [
        ["--max-tokens", "0"],
        ["--max-tokens", "1048577"],
        ["--temperature", "-1"],
        ["--temperature", "nan"],
        ["--temperature", "inf"],
        ["--top-k", "-1"],
        ["--top-k", "1048577"],
        ["--top-p", "0"],
        ["--top-p", "nan"],
        ["--min-p", "2"],
        ["--min-p", "nan"],
        ["--repetition-penalty", "nan"],
        ["--seed", "x"],
        ["--seed", "9223372036854775808"],
        ["--on-overflow", "cut"],
        ["--stop", ""],
        ["--stop", "a" * 257],
        ["--stop", "a"] * 17,
        ["--threads", "0"],
        ["--context", "0"],
        ["--memory", "much"],
        ["--memory", "0"],
        ["--kv", "f32"],
        ["--sessions", "0"],
    ],
)
def test_values_out_of_range_are_wrong_use_and_the_option_is_named(arguments: list[str]) -> None:
    @click.command()
    @loading_options
    @generation_options
    def command(**keywords: object) -> None:
        raise AssertionError(keywords)

    result = CliRunner(catch_exceptions=False).invoke(command, arguments)
    assert result.exit_code == 2
    assert f"Error: Invalid value for '{arguments[0]}'" in result.stderr
    assert "$" not in result.stderr


def test_the_largest_values_are_the_apis() -> None:
    parsed = parse(
        ["--max-tokens", "1048576", "--top-k", "1048576", "--seed", "9223372036854775807", *["--stop", "a" * 256] * 16]
    )
    sampling = {name: parsed[name] for name in SAMPLING | {"stop"}}
    options = to_generation_options(sampling)
    assert (options.max_tokens, options.top_k, options.seed) == (1 << 20, 1 << 20, (1 << 63) - 1)
    assert options.stop == ("a" * 256,) * 16


def test_limits_that_only_the_api_knows_are_its_error() -> None:
    with pytest.raises(InvalidRequestError, match="stop"):
        to_generation_options({"stop": ("",)})
