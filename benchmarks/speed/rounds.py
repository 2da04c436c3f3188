"""Runs both sides in turns, and measures the machine's limits in every round."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from bonsai_edge.formats.checkpoint import open_checkpoint
from speed.case import Case
from speed.engine import Engine
from speed.ours import BonsaiEdge
from speed.peer import LlamaCpp
from speed.results import Measurement, Roofs, Run
from speed.roofs import RoofMeter, blas_environment
from speed.shape import read_shape
from speed.worker import Worker


def measure_run(
    name: str,
    path: Path,
    backend: str,
    threads: int,
    cases: Sequence[Case],
    num_rounds: int,
    environment: Mapping[str, str],
) -> Run:
    """Measure a model with a number of threads; `environment` is that of ours alone.

    Each case is run by both sides, one right after the other; who is first changes every round.
    """
    with (
        Worker(BonsaiEdge, path, backend, threads, cases, environment=environment) as ours,
        Worker(LlamaCpp, path, threads) as theirs,
        Worker(RoofMeter, environment=blas_environment(threads)) as meter,
    ):
        both: tuple[Worker[BonsaiEdge] | Worker[LlamaCpp], ...] = (ours, theirs)
        for worker in both:
            worker.call(Engine.prepare, cases)
        roofs: list[Roofs] = []
        speeds: dict[Case, tuple[list[float], list[float]]] = {case: ([], []) for case in cases}
        for number in range(num_rounds):
            roofs.append(meter.call(RoofMeter.measure, threads))
            for case in cases:
                sides = list(zip(both, speeds[case], strict=True))
                for worker, measured in sides if number % 2 == 0 else reversed(sides):
                    measured.append(case.all_tokens / worker.call(Engine.run, case))
            _show_progress(name, threads, number + 1, num_rounds, speeds)
        return Run(
            shape=read_shape(name, open_checkpoint(path)),
            threads=threads,
            ours=ours.call(Engine.describe),
            llama_cpp=theirs.call(Engine.describe),
            roofs=roofs,
            measurements=[Measurement(case, *speeds[case]) for case in cases],
        )


def _show_progress(
    name: str, threads: int, number: int, num_rounds: int, speeds: Mapping[Case, tuple[list[float], list[float]]]
) -> None:
    """Print the round's speeds; on stderr, because the results go to stdout."""
    figures = (f"{case.name} {ours[-1]:.1f} : {theirs[-1]:.1f}" for case, (ours, theirs) in speeds.items())
    print(
        f"{name}, {threads} threads, round {number} of {num_rounds}: {', '.join(figures)}", file=sys.stderr, flush=True
    )
