"""Options that several commands share, so that they are spelled, typed and explained alike."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, get_args

import click

from bonsai_edge.generation import DEFAULT_MAX_TOKENS, GenerationOptions, OverflowPolicy

CommandFunction = TypeVar("CommandFunction", bound=Callable[..., Any])

_JSON_ASKED = "bonsai_edge.as_json"

model_option = click.option(
    "--model",
    "-m",
    default="seedling",
    show_default=True,
    metavar="FILE",
    help="A GGUF file, a name from `bonsai-edge models`, or 'seedling', the small model inside this package.",
)
backend_option = click.option(
    "--backend",
    default="auto",
    show_default=True,
    metavar="NAME",
    help="What computes; `bonsai-edge backends` lists them.",
)
threads_option = click.option(
    "--threads",
    "-t",
    type=click.IntRange(1),
    metavar="N",
    help="Threads to compute with.  [default: the big cores that this process may use]",
)
context_option = click.option(
    "--context",
    type=click.IntRange(1),
    metavar="TOKENS",
    help="Room for prompt and answer together.  [default: what memory allows, at most 4096]",
)


def _remember_json(ctx: click.Context, param: click.Parameter, value: bool) -> bool:
    ctx.meta[_JSON_ASKED] = value
    return value


json_option = click.option(
    "--json", "as_json", is_flag=True, callback=_remember_json, help="Print JSON for machines on standard output."
)


def is_json_asked(ctx: click.Context) -> bool:
    """Return whether the command under this context was given `--json`."""
    return bool(ctx.meta.get(_JSON_ASKED, False))


class _NumberRange(click.FloatRange):
    """A range that, unlike click's, leaves out what is not a number."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value} is not in the range {self._describe_range()}.", param, ctx)
        return number


def _check_stops(ctx: click.Context, param: click.Parameter, stops: tuple[str, ...]) -> tuple[str, ...]:
    if len(stops) > _MAX_STOPS:
        raise click.BadParameter(f"{len(stops)} texts are given, at most {_MAX_STOPS} are allowed.")
    for stop in stops:
        if not 1 <= len(stop) <= _MAX_STOP_CHARACTERS:
            raise click.BadParameter(f"A text has {len(stop)} characters, allowed are 1 to {_MAX_STOP_CHARACTERS}.")
    return stops


# The limits are those of GenerationOptions, told here in the words of the command line.
_MAX_COUNT = 1 << 20
_MAX_SEED = (1 << 63) - 1
_MAX_STOPS = 16
_MAX_STOP_CHARACTERS = 256

_GENERATION_OPTIONS = [
    click.option(
        "--max-tokens",
        type=click.IntRange(1, _MAX_COUNT),
        metavar="N",
        help=f"Most tokens of the answer.  [default: what fits, up to {DEFAULT_MAX_TOKENS}]",
    ),
    click.option(
        "--on-overflow",
        type=click.Choice(get_args(OverflowPolicy)),
        metavar="POLICY",
        help="When prompt and answer do not fit into the context: refuse; truncate_middle cuts the longest messages in "
        "their middle; drop_oldest_turns forgets the beginning of a conversation. What was left out is told.  "
        "[default: refuse]",
    ),
    click.option(
        "--temperature",
        type=_NumberRange(0, 10),
        metavar="T",
        help="0 always takes the likeliest token.  [default: the model's]",
    ),
    click.option(
        "--top-k",
        type=click.IntRange(0, _MAX_COUNT),
        metavar="K",
        help="Sample from the K likeliest tokens; 0 from all.",
    ),
    click.option(
        "--top-p",
        type=_NumberRange(0, 1, min_open=True),
        metavar="P",
        help="Sample from the likeliest tokens whose probabilities sum up to P.",
    ),
    click.option(
        "--min-p",
        type=_NumberRange(0, 1),
        metavar="P",
        help="Leave out tokens below this share of the likeliest's probability.",
    ),
    click.option(
        "--repetition-penalty",
        type=_NumberRange(0, 10, min_open=True),
        metavar="R",
        help="Make recent tokens less likely; 1 switches it off.",
    ),
    click.option(
        "--seed",
        type=click.IntRange(0, _MAX_SEED),
        metavar="S",
        help="Same seed, same tokens.  [default: a fresh one each time]",
    ),
    click.option(
        "--stop",
        multiple=True,
        callback=_check_stops,
        metavar="TEXT",
        help="End the answer before this text; may be repeated.",
    ),
]


def generation_options(command: CommandFunction) -> CommandFunction:
    """Add the limits and sampling of an answer; what is not given arrives as None (`stop` as an empty tuple)."""
    for option in reversed(_GENERATION_OPTIONS):
        command = option(command)
    return command


def to_generation_options(keywords: Mapping[str, Any]) -> GenerationOptions:
    """Build the options of a generation from those that were given; raises InvalidRequestError."""
    return GenerationOptions.from_keywords({name: value for name, value in keywords.items() if value is not None})
