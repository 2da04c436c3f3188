"""Compares the speed of a backend with llama.cpp's, on the same file with the same threads.

    python benchmarks/vs_llama_cpp.py [--model FILE.gguf] [--threads N] [--json]

Both run in one process and take turns, so that what else the machine does meets both. `ppN` is a prompt of N random
tokens, `tgN` are N tokens decoded one by one from an empty context, both without sampling, as in llama-bench. Needs
llama-cpp-python, built for this machine: CMAKE_ARGS=-DGGML_NATIVE=ON pip install --no-binary=:all: llama-cpp-python.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Protocol

import llama_cpp
import numpy as np
from rich.console import Console
from rich.table import Table

import bonsai_edge
from bonsai_edge.formats.checkpoint import open_checkpoint
from bonsai_edge.plugin_manager import device_profile
from bonsai_edge.profiling.bandwidth import measure_read_bandwidth
from bonsai_edge.profiling.roofline import bandwidth_share, weight_bytes_per_token
from random_bonsai import cached_random_bonsai

_IGNORE_LOG = llama_cpp.llama_log_callback(lambda level, text, user_data: None)  # ctypes needs it to stay alive


class Engine(Protocol):
    """What is timed; each call works on an empty context."""

    def prefill(self, token_ids: Sequence[int]) -> None:
        """Run a prompt, logits for its last token only."""

    def decode(self, token_ids: Sequence[int]) -> None:
        """Run tokens one by one, logits for each."""


class BonsaiEdge:
    """A backend of this project."""

    def __init__(self, path: Path, backend: str, context: int, threads: int) -> None:
        self.model = bonsai_edge.load(path, backend=backend, context=context, threads=threads)

    def prefill(self, token_ids: Sequence[int]) -> None:
        """See `Engine.prefill`."""
        with self.model.engine.sequence(len(token_ids)) as sequence:
            sequence.prefill(token_ids)

    def decode(self, token_ids: Sequence[int]) -> None:
        """See `Engine.decode`."""
        with self.model.engine.sequence(len(token_ids)) as sequence:
            for token_id in token_ids:
                sequence.decode(token_id)


class LlamaCpp:
    """llama.cpp through its C interface, with its defaults for everything but context and threads."""

    def __init__(self, path: Path, context: int, threads: int) -> None:
        llama_cpp.llama_log_set(_IGNORE_LOG, None)
        llama_cpp.llama_backend_init()
        self._model = llama_cpp.llama_model_load_from_file(str(path).encode(), llama_cpp.llama_model_default_params())
        params = llama_cpp.llama_context_default_params()
        params.n_ctx = context
        params.n_threads = params.n_threads_batch = threads
        self._context = llama_cpp.llama_init_from_model(self._model, params)

    def prefill(self, token_ids: Sequence[int]) -> None:
        """See `Engine.prefill`."""
        self._forget()
        self._run(token_ids)

    def decode(self, token_ids: Sequence[int]) -> None:
        """See `Engine.decode`."""
        self._forget()
        for token_id in token_ids:
            self._run([token_id])

    def _forget(self) -> None:
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self._context), True)

    def _run(self, token_ids: Sequence[int]) -> None:
        tokens = (llama_cpp.llama_token * len(token_ids))(*token_ids)
        status = llama_cpp.llama_decode(self._context, llama_cpp.llama_batch_get_one(tokens, len(token_ids)))
        if status != 0:
            raise RuntimeError(f"llama_decode failed with status {status}")
        llama_cpp.llama_synchronize(self._context)


@dataclass(frozen=True)
class Speed:
    """Tokens per second of one test: the median, and every repetition."""

    tokens_per_s: float
    repetitions: list[float]


@dataclass(frozen=True)
class Comparison:
    """What is printed; ratios are ours over theirs."""

    model: str
    model_bytes: int
    device: str
    threads: int
    backend: str
    llama_cpp_python: str
    llama_cpp_system: str
    bonsai_edge: dict[str, Speed]
    llama_cpp: dict[str, Speed]
    ratios: dict[str, float]
    memory_read_bytes_per_s: float
    bandwidth_share: dict[str, float]


def compare(path: Path, backend: str, threads: int, num_prompt: int, num_decode: int, repetitions: int) -> Comparison:
    """Run both, taking turns, and return what was measured."""
    context = max(num_prompt, num_decode)
    ours, theirs = BonsaiEdge(path, backend, context, threads), LlamaCpp(path, context, threads)
    token_ids = np.random.default_rng(0).integers(ours.model.spec.vocab_size, size=context).tolist()
    engines: dict[str, Engine] = {"bonsai_edge": ours, "llama_cpp": theirs}
    speeds: dict[str, dict[str, Speed]] = {name: {} for name in engines}
    for test, method, num_tokens in (
        (f"tg{num_decode}", "decode", num_decode),
        (f"pp{num_prompt}", "prefill", num_prompt),
    ):
        runs = {name: getattr(engine, method) for name, engine in engines.items()}
        for name, speed in _take_turns(runs, token_ids[:num_tokens], repetitions).items():
            speeds[name][test] = speed
    tests = speeds["bonsai_edge"]
    device = device_profile()
    weight_bytes = weight_bytes_per_token(open_checkpoint(path))
    bandwidth = measure_read_bandwidth(threads, device.available_memory_bytes)
    return Comparison(
        model=path.name,
        model_bytes=path.stat().st_size,
        device=device.name,
        threads=threads,
        backend=ours.model.backend_name,
        llama_cpp_python=version("llama-cpp-python"),
        llama_cpp_system=llama_cpp.llama_print_system_info().decode(),
        bonsai_edge=speeds["bonsai_edge"],
        llama_cpp=speeds["llama_cpp"],
        ratios={test: tests[test].tokens_per_s / speeds["llama_cpp"][test].tokens_per_s for test in tests},
        memory_read_bytes_per_s=bandwidth,
        bandwidth_share={
            name: bandwidth_share(weight_bytes, speeds[name][f"tg{num_decode}"].tokens_per_s, bandwidth)
            for name in engines
        },
    )


def _take_turns(
    runs: dict[str, Callable[[Sequence[int]], None]], token_ids: Sequence[int], repetitions: int
) -> dict[str, Speed]:
    """Time each run `repetitions` times, one after the other in every round, after a short warm-up."""
    measured: dict[str, list[float]] = {name: [] for name in runs}
    for run in runs.values():
        run(token_ids[:16])
    for _ in range(repetitions):
        for name, run in runs.items():
            started = time.perf_counter()
            run(token_ids)
            measured[name].append(len(token_ids) / (time.perf_counter() - started))
    return {name: Speed(statistics.median(speeds), speeds) for name, speeds in measured.items()}


def print_table(comparison: Comparison) -> None:
    """Print speeds, ratios and shares of bandwidth for people."""
    table = Table(box=None, pad_edge=False)
    for title in ("test", f"bonsai-edge {comparison.backend}", "llama.cpp", "ratio"):
        table.add_column(title, justify="left" if title == "test" else "right")
    for test, ratio in comparison.ratios.items():
        table.add_row(
            test, _describe(comparison.bonsai_edge[test]), _describe(comparison.llama_cpp[test]), f"{ratio:.2f}"
        )
    shares = (f"{comparison.bandwidth_share[name]:.0%}" for name in ("bonsai_edge", "llama_cpp"))
    table.add_row("share of bandwidth", *shares)
    print(f"{comparison.model}, {comparison.threads} threads on {comparison.device}; median (least to most) tokens/s")
    Console(highlight=False).print(table)
    print(f"memory is read at {comparison.memory_read_bytes_per_s / 1e9:.1f} GB/s")
    print(f"llama-cpp-python {comparison.llama_cpp_python}: {comparison.llama_cpp_system}")


def _describe(speed: Speed) -> str:
    return f"{speed.tokens_per_s:.1f} ({min(speed.repetitions):.1f} to {max(speed.repetitions):.1f})"


def main() -> None:
    """Parse the command line, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="GGUF file (default: the shape of Bonsai 1.7B, random weights)")
    parser.add_argument("--backend", default="cpu")
    parser.add_argument("-t", "--threads", type=int, help="threads of both (default: the usable cores)")
    parser.add_argument("-p", "--n-prompt", type=int, default=512)
    parser.add_argument("-n", "--n-gen", type=int, default=128)
    parser.add_argument("-r", "--repetitions", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    args = parser.parse_args()
    path = args.model or cached_random_bonsai("1.7b")
    threads = args.threads or device_profile().usable_cores
    comparison = compare(path, args.backend, threads, args.n_prompt, args.n_gen, args.repetitions)
    if args.json:
        print(json.dumps(asdict(comparison)))
    else:
        print_table(comparison)


if __name__ == "__main__":
    main()
