"""`bonsai-edge backends`: what can compute here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bonsai_edge.cli.options import json_option
from bonsai_edge.cli.terminal import echo_json, one_line

if TYPE_CHECKING:
    from bonsai_edge.plugin_manager import BackendStatus


@click.command()
@json_option
def backends(as_json: bool) -> None:
    """List every compute backend, whether it can run here and why, and which one 'auto' takes.

    Each was probed, with a test of its kernels, and 'auto' takes the highest score that can run. A backend with score 0
    is never taken by itself: it is for tests, or has no hardware here.

    \b
    Example:
      bonsai-edge backends
      bonsai-edge backends --json
    """
    from bonsai_edge.plugin_manager import choose_auto, list_backends

    statuses = list_backends()
    auto = choose_auto(statuses)
    if as_json:
        echo_json({"backends": [_as_record(status) for status in statuses], "auto": auto})
    else:
        _print_table(statuses, auto)


def _as_record(status: BackendStatus) -> dict[str, object]:
    availability = status.availability
    return {
        "name": status.name,
        "summary": status.summary,
        "available": availability.available,
        "reason": availability.reason,
        "score": availability.score,
        "details": availability.details,
    }


def _print_table(statuses: list[BackendStatus], auto: str | None) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for title in ("backend", "computes with", "score", "usable", "why"):
        table.add_column(title, justify="right" if title == "score" else "left")
    for status in statuses:
        usable = "yes, auto" if status.name == auto else "yes" if status.availability.available else "no"
        availability = status.availability
        cells = (status.name, status.summary, str(availability.score), usable, availability.reason)
        table.add_row(*(Text(one_line(cell)) for cell in cells))
    Console(highlight=False).print(table)
    if auto is None:
        click.echo("'auto' finds no backend to take.")
