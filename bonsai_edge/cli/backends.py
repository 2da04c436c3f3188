"""`bonsai-edge backends`: what can compute here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bonsai_edge.cli.options import json_option
from bonsai_edge.cli.terminal import echo_json, one_line

if TYPE_CHECKING:
    from bonsai_edge.backend_selection import AutoChoice
    from bonsai_edge.measuring.trial import TrialResult
    from bonsai_edge.plugin_manager import BackendStatus


@click.command()
@click.option("--remeasure", is_flag=True, help="Run the trial between backends anew, where there is one.")
@json_option
def backends(remeasure: bool, as_json: bool) -> None:
    """List every compute backend, whether it can run here and why, and which one 'auto' takes.

    Each was probed, with a test of its kernels, and 'auto' takes the highest score that can run. Where a score is only
    what a backend may be worth, such as that of a weak GPU, a trial of some seconds decides between it and the next
    best; it is remembered for a month. A backend with score 0 is never taken by itself: it is for tests, or has no
    hardware here.

    \b
    Example:
      bonsai-edge backends
      bonsai-edge backends --json
    """
    from bonsai_edge.backend_selection import choose_auto
    from bonsai_edge.plugin_manager import list_backends

    statuses = list_backends()
    auto = choose_auto(statuses, remeasure=remeasure)
    tried = {} if auto.trial is None else {result.backend: result for result in auto.trial.results}
    if as_json:
        records = [_as_record(status, tried.get(status.name)) for status in statuses]
        echo_json({"backends": records, "auto": auto.name, "auto_note": auto.note})
    else:
        _print_table(statuses, auto, tried)


def _as_record(status: BackendStatus, tried: TrialResult | None) -> dict[str, object]:
    availability = status.availability
    return {
        "name": status.name,
        "summary": status.summary,
        "available": availability.available,
        "reason": availability.reason,
        "score": availability.score,
        "needs_trial": availability.needs_trial,
        "details": availability.details,
        "trial": tried,
    }


def _print_table(statuses: list[BackendStatus], auto: AutoChoice, tried: dict[str, TrialResult]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    right = ("score", "decode", "prompt")
    measured = ("decode", "prompt") if tried else ()
    for title in ("backend", "computes with", "score", *measured, "usable", "why"):
        table.add_column(title, justify="right" if title in right else "left")
    for status in statuses:
        usable = "yes, auto" if status.name == auto.name else "yes" if status.availability.available else "no"
        availability = status.availability
        score = f"up to {availability.score}" if availability.needs_trial else str(availability.score)
        speeds = _speeds(tried.get(status.name)) if tried else ()
        cells = (status.name, status.summary, score, *speeds, usable, availability.reason)
        table.add_row(*(Text(one_line(cell)) for cell in cells))
    Console(highlight=False).print(table)
    if auto.name is None:
        click.echo("'auto' finds no backend to take.")
    elif auto.note is not None:
        click.echo(one_line(auto.note))


def _speeds(result: TrialResult | None) -> tuple[str, str]:
    """Return the measured tokens/s as cells of the table."""
    if result is None:
        return "", ""
    if result.decode_tokens_per_s is None or result.prefill_tokens_per_s is None:
        return "failed", "failed"
    return f"{result.decode_tokens_per_s:.0f}/s", f"{result.prefill_tokens_per_s:.0f}/s"
