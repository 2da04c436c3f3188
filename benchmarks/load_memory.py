"""Measures how long a large model takes to load and how much memory that allocates, each time in a fresh process.

    python benchmarks/load_memory.py [--model FILE.gguf] [--context 64] [--json]

The file is read once before, so that it is cached; the first load, which may compile kernels, is reported apart.
Weights are mapped from the file: they count as resident but not as anonymous memory, which is what a process keeps
for itself. Linux only: reads /proc/self/status.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import bonsai_edge
from process_memory import status_bytes
from random_bonsai import cached_random_bonsai

_MIB = 1 << 20
_READ_BYTES = 16 * _MIB


@dataclass(frozen=True)
class LoadFigures:
    """One load, the imports that it causes included, and one generated token.

    Anonymous memory is counted from before the load, KV cache included as far as it was touched; the peak is that of
    the whole process, resident weights included.
    """

    load_s: float
    anonymous_after_load_bytes: int
    anonymous_after_token_bytes: int
    peak_resident_after_load_bytes: int
    peak_resident_after_token_bytes: int
    kv_cache_bytes: int


@dataclass(frozen=True)
class Report:
    """What is printed."""

    model: str
    model_bytes: int
    backend: str
    context: int
    first: LoadFigures
    median: LoadFigures
    repetitions: int


def measure_in_this_process(path: Path, backend: str, context: int) -> LoadFigures:
    """Load the model and generate one token; only right in a process that has done nothing else."""
    before = status_bytes("RssAnon")
    started = time.perf_counter()
    with bonsai_edge.load(path, backend=backend, context=context) as model:
        load_s = time.perf_counter() - started
        anonymous_after_load, peak_after_load = status_bytes("RssAnon"), status_bytes("VmHWM")
        model.generate_text("Hello", max_tokens=1, temperature=0)
        return LoadFigures(
            load_s=load_s,
            anonymous_after_load_bytes=anonymous_after_load - before,
            anonymous_after_token_bytes=status_bytes("RssAnon") - before,
            peak_resident_after_load_bytes=peak_after_load,
            peak_resident_after_token_bytes=status_bytes("VmHWM"),
            kv_cache_bytes=model.plan.kv_cache_bytes,
        )


def measure_in_fresh_processes(path: Path, backend: str, context: int, repetitions: int) -> Report:
    """Cache the file, load it once and then `repetitions` times, and return the first load and the medians."""
    _read_whole(path)
    first, *others = (_measure_in_child(path, backend, context) for _ in range(1 + repetitions))
    columns = zip(*(asdict(figures).values() for figures in others), strict=True)
    median = LoadFigures(*(statistics.median_low(column) for column in columns))
    return Report(path.name, path.stat().st_size, backend, context, first, median, repetitions)


def print_table(report: Report) -> None:
    """Print the figures for people."""
    print(f"{report.model}, {report.model_bytes / 1e6:,.0f} MB, backend {report.backend}, context {report.context}")
    print(f"{'':34}{'first':>10}{f'median of {report.repetitions}':>14}")
    print(f"{'load, s':34}{report.first.load_s:10.2f}{report.median.load_s:14.2f}")
    for name, value in asdict(report.median).items():
        if name.endswith("_bytes"):
            title = name.removesuffix("_bytes").replace("_", " ") + ", MB"
            print(f"{title:34}{getattr(report.first, name) / 1e6:10.0f}{value / 1e6:14.0f}")


def _measure_in_child(path: Path, backend: str, context: int) -> LoadFigures:
    command = [
        sys.executable,
        __file__,
        "--model",
        str(path),
        "--backend",
        backend,
        "--context",
        str(context),
        "--child",
    ]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return LoadFigures(**json.loads(output))


def _read_whole(path: Path) -> None:
    with path.open("rb") as file:
        while file.read(_READ_BYTES):
            pass


def main() -> None:
    """Parse the command line, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="GGUF file (default: the shape of Bonsai 8B, random weights)")
    parser.add_argument("--backend", default="cpu")
    parser.add_argument("--context", type=int, default=64, help="tokens; few, so that the KV cache hides nothing")
    parser.add_argument("-r", "--repetitions", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    path = args.model or cached_random_bonsai("8b")
    if args.child:
        print(json.dumps(asdict(measure_in_this_process(path, args.backend, args.context))))
        return
    report = measure_in_fresh_processes(path, args.backend, args.context, args.repetitions)
    if args.json:
        print(json.dumps(asdict(report)))
    else:
        print_table(report)


if __name__ == "__main__":
    main()
