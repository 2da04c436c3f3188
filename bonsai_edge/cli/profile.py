"""`bonsai-edge profile`: what this machine is, what it can run, and how fast, hot and steady it runs it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bonsai_edge.cli.options import LoadingOptions, json_option, loading_options, parse_duration
from bonsai_edge.cli.terminal import echo_json, one_line
from bonsai_edge.errors import InvalidRequestError

if TYPE_CHECKING:
    from bonsai_edge.profiling.comparison import Change
    from bonsai_edge.profiling.profile import Profile
    from bonsai_edge.profiling.progress import Progress
    from bonsai_edge.profiling.wording import Row


_MACHINE_STAGES, _MODEL_STAGES = 6, 18  # about as many; the bar may jump at its end
_OUTLOOK_TITLE = (
    "What it can run: tokens/s as predicted, decoding from an empty and from a full context, and a prompt of 512\n"
    "tokens; and what memory and kernels alone would allow a decoder"
)


@click.command()
@click.option("--model", "-m", metavar="FILE", help="Run this model as well; as for `generate`.")
@click.option(
    "--sustained",
    "sustained_s",
    callback=parse_duration,
    metavar="TIME",
    help="Decode for so long, such as 10m, and compare the last minute with the first; needs --model.",
)
@click.option("--remeasure", is_flag=True, help="Measure anew what was measured within the last day.")
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write a report there.")
@click.option("--llama-bench", "as_table", is_flag=True, help="Print the speeds as llama-bench does; needs --model.")
@click.option(
    "--compare",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="OLD.json",
    help="Tell what changed since the profile that --json printed into this file.",
)
@loading_options
@json_option
def profile(
    model: str | None,
    sustained_s: float | None,
    remeasure: bool,
    html: Path | None,
    as_table: bool,
    compare: Path | None,
    loading: LoadingOptions,
    as_json: bool,
) -> None:
    """Profile this machine: what it is, its memory bandwidth, which Bonsai model it can run, and how fast.

    Speeds are predicted from what steps of the kernels cost here. With --model they are measured too: prompts, decoding
    at depths, first token, loading, memory, energy where there is a sensor. The verdict says whether something
    disturbed that. Without --sustained it takes less than three minutes on a laptop.

    \b
    Example:
      bonsai-edge profile
      bonsai-edge profile --model Bonsai-1.7B-Q1_0.gguf --html report.html
      bonsai-edge profile --model Bonsai-8B-Q1_0.gguf --sustained 10m --json > today.json
      bonsai-edge profile --model Bonsai-8B-Q1_0.gguf --compare today.json
    """
    if model is None and (sustained_s is not None or as_table):
        raise click.UsageError("--sustained and --llama-bench need a --model.")
    if html is not None:
        _require_plots()
    from bonsai_edge.profiling.comparison import compare as compare_profiles
    from bonsai_edge.profiling.profile import read_profile
    from bonsai_edge.profiling.taking import Wishes, take_profile

    old = None if compare is None else read_profile(compare)
    with _bar(_MACHINE_STAGES if model is None else _MODEL_STAGES, sustained_s) as progress:
        taken = take_profile(Wishes(model, dict(loading), sustained_s, remeasure), progress)
    changes = None if old is None else compare_profiles(old, taken)
    if html is not None:
        from bonsai_edge.profiling.html_report import html_report

        html.write_text(html_report(taken), encoding="utf-8")
    if as_json:
        echo_json(taken)
    elif as_table and taken.model is not None:
        from bonsai_edge.profiling.llama_bench_table import llama_bench_table

        click.echo(llama_bench_table(taken.model, taken.provenance.version), nl=False)
    else:
        _print_profile(taken)
    if changes is not None:
        _print_changes(changes, to_standard_error=as_json or as_table)


def _require_plots() -> None:
    """Refuse before minutes are spent on measuring."""
    from importlib.util import find_spec

    if find_spec("matplotlib") is None:
        raise InvalidRequestError(
            "The HTML report needs matplotlib, which is not installed.", "Run: pip install 'bonsai-edge[report]'"
        )


@contextmanager
def _bar(num_stages: int, sustained_s: float | None) -> Iterator[Progress]:
    """Show on a terminal how far it is: drawn between stages only, for a thread that draws would disturb them."""
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    from bonsai_edge.profiling.progress import Progress

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Bars(*columns, console=console, auto_refresh=False, transient=True, disable=not console.is_terminal) as bars:
        stages = bars.add_task("", total=num_stages)
        minutes = bars.add_task("", total=sustained_s, visible=False)

        def begin(stage: str) -> None:
            bars.update(stages, description=stage, advance=1, refresh=True)

        def advance(seconds: float) -> None:
            bars.update(minutes, advance=seconds, visible=True, refresh=True)

        yield Progress(begin, advance)


def _print_profile(taken: Profile) -> None:
    from bonsai_edge.profiling import wording

    _print_facts(wording.facts(taken))
    _print_table("Memory bandwidth", wording.BANDWIDTH_TITLES, wording.bandwidth_rows(taken))
    _print_table(_OUTLOOK_TITLE, wording.OUTLOOK_TITLES, wording.outlook_rows(taken))
    if taken.model is not None:
        click.echo()
        _print_facts(wording.model_facts(taken))
        _print_table("Speed", wording.SPEED_TITLES, wording.speed_rows(taken))
    if taken.sensors_unavailable:
        click.echo()
        _print_facts([("sensor missing", reason) for reason in taken.sensors_unavailable])
    click.echo(f"\n{one_line(str(taken.verdict))}")


def _print_facts(facts: list[tuple[str, str]]) -> None:
    width = max(len(name) for name, _ in facts) + 2
    for name, value in facts:
        click.echo(f"{name:<{width}}{one_line(value)}")


def _print_table(title: str, titles: Row, rows: list[Row]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for index, name in enumerate(titles):
        table.add_column(name, justify="left" if index == 0 else "right")
    for row in rows:
        table.add_row(*(Text(one_line(cell)) for cell in row))
    click.echo(f"\n{title}")
    Console(highlight=False).print(table)


def _print_changes(changes: list[Change], *, to_standard_error: bool) -> None:
    click.echo("\nCompared with the earlier profile", err=to_standard_error)
    for change in changes:
        line = f"{change.ratio:7.2f} x  {change.name}: {change.old:.4g} -> {change.new:.4g}"
        click.echo(one_line(line), err=to_standard_error)
