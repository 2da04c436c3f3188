"""`bonsai-edge bench`: speeds in the manner of llama-bench, against what the memory can deliver."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from bonsai_edge.cli.options import LoadingOptions, json_option, loading_options, model_option
from bonsai_edge.cli.terminal import echo_json, one_line
from bonsai_edge.version import __version__

if TYPE_CHECKING:
    from bonsai_edge.model import Model


@dataclass(frozen=True)
class Row:
    """The speed of one test over all repetitions: `pp512` is a prompt of 512 tokens, `tg128` 128 decoded tokens."""

    test: str
    tokens_per_s_mean: float
    tokens_per_s_stdev: float
    threads: int


@dataclass(frozen=True)
class BenchReport:
    """What `bench` prints; the share is None without a decode test."""

    rows: list[Row]
    model: str
    backend: str
    backend_note: str | None
    threads: int
    repetitions: int
    load_s: float
    weight_bytes_per_token: int
    memory_read_bytes_per_s: float
    bandwidth_share: float | None
    device: str
    version: str


@click.command()
@model_option
@click.option(
    "-p", "--n-prompt", type=click.IntRange(0), metavar="N", default=512, show_default=True, help="Tokens to prefill."
)
@click.option(
    "-n", "--n-gen", type=click.IntRange(0), metavar="N", default=128, show_default=True, help="Tokens to decode."
)
@click.option(
    "-r", "--repetitions", type=click.IntRange(1), metavar="R", default=5, show_default=True, help="Runs of each test."
)
@loading_options
@json_option
def bench(model: str, n_prompt: int, n_gen: int, repetitions: int, loading: LoadingOptions, as_json: bool) -> None:
    """Measure prefill and decode in the manner of llama-bench, and the memory bandwidth that decode reaches.

    Test ppN is one prompt of N random tokens; tgN are N tokens decoded one by one from an empty context. Each runs
    as often as -r says, after a warm-up; 0 tokens skip it. The share of bandwidth is what decode reads of the
    weights, over what the same number of threads can read from memory.

    \b
    Example:
      bonsai-edge bench
      bonsai-edge bench --model Bonsai-1.7B-Q1_0.gguf -p 512 -n 128 -t 4 -r 5 --json
    """
    if n_prompt == n_gen == 0:
        raise click.UsageError("There is nothing to measure: both -p and -n are 0.")
    needed = max(n_prompt, n_gen)
    if loading["context"] is None:
        loading["context"] = needed
    elif loading["context"] < needed:
        raise click.UsageError(f"--context {loading['context']} has no room for {needed} tokens.")
    report = _run(model, n_prompt, n_gen, repetitions, loading)
    if as_json:
        echo_json(report)
    else:
        _print_report(report)


def _run(model: str, n_prompt: int, n_gen: int, repetitions: int, loading: LoadingOptions) -> BenchReport:
    from bonsai_edge.formats.checkpoint import open_checkpoint
    from bonsai_edge.model_store import resolve_model_path
    from bonsai_edge.plugin_manager import device_profile
    from bonsai_edge.profiling.bandwidth import measure_read_bandwidth
    from bonsai_edge.profiling.roofline import bandwidth_share, weight_bytes_per_token
    from bonsai_edge.runtime import load

    with load(model, **loading) as loaded:
        rows = _measure_rows(loaded, n_prompt, n_gen, repetitions)
        name, backend_name, backend_note = loaded.name, loaded.backend_name, loaded.backend_note
        num_threads, load_s = loaded.threads, loaded.load_s
    device = device_profile()
    weight_bytes = weight_bytes_per_token(open_checkpoint(resolve_model_path(model)))
    memory_read_bytes_per_s = measure_read_bandwidth(num_threads, device.available_memory_bytes)
    return BenchReport(
        rows=rows,
        model=name,
        backend=backend_name,
        backend_note=backend_note,
        threads=num_threads,
        repetitions=repetitions,
        load_s=load_s,
        weight_bytes_per_token=weight_bytes,
        memory_read_bytes_per_s=memory_read_bytes_per_s,
        bandwidth_share=bandwidth_share(weight_bytes, rows[-1].tokens_per_s_mean, memory_read_bytes_per_s)
        if n_gen
        else None,
        device=device.name,
        version=__version__,
    )


def _measure_rows(model: Model, n_prompt: int, n_gen: int, repetitions: int) -> list[Row]:
    from rich.console import Console
    from rich.progress import Progress

    from bonsai_edge.profiling.throughput import decode_speeds, prefill_speeds

    tests: dict[str, Iterator[float]] = {}
    if n_prompt:
        tests[f"pp{n_prompt}"] = prefill_speeds(model.engine, n_prompt, repetitions)
    if n_gen:
        tests[f"tg{n_gen}"] = decode_speeds(model.engine, n_gen, repetitions)
    console = Console(stderr=True)
    rows = []
    # The bar is drawn between repetitions only: a thread that redraws it would take time from what is measured.
    with Progress(console=console, auto_refresh=False, transient=True, disable=not console.is_terminal) as progress:
        for name, speeds in tests.items():
            task = progress.add_task(name, total=repetitions)
            progress.refresh()
            measured = []
            for speed in speeds:
                measured.append(speed)
                progress.update(task, advance=1, refresh=True)
            deviation = statistics.stdev(measured) if repetitions > 1 else 0.0
            rows.append(Row(name, statistics.mean(measured), deviation, model.threads))
    return rows


def _print_report(report: BenchReport) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for title in ("model", "backend", "threads", "test", "tokens/s"):
        table.add_column(title, justify="right" if title in ("threads", "tokens/s") else "left")
    for row in report.rows:
        speed = f"{row.tokens_per_s_mean:.2f} ± {row.tokens_per_s_stdev:.2f}"
        table.add_row(Text(one_line(report.model)), report.backend, str(row.threads), row.test, speed)
    Console(highlight=False).print(table)
    click.echo(f"\nMemory is read at {report.memory_read_bytes_per_s / 1e9:.1f} GB/s, measured with the same threads.")
    if report.bandwidth_share is not None:
        click.echo(
            f"Decode reads {report.weight_bytes_per_token / 1e6:,.1f} MB of weights a token and reaches "
            f"{report.bandwidth_share:.1%} of that{_cache_note(report)}."
        )


def _cache_note(report: BenchReport) -> str:
    in_cache = report.bandwidth_share is not None and report.bandwidth_share > 1
    return ": the weights stay in the processor's cache" if in_cache else ""
