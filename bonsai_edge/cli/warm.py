"""`bonsai-edge warm`: compile ahead, while an image is built or a robot is set up."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from bonsai_edge.cli.options import backend_option, json_option
from bonsai_edge.cli.terminal import echo_json, one_line

if TYPE_CHECKING:
    from bonsai_edge.backend import WarmReport


@click.command()
@backend_option
@json_option
def warm(backend: str, as_json: bool) -> None:
    """Compile what the first start of a model would have to wait for, for this processor and every model.

    The result lies in the user's cache, or in the directory that BONSAI_EDGE_KERNEL_CACHE names. It may be filled while
    an image is built and be read-only afterwards.

    \b
    Example:
      bonsai-edge warm
      BONSAI_EDGE_KERNEL_CACHE=/opt/bonsai-kernels bonsai-edge warm --backend cpu --json
    """
    from bonsai_edge.backend_selection import select_backend

    started = time.perf_counter()
    chosen = select_backend(backend, require=True).backend  # the probes compile, too
    report = chosen.warm()
    seconds = time.perf_counter() - started
    if as_json:
        echo_json({"backend": chosen.name, "seconds": seconds, **_as_record(report)})
    elif report is None:
        click.echo(f"{chosen.name} has nothing to compile.")
    else:
        _print_report(chosen.name, report, seconds)


def _as_record(report: WarmReport | None) -> dict[str, object]:
    """Return the rest of what `--json` prints: None for a backend that compiles nothing."""
    return {
        "target": report and report.target,
        "folder": report and str(report.folder),
        "compiled": report and report.compiled,
        "bytes": report and report.num_bytes,
    }


def _print_report(backend: str, report: WarmReport, seconds: float) -> None:
    from rich.filesize import decimal

    names = ", ".join(sorted(set(report.compiled)))
    facts = {
        "backend": f"{backend}, for {report.target}",
        "folder": str(report.folder),
        "size": decimal(report.num_bytes),
        "compiled": f"{len(report.compiled)} functions ({names})" if report.compiled else "nothing, all was there",
        "took": f"{seconds:.1f} s",
    }
    for name, value in facts.items():
        click.echo(f"{name:<10}{one_line(value)}")
