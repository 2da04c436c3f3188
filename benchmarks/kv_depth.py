"""Measures how much a full context slows decoding down, for every KV type, in turns in one process.

    python benchmarks/kv_depth.py [--size 1.7b] [--depth 4096] [--threads 2] [--rounds 12] [--json]

Every page of the cache is filled with the same random numbers, so nothing has to be prefilled. A round decodes at depth
0 and at the given depth with each type; medians are printed. Weights are random, of the exact shape.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from dataclasses import asdict, dataclass, field

import numpy as np

import bonsai_edge
from bonsai_edge.backend import Batch, ModelRunner
from bonsai_edge.kv_cache import KVType
from random_bonsai import SPECS, cached_random_bonsai

_STEPS = 3  # at each depth in a round
_SPARE_TOKENS = 64


@dataclass
class DepthFigures:
    """Seconds of each decode step of one KV type."""

    kv_type: str
    shallow_s: list[float] = field(default_factory=list)
    deep_s: list[float] = field(default_factory=list)


def _fill(runner: ModelRunner) -> None:
    """Copy a page that a real step has written to all others."""
    positions = np.arange(runner.max_batch_rows, dtype=np.int32)
    token_ids = np.random.default_rng(0).integers(0, runner.spec.vocab_size, len(positions), dtype=np.int32)
    _step(runner, token_ids, positions)
    page = runner.read_page(0)
    for index in range(1, runner.num_pages):
        runner.write_page(index, page)


def _step(runner: ModelRunner, token_ids: np.ndarray, positions: np.ndarray) -> float:
    page_tables = np.arange(runner.num_pages, dtype=np.int32)[None]
    last = np.array([len(positions) - 1], np.int32)
    batch = Batch(token_ids, positions, np.zeros(len(positions), np.int32), page_tables, last)
    started = time.perf_counter()
    runner.forward(batch)
    return time.perf_counter() - started


def measure(size: str, depth: int, threads: int, rounds: int) -> list[DepthFigures]:
    """Load the model once for each type and take turns."""
    path = cached_random_bonsai(size)
    context = depth + _SPARE_TOKENS
    models = [bonsai_edge.load(path, context=context, kv=kv_type, threads=threads) for kv_type in KVType]
    try:
        figures = [DepthFigures(model.kv_type.value) for model in models]
        for model in models:
            _fill(model.engine.runner)
        token_ids = np.array([1000], np.int32)
        for _ in range(rounds):
            for model, row in zip(models, figures, strict=True):
                for position, times in ((0, row.shallow_s), (depth, row.deep_s)):
                    positions = np.array([position], np.int32)
                    times += [_step(model.engine.runner, token_ids, positions) for _ in range(_STEPS)]
        return figures
    finally:
        for model in models:
            model.close()


def print_table(size: str, depth: int, figures: list[DepthFigures]) -> None:
    """Print medians as tokens a second."""
    print(f"{size}: tokens/s decoding at depth 0 and {depth:,}")
    exact = statistics.median(figures[0].deep_s)
    for row in figures:
        shallow, deep = statistics.median(row.shallow_s), statistics.median(row.deep_s)
        print(
            f"  {row.kv_type:4}{1 / shallow:8.1f}{1 / deep:8.1f}   keeps {shallow / deep:.0%}, "
            f"{exact / deep:.2f} times f16 at that depth"
        )


def main() -> None:
    """Parse the command line, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=SPECS, default="1.7b")
    parser.add_argument("--depth", type=int, default=4096)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--json", action="store_true", help="print one JSON array")
    arguments = parser.parse_args()
    figures = measure(arguments.size, arguments.depth, arguments.threads, arguments.rounds)
    if arguments.json:
        print(json.dumps([asdict(row) for row in figures]))
    else:
        print_table(arguments.size, arguments.depth, figures)


if __name__ == "__main__":
    main()
