"""Compares the memory plan with the memory that a process really takes, each case in a fresh process.

    python benchmarks/plan_accuracy.py [--size 1.7b --size 8b] [--context 2048 --context 8192] [--kv f16] [--json]

A process loads a file of the model's exact shape with random weights, runs a full step of a prompt, reads the whole
embedding, decodes some tokens, and fills every page of the KV cache: by `write_page`, since prefilling 8,192 tokens
takes minutes. Its peak is then what a process that has been used to the full keeps, weights and libraries
included. Linux only: reads /proc/self/status.
"""

from __future__ import annotations

import argparse
import json
import mmap
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

import bonsai_edge
from bonsai_edge.backend import Batch, ModelRunner
from bonsai_edge.backend_selection import select_backend
from bonsai_edge.kv_cache import PAGE_TOKENS, KVType
from process_memory import status_bytes
from random_bonsai import SPECS, cached_random_bonsai

_DECODED_TOKENS = 4
_MB = 1e6


@dataclass(frozen=True)
class Case:
    """What is measured; bytes."""

    model: str
    context: int
    kv_type: str
    predicted_peak_bytes: int
    measured_peak_bytes: int
    components: dict[str, int]

    @property
    def error(self) -> float:
        """How much too high the prediction is, as a share of what was measured."""
        return self.predicted_peak_bytes / self.measured_peak_bytes - 1


def measure_in_this_process(path: Path, backend: str, context: int, kv: str) -> Case:
    """Load the model and use everything that it allocates; only right in a process that has done nothing else."""
    with bonsai_edge.load(path, backend=backend, context=context, kv=kv) as model:
        runner = model.engine.runner
        _fill_work_arrays(runner)
        _read_embedding(runner)
        page = runner.read_page(0)
        for index in range(runner.num_pages):
            runner.write_page(index, page)
        del page
        model.generate_text("How much memory does this take?", max_tokens=_DECODED_TOKENS, temperature=1.0)
        plan = model.plan
        return Case(path.stem, context, kv, plan.predicted_peak_bytes, status_bytes("VmHWM"), dict(plan.components))


def _fill_work_arrays(runner: ModelRunner) -> None:
    """Prefill as many tokens as a step takes."""
    rows = np.arange(min(runner.max_batch_rows, runner.num_pages * PAGE_TOKENS), dtype=np.int32)
    page_tables = np.arange(runner.num_pages, dtype=np.int32)[None]
    runner.forward(Batch(rows, rows, np.zeros(len(rows), np.int32), page_tables, rows[-1:]))


def _read_embedding(runner: ModelRunner) -> None:
    """Look at each page of the embedding, as prompts with tokens from all over the vocabulary would."""
    assert runner.tensors["token_embd.weight"].packed.reshape(-1)[:: mmap.PAGESIZE].any()


def measure_in_fresh_process(size: str, backend: str, context: int, kv: str) -> Case:
    """Measure one case."""
    command = [sys.executable, __file__, "--size", size, "--backend", backend, "--context", str(context), "--kv", kv]
    output = subprocess.run([*command, "--child"], check=True, stdout=subprocess.PIPE, text=True).stdout
    return Case(**json.loads(output))


def print_table(cases: Sequence[Case]) -> None:
    """Print predictions beside what was measured."""
    print(f"{'model':14}{'context':>8}{'KV':>5}{'predicted, MB':>16}{'measured, MB':>15}{'error':>9}")
    for case in cases:
        predicted, measured = case.predicted_peak_bytes / _MB, case.measured_peak_bytes / _MB
        print(f"{case.model:14}{case.context:8}{case.kv_type:>5}{predicted:16,.0f}{measured:15,.0f}{case.error:+9.1%}")


def main() -> None:
    """Parse the command line, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", action="append", choices=SPECS, help="may be repeated (default: 1.7b and 8b)")
    parser.add_argument("--context", action="append", type=int, help="may be repeated (default: 2048 and 8192)")
    parser.add_argument(
        "--kv", action="append", choices=[each.value for each in KVType], help="default: all that the backend has"
    )
    parser.add_argument("--backend", default="cpu")
    parser.add_argument("--json", action="store_true", help="print one JSON array")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        path = cached_random_bonsai(args.size[0])
        print(json.dumps(asdict(measure_in_this_process(path, args.backend, args.context[0], args.kv[0]))))
        return
    cases = [
        measure_in_fresh_process(size, args.backend, context, kv)
        for size in args.size or ("1.7b", "8b")
        for context in args.context or (2048, 8192)
        for kv in args.kv or [each.value for each in select_backend(args.backend, require=True).backend.kv_types]
    ]
    if args.json:
        print(json.dumps([asdict(case) for case in cases]))
    else:
        print_table(cases)


if __name__ == "__main__":
    main()
