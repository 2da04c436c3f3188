"""Options that several commands share, so that they are spelled, typed and explained alike."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any, TypedDict, TypeVar, cast, get_args

import click

from bonsai_edge.cpu_list import parse_cpu_list
from bonsai_edge.errors import InvalidRequestError
from bonsai_edge.generation import DEFAULT_MAX_TOKENS, GenerationOptions, OverflowPolicy
from bonsai_edge.memory.size import parse_size
from bonsai_edge.placement import be_nice, stay_on
from bonsai_edge.rpc.endpoints import DEFAULT_TCP_ENDPOINT

CommandFunction = TypeVar("CommandFunction", bound=Callable[..., Any])

_JSON_ASKED = "bonsai_edge.as_json"
_DURATION = re.compile(r"(\d{1,9})([smh]?)")
_UNIT_S = {"": 1, "s": 1, "m": 60, "h": 3600}

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
require_backend_option = click.option(
    "--require-backend",
    is_flag=True,
    help="Fail if this backend cannot run here, for 'auto' the best of this machine; another would take its place.",
)
threads_option = click.option(
    "--threads",
    "-t",
    type=click.IntRange(1),
    metavar="N",
    help="Threads to compute with.  [default: the big cores that this process may use]",
)
connect_option = click.option(
    "--connect",
    "endpoint",
    default=DEFAULT_TCP_ENDPOINT,
    show_default=True,
    metavar="ENDPOINT",
    help="One of the endpoints that `bonsai-edge serve` says it listens on.",
)
session_option = click.option(
    "--session",
    metavar="NAME",
    help="Continue the conversation that is kept under this name, and keep it with what is added.",
)


def keys_option(explanation: str, *, required: bool = False) -> Callable[[CommandFunction], CommandFunction]:
    """Add the directory of the keys; the command gets it as `keys_directory`."""
    return click.option(
        "--keys",
        "keys_directory",
        type=click.Path(file_okay=False, path_type=Path),
        required=required,
        metavar="DIR",
        help=explanation,
    )


client_keys_option = keys_option("The keys of this client and its server, for TCP; `bonsai-edge keys` makes them.")


class PlanningOptions(TypedDict):
    """The keywords of `bonsai_edge.runtime.prepare`, as `planning_options` gives them."""

    backend: str
    require_backend: bool
    threads: int | None
    memory: int | None
    context: int | None
    kv: str | None
    sessions: int
    load_mode: str


class LoadingOptions(PlanningOptions):
    """The keywords of `bonsai_edge.load`, as `loading_options` gives them."""

    lock: bool
    force: bool
    max_temperature_c: float | None


def parse_duration(ctx: click.Context, param: click.Parameter, text: str | None) -> float | None:
    """Return the seconds of a time such as 10m; the callback of an option."""
    if text is None:
        return None
    match = _DURATION.fullmatch(text.strip())
    if match is None or int(match[1]) == 0:
        raise click.BadParameter(f"{text!r} is not a time. Write it as 10m, 2h, 90s or 90.")
    return float(match[1]) * _UNIT_S[match[2]]


def _parse_size(ctx: click.Context, param: click.Parameter, size: str | None) -> int | None:
    try:
        return None if size is None else parse_size(size)
    except InvalidRequestError as exc:
        raise click.BadParameter(str(exc)) from exc


_PLANNING_OPTIONS = [
    backend_option,
    require_backend_option,
    threads_option,
    click.option(
        "--memory",
        callback=_parse_size,
        metavar="SIZE",
        help="What the process may have in all, such as 1.5GiB or 800MB.  [default: what the system lets it have]",
    ),
    click.option(
        "--context",
        type=click.IntRange(1),
        metavar="TOKENS",
        help="Room for prompt and answer together.  [default: what memory allows, at most 4096]",
    ),
    click.option(
        "--kv",
        type=click.Choice(["f16", "q8", "q4"]),
        help="What keys and values are kept as.  [default: the most exact that memory allows]",
    ),
    click.option(
        "--sessions",
        type=click.IntRange(1),
        metavar="N",
        default=1,
        show_default=True,
        help="How many full contexts the KV cache has room for.",
    ),
    click.option(
        "--load",
        "load_mode",
        type=click.Choice(["auto", "mmap", "read"]),
        default="auto",
        show_default=True,
        help="Use the weights where the file is mapped, or copy them; auto copies from what is slow or remote.",
    ),
]


def _choose_cores(ctx: click.Context, param: click.Parameter, text: str | None) -> None:
    """Apply the choice to this process, before anything starts a thread."""
    if text is not None:
        cpus = parse_cpu_list(text)
        if cpus is None:
            raise click.BadParameter(f"{text!r} is no list of cores. Write it as 2-3 or 0,2,4.")
        stay_on(cpus)


def _choose_niceness(ctx: click.Context, param: click.Parameter, niceness: int | None) -> None:
    if niceness is not None:
        be_nice(niceness)


_LOADING_OPTIONS = [
    *_PLANNING_OPTIONS,
    click.option(
        "--cores",
        callback=_choose_cores,
        expose_value=False,
        metavar="LIST",
        help="Run on these logical processors alone, such as 2-3 or 0,2.  [default: all, computing on the big ones]",
    ),
    click.option(
        "--nice",
        type=click.IntRange(-20, 19),
        callback=_choose_niceness,
        expose_value=False,
        metavar="N",
        help="Let others go first: 19 the most, negative for root alone.",
    ),
    click.option("--lock", is_flag=True, help="Lock the weights into memory, so that none has to be read again."),
    click.option("--force", is_flag=True, help="Load it even if memory may run out."),
    click.option(
        "--max-temperature",
        "max_temperature_c",
        type=click.FloatRange(20, 150),
        metavar="C",
        help="Pause between steps as is needed to stay cooler than so many degrees Celsius.",
    ),
]


def planning_options(command: CommandFunction) -> CommandFunction:
    """Add what decides how a model is loaded; the command gets it as `planning`, a `PlanningOptions`."""
    return _gathered(command, "planning", _PLANNING_OPTIONS, PlanningOptions.__annotations__)


def loading_options(command: CommandFunction) -> CommandFunction:
    """Add `planning_options` and what is for loading alone; the command gets it as `loading`, a `LoadingOptions`."""
    return _gathered(command, "loading", _LOADING_OPTIONS, LoadingOptions.__annotations__)


def _gathered(
    command: CommandFunction, parameter: str, options: list[Callable[[Any], Any]], names: Mapping[str, Any]
) -> CommandFunction:
    """Add options whose values arrive together, as one dictionary."""

    @wraps(command)
    def gathering(*args: Any, **keywords: Any) -> Any:
        return command(*args, **{parameter: {name: keywords.pop(name) for name in names}}, **keywords)

    for option in reversed(options):
        option(gathering)
    return cast(CommandFunction, gathering)


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
        "their middle; drop_oldest_turns forgets the beginning of a conversation; shift lets an answer go on and "
        "forgets what came before. What was left out is told.  [default: refuse]",
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
        "--max-time",
        "max_time_s",
        type=_NumberRange(0, 86_400, min_open=True),
        metavar="SECONDS",
        help="End the answer with what there is after so long.",
    ),
    click.option(
        "--max-repeats",
        type=click.IntRange(2, 1_000),
        metavar="N",
        help="End the answer when it has said the same N times in a row.",
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
