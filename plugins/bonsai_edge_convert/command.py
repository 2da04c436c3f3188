"""`bonsai-edge convert`: MLX packs and Hugging Face checkpoints to GGUF Q1_0, and GGUF to MLX packs."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from bonsai_edge.cli.options import json_option
from bonsai_edge.cli.terminal import echo_json, one_line
from bonsai_edge_convert import conversion

_PATH = click.Path(path_type=Path)
_QUANTIZE_WARNING = (
    "Warning: --quantize keeps the sign of each weight and one scale per 128. A model that was not trained for 1 bit "
    "loses most of what it knows by that; expect it to babble."
)


@click.command()
@click.argument("source", metavar="SRC", type=_PATH)
@click.argument("destination", metavar="DST", type=_PATH)
@click.option("--quantize", is_flag=True, help="Round the weights of an ordinary checkpoint to 1 bit; not lossless.")
@click.option("--force", is_flag=True, help="Replace DST if it exists.")
@json_option
def convert(source: Path, destination: Path, quantize: bool, force: bool, as_json: bool) -> None:
    """Convert a model to GGUF Q1_0, or a GGUF Q1_0 file to an MLX pack.

    SRC is the directory of an MLX 1-bit pack or of a Hugging Face Qwen3 checkpoint, and DST then a .gguf file; or SRC
    is a GGUF file, and DST the directory of the MLX pack to be written. Conversions are lossless, or refused.

    \b
    Example:
      bonsai-edge convert Bonsai-1.7B-mlx-1bit Bonsai-1.7B.gguf
      bonsai-edge convert Bonsai-1.7B.gguf Bonsai-1.7B-mlx
      bonsai-edge convert Bonsai-1.7B-unpacked Bonsai-1.7B.gguf
    """
    if quantize:
        click.echo(_QUANTIZE_WARNING, err=True)
    with _progress_bar() as progress:
        report = conversion.convert(source, destination, quantize=quantize, force=force, progress=progress)
    if as_json:
        echo_json(report)
    else:
        _print_report(report)


@contextmanager
def _progress_bar() -> Iterator[conversion.Progress]:
    """Show progress on standard error if that is a terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("converting", total=None)
        yield lambda done_bytes, total_bytes: bar.update(task, completed=done_bytes, total=total_bytes)


def _print_report(report: conversion.ConversionReport) -> None:
    kind = "lossless" if report.lossless else "quantized"
    click.echo(
        one_line(
            f"{report.destination}: {report.conversion}, {report.tensors} tensors, {decimal(report.weight_bytes)} of "
            f"weights, {kind}"
        )
    )
    if report.tensor_errors:
        worst, best = report.tensor_errors[0], report.tensor_errors[-1]
        median = statistics.median(error.relative_error for error in report.tensor_errors)
        click.echo(
            f"relative error of the weights: {best.relative_error:.3f} ({best.name}) to {worst.relative_error:.3f} "
            f"({worst.name}), median {median:.3f}; --json lists all"
        )
