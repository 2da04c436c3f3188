"""`bonsai-edge kernels`: builds the libraries of the mobile backend."""

from __future__ import annotations

import os
from pathlib import Path

import click

from bonsai_edge.cli.options import json_option
from bonsai_edge.cli.terminal import echo_json
from bonsai_edge.errors import InvalidRequestError
from bonsai_edge_mobile.building import build_library
from bonsai_edge_mobile.library import this_target
from bonsai_edge_mobile.targets import TARGETS, Target


@click.group()
def kernels() -> None:
    """Compile the kernels of the CPU ahead of time, for the backend `mobile`.

    \b
    Example:
      bonsai-edge kernels build
      bonsai-edge kernels build --target linux-arm64 --out kernels --json
    """


@kernels.command()
@click.option(
    "--target",
    "names",
    multiple=True,
    type=click.Choice([*TARGETS, "all"]),
    help="The machine to compile for; may be repeated.  [default: the kind of this one]",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(__file__).with_name("lib"),
    help="The folder for the libraries.  [default: inside this installation, where the backend finds them]",
)
@click.option(
    "--jobs",
    type=click.IntRange(1),
    default=os.cpu_count(),
    metavar="N",
    help="Compilers at a time.  [default: a core each]",
)
@json_option
def build(names: tuple[str, ...], out: Path, jobs: int, as_json: bool) -> None:
    """Compile a library for each target; takes some minutes of processor time for each."""
    libraries = {target.name: build_library(target, out, jobs) for target in _chosen(names)}
    if as_json:
        echo_json({name: {"path": str(path), "bytes": path.stat().st_size} for name, path in libraries.items()})
    else:
        for path in libraries.values():
            click.echo(path)


def _chosen(names: tuple[str, ...]) -> list[Target]:
    if "all" in names:
        return list(TARGETS.values())
    if names:
        return [TARGETS[name] for name in names]
    target = this_target()
    if target is None:
        raise InvalidRequestError(
            "There is no target for this kind of machine.", f"Choose one with --target: {', '.join(TARGETS)}."
        )
    return [target]
