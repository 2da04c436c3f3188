"""Measures the CUDA backend on a GPU, against llama.cpp's CUDA backend in the same run.

    python benchmarks/cuda_speed.py [--sizes 1.7b 4b 8b] [--rounds 3] [--out FILE.json]

Of each model's shape: a prompt of 512 tokens, and 128 decoded tokens with 0 and with 4,096 tokens of context before
them; also how fast the GPU copies its memory, and the energy of a token. Nothing is downloaded: the models are made
here, and llama.cpp is left out where its library is missing. `benchmarks/cuda_machine.sh` brings and builds all that is
needed on a machine without a network.

`--emulated` rehearses the run on a machine without a GPU, with a tiny model and llama.cpp on the processor if it is
there; its figures are marked and say nothing about speed.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TypeAlias

from bonsai_edge.formats.checkpoint import open_checkpoint
from gpu.energy import EnergyMeter
from gpu.page import draw, report
from gpu.results import CudaResults, Figure, ModelFigures, Side, write_results
from gpu.sides import CopyMeter, Cuda
from random_bonsai import cached_random_bonsai
from speed.case import Case
from speed.engine import Engine
from speed.shape import read_shape
from speed.worker import Worker

RESULTS = Path(__file__).parent / "results"
CASES = (Case("prefill", 512), Case("decode", 128), Case("decode", 128, depth=4096))
REHEARSAL = (Case("prefill", 20), Case("decode", 4), Case("decode", 4, depth=40))
_COPIED_BYTES, _REHEARSED_BYTES = 1 << 30, 1 << 20
_ENERGY_S, _IDLE_S = 2.0, 2.0

AnyWorker: TypeAlias = "Worker[Cuda] | Worker[Engine]"


def main() -> None:
    """Measure, and write the results after every model, so that what was measured is not lost."""
    args = _parser().parse_args()
    label = "emulated" if args.emulated else "cuda"
    out = args.out or RESULTS / f"{label}.json"
    with Worker(CopyMeter, args.emulated) as meter:
        gpu = meter.call(CopyMeter.facts)
        copied = meter.call(CopyMeter.measure, _REHEARSED_BYTES if args.emulated else _COPIED_BYTES)
    energy = EnergyMeter()
    idle_w = energy.idle_w(_IDLE_S)
    peer_problem = _peer_problem()
    notes = [note for note in (peer_problem, energy.problem and f"no energy: {energy.problem}") if note]
    models: list[ModelFigures] = []
    for size in ["tiny"] if args.emulated else args.sizes:
        models.append(_measure(size, args, energy, with_peer=peer_problem is None))
        results = CudaResults(
            command=f"python {shlex.join(sys.argv)}",
            started=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            emulated=args.emulated,
            gpu=gpu,
            versions={
                name: _version(name) for name in ("bonsai-edge", "cuda-core", "cuda-bindings", "llama-cpp-python")
            },
            copy_bytes_per_s=copied,
            idle_w=idle_w,
            notes=notes,
            models=models,
        )
        write_results(results, out)
    print(report(results))
    try:
        draw(results, out.with_suffix(".svg"))
    except ImportError as exc:
        print(f"No plot: {exc}.", file=sys.stderr)
    print(f"\nResults are in {out}", file=sys.stderr)


def _measure(size: str, args: argparse.Namespace, energy: EnergyMeter, *, with_peer: bool) -> ModelFigures:
    path = cached_random_bonsai(size)
    cases = REHEARSAL if args.emulated else CASES
    threads = os.cpu_count() or 1
    with ExitStack() as stack:
        workers: list[AnyWorker] = [stack.enter_context(Worker(Cuda, path, threads, cases, args.emulated))]
        if with_peer:
            from speed.peer import LlamaCpp  # noqa: PLC0415  (needs the library)

            workers.append(stack.enter_context(Worker(LlamaCpp, path, threads)))
        for worker in workers:
            worker.call(Engine.prepare, cases)
        figures = [_figure(case, workers, args.rounds, energy) for case in cases]
    return ModelFigures(read_shape(size, open_checkpoint(path)), figures)


def _figure(case: Case, workers: Sequence[AnyWorker], num_rounds: int, energy: EnergyMeter) -> Figure:
    """Run a case on each side in turns; who is first changes every round. Energy is measured afterwards."""
    speeds: list[list[float]] = [[] for _ in workers]
    for number in range(num_rounds):
        for index, worker in _in_turns(workers, number):
            speeds[index].append(case.all_tokens / worker.call(Engine.run, case))
    joules = [
        energy.joules_per_token(lambda worker=worker: worker.call(Engine.run, case), case.all_tokens, _ENERGY_S)  # type: ignore[misc]
        for worker in workers
    ]
    sides = [Side(*each) for each in zip(speeds, joules, strict=True)]
    print(f"{case.name}: {' : '.join(f'{side.median:,.1f}' for side in sides)} tokens/s", file=sys.stderr, flush=True)
    return Figure(case, sides[0], sides[1] if len(sides) > 1 else None)


def _in_turns(workers: Sequence[AnyWorker], number: int) -> Iterator[tuple[int, AnyWorker]]:
    numbered = list(enumerate(workers))
    yield from numbered if number % 2 == 0 else reversed(numbered)


def _peer_problem() -> str | None:
    try:
        import llama_cpp  # noqa: F401, PLC0415  (whether it can be is the question)
    except (ImportError, OSError, RuntimeError, FileNotFoundError) as exc:
        return f"llama.cpp is left out: {exc}"
    return None


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--sizes", nargs="+", choices=["1.7b", "4b", "8b"], default=["1.7b", "4b", "8b"])
    add("--rounds", type=int, default=3, metavar="N")
    add("--out", type=Path, metavar="FILE", help="results (default: benchmarks/results/cuda.json)")
    add("--emulated", action="store_true", help="rehearse without a GPU; the figures mean nothing")
    return parser


if __name__ == "__main__":
    main()
