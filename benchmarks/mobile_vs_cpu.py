"""Compares the kernels compiled ahead of time with those that Numba compiles here: speed, start and memory.

    python benchmarks/mobile_vs_cpu.py steps [--size tiny|1.7b|8b] [--rounds 200] [--threads 1]
    python benchmarks/mobile_vs_cpu.py start [--rounds 5]

`steps` holds both runners in one process, on the same mapped weights, and lets them take turns: a decoded token each,
or a prompt of 64 tokens. What else the machine does hits both alike. Of one thread the processor time is taken, which
does not count while others have the core. The ratio is that of the medians; the fastest turns are given beside it.
`start` starts `bonsai-edge generate` with the embedded model in turns, with warm caches, and measures the time until
the process has printed one token and ended, and its largest resident memory. Linux only.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

import numpy as np

from bonsai_edge.backend import Backend, Batch, ModelRunner
from bonsai_edge.formats.checkpoint import open_checkpoint
from bonsai_edge.kv_cache import PAGE_TOKENS
from bonsai_edge.memory.plan import MemoryPlan
from bonsai_edge_cpu.plugin import CpuBackend
from bonsai_edge_mobile.plugin import MobileBackend
from random_bonsai import SPECS, cached_random_bonsai

_CONTEXT = 512
_DEPTH = 256  # tokens in the cache while decoding
_PROMPT = 64
_PLAN = MemoryPlan(context=_CONTEXT, weight_bytes=0, kv_cache_bytes=0, runtime_bytes=0)


def compare_steps(size: str, rounds: int, threads: int) -> None:
    """Print the times of both, in turns."""
    checkpoint = open_checkpoint(cached_random_bonsai(size))
    backends: list[Backend] = [CpuBackend(), MobileBackend()]
    for backend in backends:
        availability = backend.probe()
        assert availability.available, availability.reason
        print(f"{backend.name}: {availability.reason}")
    runners = [backend.load(checkpoint, _PLAN, threads) for backend in backends]
    clock = time.thread_time if threads == 1 else time.perf_counter  # a team of one is this thread
    for what, num_tokens, start, turns in (("decode", 1, _DEPTH, rounds), ("prompt", _PROMPT, 0, max(5, rounds // 10))):
        times = _in_turns([_step(runner, num_tokens, start) for runner in runners], turns, clock)
        _report(f"{size}, {threads} thread(s), {what}", times, "ms", 1e3)
    for runner in runners:
        runner.close()


def _step(runner: ModelRunner, num_tokens: int, start: int) -> Callable[[], object]:
    positions = np.arange(start, start + num_tokens, dtype=np.int32)
    zeros, last = np.zeros(num_tokens, np.int32), np.array([num_tokens - 1], np.int32)
    pages = np.arange(_CONTEXT // PAGE_TOKENS, dtype=np.int32)[None]
    batch = Batch(positions + 5, positions, zeros, pages, last)
    return lambda: runner.forward(batch)


def _in_turns(steps: Sequence[Callable[[], object]], turns: int, clock: Callable[[], float]) -> list[list[float]]:
    times: list[list[float]] = [[] for _ in steps]
    for step in steps:
        step()
    for _ in range(turns):
        for step, of_step in zip(steps, times, strict=True):
            began = clock()
            step()
            of_step.append(clock() - began)
    return times


def _report(what: str, times: Sequence[Sequence[float]], unit: str, scale: float) -> None:
    (cpu, mobile), (cpu_best, mobile_best) = map(statistics.median, times), map(min, times)
    print(
        f"{what}: cpu {cpu * scale:.3f} {unit}, mobile {mobile * scale:.3f} {unit}, ratio of medians "
        f"{mobile / cpu:.3f}; fastest {cpu_best * scale:.3f} and {mobile_best * scale:.3f}, "
        f"ratio {mobile_best / cpu_best:.3f}; {len(times[0])} turns"
    )


def compare_starts(rounds: int) -> None:
    """Print how long both take from the start of the process to its first token, and how much memory."""
    names = ("cpu", "mobile")
    results: dict[str, list[tuple[float, float, float]]] = {name: [] for name in names}
    for _ in range(rounds):
        for name in names:
            results[name].append(_generate(name))
    _report("start to first token", [[wall for wall, _, _ in results[name]] for name in names], "s", 1.0)
    _report("processor time of it", [[cpu for _, cpu, _ in results[name]] for name in names], "s", 1.0)
    _report("largest resident memory", [[rss for _, _, rss in results[name]] for name in names], "MB", 1e-6)


def _generate(backend: str) -> tuple[float, float, float]:
    """Return seconds, processor seconds and bytes of a process that generates one token."""
    command = [
        sys.executable,
        "-m",
        "bonsai_edge",
        "generate",
        "--backend",
        backend,
        "--raw",
        "--max-tokens",
        "1",
        "stop",
    ]
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, command
    return time.perf_counter() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    steps = commands.add_parser("steps")
    steps.add_argument("--size", choices=SPECS, default="1.7b")
    steps.add_argument("--rounds", type=int, default=200)
    steps.add_argument("--threads", type=int, default=1)
    start = commands.add_parser("start")
    start.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    if options.command == "steps":
        compare_steps(options.size, options.rounds, options.threads)
    else:
        compare_starts(options.rounds)


if __name__ == "__main__":
    main()
