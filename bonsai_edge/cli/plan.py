"""`bonsai-edge plan`: what a model will need in memory, told without loading it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from bonsai_edge.cli.options import PlanningOptions, json_option, planning_options
from bonsai_edge.cli.terminal import echo_json, one_line

if TYPE_CHECKING:
    from bonsai_edge.runtime import Preparation


@dataclass(frozen=True)
class PlanReport:
    """What `plan` prints; sizes in bytes. `predicted_peak_bytes` is all components but the headroom."""

    model: str
    backend: str
    backend_note: str | None
    threads: int
    context: int
    kv_type: str
    sessions: int
    load: str
    load_reason: str
    components: dict[str, int]
    predicted_peak_bytes: int
    total_bytes: int
    limit: int | None
    limit_source: str | None
    fits: bool
    shortfall: int
    remedy: str | None


@click.command()
@click.argument("model", default="seedling", metavar="[MODEL]")
@planning_options
@json_option
@click.pass_context
def plan(ctx: click.Context, model: str, planning: PlanningOptions, as_json: bool) -> None:
    """Say whether a model fits into memory, and how, without loading it.

    MODEL is a GGUF file, a name from `bonsai-edge models`, or 'seedling'. Context and KV type are chosen as loading
    would choose them, unless they are given. The exit code is 1 if nothing fits.

    \b
    Example:
      bonsai-edge plan Bonsai-8B-Q1_0.gguf
      bonsai-edge plan bonsai-1.7b --memory 800MB --sessions 2 --json
    """
    from bonsai_edge.runtime import prepare

    report = describe(prepare(model, **planning))
    if as_json:
        echo_json(report)
    else:
        _print_report(report)
    if not report.fits:
        ctx.exit(1)


def describe(prepared: Preparation) -> PlanReport:
    """Put a plan into a report."""
    made = prepared.plan
    return PlanReport(
        model=prepared.checkpoint.spec.name,
        backend=prepared.backend.name,
        backend_note=prepared.backend_note,
        threads=prepared.threads,
        context=made.context,
        kv_type=made.kv_type.value,
        sessions=made.sessions,
        load=prepared.load_choice.mode.value,
        load_reason=prepared.load_choice.reason,
        components=made.components,
        predicted_peak_bytes=made.predicted_peak_bytes,
        total_bytes=made.total_bytes,
        limit=made.limit_bytes,
        limit_source=made.limit_source,
        fits=made.fits,
        shortfall=made.shortfall_bytes,
        remedy=made.remedy,
    )


def _print_report(report: PlanReport) -> None:
    from rich.console import Console
    from rich.table import Table

    team = f"{report.threads} thread{'' if report.threads == 1 else 's'}"
    sessions = f" for each of {report.sessions} sessions" if report.sessions > 1 else ""
    if report.backend_note is not None:
        click.echo(one_line(report.backend_note))
    click.echo(one_line(f"{report.model} on {report.backend} with {team}, context {report.context:,} tokens{sessions}"))
    click.echo()
    table = Table(box=None, pad_edge=False)
    table.add_column("memory")
    table.add_column("MiB", justify="right")
    for name, num_bytes in report.components.items():
        if name != "headroom":
            table.add_row(_title(name, report), _mib(num_bytes))
    table.add_row("predicted peak", _mib(report.predicted_peak_bytes))
    table.add_row("headroom", _mib(report.components["headroom"]))
    table.add_row("total", _mib(report.total_bytes))
    if report.limit is not None:
        table.add_row(f"limit ({report.limit_source})", _mib(report.limit))
    Console(highlight=False).print(table)
    click.echo()
    loading = "used where the file is mapped" if report.load == "mmap" else "copied"
    click.echo(one_line(f"Weights are {loading}: {report.load_reason}."))
    if report.fits:
        click.echo("It fits.")
    else:
        click.echo(f"It does not fit: {_mib(report.shortfall)} MiB are missing. {report.remedy}")


def _title(name: str, report: PlanReport) -> str:
    notes = {"weights": "mapped" if report.load == "mmap" else "copied", "kv_cache": report.kv_type}
    title = "KV cache" if name == "kv_cache" else name
    return f"{title} ({notes[name]})" if name in notes else title


def _mib(num_bytes: int) -> str:
    return f"{num_bytes / (1 << 20):,.1f}"
